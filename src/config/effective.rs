//! The settings in force: what was written, what follows from that, and what is so by default.

use std::collections::BTreeMap;
use std::ops::Range;

use super::lower::Part;
use super::model::{ServiceKind, Virtual};
use super::syntax::{BlockKind, Shape, Statement};
use super::value::Value;
use super::{Descriptor, Directive, Loaded, Scope, Span, include};
use crate::health::{CheckSpec, Expect, LoadSource};
use crate::ipvs::Helper;

/// Where a value comes from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It stands in the file or one it includes, here.
    Written(Span),
    /// It follows from another directive.
    Follows(Directive),
    /// It is the default.
    Default,
}

/// One directive and what it comes to.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Which.
    pub directive: Directive,
    /// The value as it stands in the file, quotes included, or as it would.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The same for every way to write the same value.
    pub(crate) canonical: String,
}

/// The settings outside of blocks, or of one block.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What kind of block it is.
    pub scope: Scope,
    /// The block's name; empty outside of blocks.
    pub name: String,
    /// What the data plane knows it by, such as `TCP 192.0.2.80:80` or `10.0.0.1:80`; empty outside
    /// of blocks.
    pub identity: String,
    /// The settings, in the order of the manual. A directive that is not set and has no default
    /// is not among them.
    pub settings: Vec<Setting>,
    /// The blocks in it.
    pub sections: Vec<Self>,
}

impl Setting {
    pub(crate) fn is_zero(&self) -> bool {
        self.canonical == "0"
    }
}

impl Section {
    /// The setting of `directive`, if it has one; the first of one that may stand several times.
    #[must_use]
    pub fn get(&self, directive: Directive) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.directive == directive)
    }
}

/// The settings in force in a configuration and the files it includes; `None` if it has errors.
///
/// Services and servers are in the order of the files, which is the order of
/// [`Config::virtuals`](super::Config::virtuals). Blocks of the kind that `service` does not ask
/// for are left out, and so is `include`: what it brings is there. [`Loaded::locate`] says in which file a
/// written value stands.
#[must_use]
pub fn effective(loaded: &Loaded) -> Option<Section> {
    let config = loaded.config.as_ref()?;
    let written =
        Written::of(include::parts(&loaded.document, &loaded.included, &loaded.stretches));
    let mut whole = written.section(None, Scope::Global, |_| None);
    let failovers = config.failovers.iter().map(|failover| &failover.service);
    let (kind, services): (_, Vec<_>) = match config.service {
        ServiceKind::Lvs => (BlockKind::Virtual, config.virtuals.iter().collect()),
        ServiceKind::Fos => (BlockKind::Failover, failovers.collect()),
    };
    for (block, service) in written.services(kind).zip(services) {
        let section = service_section(&written, &whole, &block, service);
        whole.sections.push(section);
    }
    Some(whole)
}

fn service_section(
    written: &Written<'_>,
    whole: &Section,
    (part, blocks): &(usize, Range<usize>),
    service: &Virtual,
) -> Section {
    let follows = |row: &Descriptor| service_setting(whole, service, row);
    let place = Some((*part, blocks.start));
    let mut section = written.section(place, Scope::Virtual, follows);
    section.identity = service.key().to_string();
    section.settings.retain(|setting| applies(setting, service));
    for (block, server) in written.servers(*part, blocks.clone()).zip(&service.servers) {
        let follows = |row: &Descriptor| match row.directive {
            Directive::Port
            | Directive::Network
            | Directive::TunnelType
            | Directive::TunnelPort
            | Directive::TunnelChecksum
            | Directive::AgentPort
            | Directive::AgentInterval => taken_over(&section, row.directive),
            _ => None,
        };
        let identity = server.address.to_string();
        let settings = written.section(Some((*part, block)), Scope::Server, follows);
        section.sections.push(Section { identity, ..settings });
    }
    section
}

/// What follows from other directives where a `virtual` block does not say it.
fn service_setting(global: &Section, service: &Virtual, row: &Descriptor) -> Option<Setting> {
    let (value, follows) = match row.directive {
        Directive::Network => return taken_over(global, Directive::Network),
        Directive::CheckTimeout => {
            (format!("{}ms", service.timeout.as_millis()), Directive::Timeout)
        }
        Directive::Helper if service.helper == Some(Helper::Ftp) => {
            ("ftp".to_owned(), Directive::Port)
        }
        Directive::Check => {
            let follows = match &service.check {
                // A UDP service that says nothing: `check = send` would want it to.
                CheckSpec::SendExpect { send, expect: Expect::Nothing } if send.is_empty() => {
                    return None;
                }
                CheckSpec::SendExpect { .. } => Directive::Send,
                _ => Directive::Port,
            };
            (service.check.keyword().to_owned(), follows)
        }
        _ => return None,
    };
    Some(assumed(row, value, Origin::Follows(follows)))
}

/// Whether a default means anything for `service`.
fn applies(setting: &Setting, service: &Virtual) -> bool {
    if matches!(setting.origin, Origin::Written(_)) {
        return true;
    }
    match setting.directive {
        Directive::UseRegex => matches!(service.check, CheckSpec::SendExpect { .. }),
        // Their names say what kind of check they are of.
        directive if directive.name().starts_with("http_") => {
            matches!(service.check, CheckSpec::Http(_))
        }
        directive if directive.name().starts_with("tls_") => {
            matches!(service.check.keyword(), "https" | "tls")
        }
        Directive::TunnelType | Directive::TunnelPort | Directive::TunnelChecksum => {
            service.forwarding.is_tunnel()
        }
        Directive::AgentPort => {
            let source = service.load_monitor.as_ref().map(|monitor| &monitor.source);
            matches!(source, Some(LoadSource::Agent(_)))
        }
        Directive::AgentInterval | Directive::LoadFormula => service.load_monitor.is_some(),
        Directive::Pmask => service.persistence.is_some() && service.address.is_ipv4(),
        _ => true,
    }
}

/// The setting of the block around this one.
fn taken_over(outer: &Section, directive: Directive) -> Option<Setting> {
    let setting = outer.get(directive)?.clone();
    Some(Setting { origin: Origin::Follows(directive), ..setting })
}

/// A block: the number of its part, and its own in the document of that.
type Block = (usize, usize);
/// A statement, and the number of its part.
type InPart<'a> = (usize, &'a Statement);

/// The statements that can be read, by block; of those that stand twice, the last, unless each of
/// them counts.
struct Written<'a> {
    parts: Vec<Part<'a>>,
    fields: BTreeMap<(Option<Block>, Directive), Vec<InPart<'a>>>,
}

impl<'a> Written<'a> {
    fn of(parts: Vec<Part<'a>>) -> Self {
        let mut written = Self { parts: Vec::new(), fields: BTreeMap::new() };
        for (number, part) in parts.iter().enumerate() {
            written.take(number, part);
        }
        Self { parts, ..written }
    }

    fn take(&mut self, number: usize, part: &Part<'a>) {
        let document = part.document;
        let statements = document.statements().get(part.statements.clone()).unwrap_or_default();
        for statement in statements.iter().filter(|one| one.shape == Shape::Assignment) {
            let Some(name) = document.tokens(statement).first() else { continue };
            let Some(directive) = Directive::from_name(&document.word(name)) else { continue };
            let block = statement.block().map(|block| (number, block));
            let same = self.fields.entry((block, directive)).or_default();
            if !directive.is_repeatable() {
                same.clear();
            }
            same.push((number, statement));
        }
    }

    /// The outermost blocks of a kind in the order in which they count, each with those in it.
    fn services(&self, kind: BlockKind) -> impl Iterator<Item = (usize, Range<usize>)> {
        let groups = self.parts.iter().enumerate().flat_map(|(number, part)| {
            part.groups().map(move |group| (number, part.document, group))
        });
        groups.filter_map(move |(number, document, group)| {
            let is_one = document.blocks()[group.start].kind == kind;
            is_one.then_some((number, group))
        })
    }

    /// The `server` blocks among the blocks of a `virtual`, which is the first of them.
    fn servers(&self, part: usize, group: Range<usize>) -> impl Iterator<Item = usize> {
        let (blocks, outer) = (self.parts[part].document.blocks(), group.start);
        group.filter(move |&block| {
            blocks[block].kind == BlockKind::Server && blocks[block].parent == Some(outer)
        })
    }

    fn section(
        &self,
        block: Option<Block>,
        scope: Scope,
        follows: impl Fn(&Descriptor) -> Option<Setting>,
    ) -> Section {
        let rows = Descriptor::ALL.iter();
        let rows = rows.filter(|row| row.scope == scope && row.directive != Directive::Include);
        let settings = |row: &Descriptor| {
            let written = self.written(block, row);
            let assumed = || follows(row).or_else(|| default(row)).into_iter().collect();
            if written.is_empty() { assumed() } else { written }
        };
        let name = block.map(|(part, index)| {
            let document = self.parts[part].document;
            document.block_name(&document.blocks()[index])
        });
        Section {
            scope,
            name: name.unwrap_or_default(),
            identity: String::new(),
            settings: rows.flat_map(settings).collect(),
            sections: Vec::new(),
        }
    }

    fn written(&self, block: Option<Block>, row: &Descriptor) -> Vec<Setting> {
        let statements = self.fields.get(&(block, row.directive)).into_iter().flatten();
        statements
            .filter_map(|(part, statement)| read(&self.parts[*part], statement, row))
            .collect()
    }
}

fn read(part: &Part<'_>, statement: &Statement, row: &Descriptor) -> Option<Setting> {
    let document = part.document;
    let values = document.tokens(statement).get(2..)?;
    let span = values.first()?.span().to(values.last()?.span());
    let words: Vec<_> = values.iter().map(|value| document.value(value)).collect();
    let text = &document.as_bytes()[span.start..span.end];
    Some(Setting {
        directive: row.directive,
        value: String::from_utf8_lossy(text).into_owned(),
        origin: Origin::Written(span.shifted(part.base)),
        canonical: canonical(&row.kind.read(&words).ok()?),
    })
}

fn default(row: &Descriptor) -> Option<Setting> {
    (!row.default.is_empty()).then(|| assumed(row, row.default.to_owned(), Origin::Default))
}

fn assumed(row: &Descriptor, value: String, origin: Origin) -> Setting {
    let words: Vec<_> = value.split(' ').map(str::as_bytes).collect();
    let read = row.kind.read(&words);
    let canonical = read.map_or_else(|_| value.clone(), |value| canonical(&value));
    Setting { directive: row.directive, value, origin, canonical }
}

/// The same text for every way to write the same value.
fn canonical(value: &Value) -> String {
    match value {
        Value::Boolean(value) => u8::from(*value).to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Mask(mask) => format!("{:?}", mask.map(|mask| mask.prefix)),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    const FILE: &[u8] = b"primary = 192.0.2.11
keepalive = 500ms
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = http
    server one {
        address = 10.0.0.1
        active = 1
    }
}
";

    fn section() -> Section {
        effective(&load(FILE)).expect("a good file")
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let whole = section();
        let keepalive = whole.get(Directive::Keepalive).unwrap();
        let Origin::Written(span) = keepalive.origin else { panic!("{keepalive:?}") };
        assert_eq!(&FILE[span.start..span.end], b"500ms");
        assert_eq!(whole.get(Directive::Deadtime).unwrap().origin, Origin::Default);
        let web = &whole.sections[0];
        let check = web.get(Directive::Check).unwrap();
        assert_eq!(
            (check.value.as_str(), check.origin),
            ("http", Origin::Follows(Directive::Port))
        );
        let port = web.sections[0].get(Directive::Port).unwrap();
        assert_eq!((port.value.as_str(), port.origin), ("http", Origin::Follows(Directive::Port)));
    }

    #[test]
    fn every_way_to_write_a_value_is_one_value() {
        let changed = String::from_utf8(FILE.to_vec()).unwrap().replace("= http", "= 0x50");
        let other = effective(&load(changed.as_bytes())).expect("a good file");
        let port =
            |whole: &Section| whole.sections[0].get(Directive::Port).unwrap().canonical.clone();
        assert_eq!(port(&section()), port(&other));
    }
}

//! The directives of each block, read by the table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{BlockSection, Context};
use crate::config::directive::{Descriptor, Directive, Scope};
use crate::config::syntax::{BlockKind, Quote, Shape, Statement, Token};
use crate::config::value::{Kind, Mask, Value};
use crate::config::{Code, Diagnostic, Span};

/// All directives of a file, sorted by block.
pub(super) struct Sections {
    pub(super) global: Fields,
    pub(super) blocks: Vec<BlockSection>,
}

/// A block's name, header and directives.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) fields: Fields,
}

/// The directives of one block; of those that stand twice, the last.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<Directive, Field>);

struct Field {
    name: Span,
    values: Span,
    /// Missing where it could not be read.
    value: Option<Value>,
}

impl Fields {
    /// Whether the directive is there, readable or not.
    pub(super) fn mentions(&self, directive: Directive) -> bool {
        self.0.contains_key(&directive)
    }

    /// Whether the directive is there with an empty text for a value.
    pub(super) fn is_empty(&self, directive: Directive) -> bool {
        match self.value(directive) {
            Some(Value::Payload(text)) => text.is_empty(),
            Some(Value::Text(text)) => text.is_empty(),
            _ => false,
        }
    }

    /// The place of the directive's name and values.
    pub(super) fn span(&self, directive: Directive) -> Option<Span> {
        self.0.get(&directive).map(|field| field.name.to(field.values))
    }

    /// The place of its values.
    pub(super) fn value_span(&self, directive: Directive) -> Option<Span> {
        self.0.get(&directive).map(|field| field.values)
    }

    /// Adds what stood further up to a directive that may stand several times.
    fn gather(&self, directive: Directive, field: &mut Field) -> bool {
        match (&mut field.value, self.value(directive)) {
            (Some(value), Some(before)) => value.gather(before),
            _ => false,
        }
    }

    fn value(&self, directive: Directive) -> Option<&Value> {
        self.0.get(&directive)?.value.as_ref()
    }

    pub(super) fn boolean(&self, directive: Directive) -> Option<bool> {
        match self.value(directive)? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn integer(&self, directive: Directive) -> Option<i64> {
        match self.value(directive)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn count(&self, directive: Directive) -> Option<u32> {
        u32::try_from(self.integer(directive)?).ok()
    }

    pub(super) fn duration(&self, directive: Directive) -> Option<Duration> {
        match self.value(directive)? {
            Value::Duration(value) => Some(*value),
            _ => None,
        }
    }

    /// A duration for which 0 stands for none.
    pub(super) fn duration_or_none(&self, directive: Directive) -> Option<Duration> {
        self.duration(directive).filter(|value| !value.is_zero())
    }

    pub(super) fn port(&self, directive: Directive) -> Option<u16> {
        match self.value(directive)? {
            Value::Port(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn host(&self, directive: Directive) -> Option<IpAddr> {
        match self.value(directive)? {
            Value::Host(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn address_device(&self, directive: Directive) -> Option<(IpAddr, String)> {
        match self.value(directive)? {
            Value::AddressDevice(address, device) => Some((*address, device.clone())),
            _ => None,
        }
    }

    pub(super) fn endpoint(&self, directive: Directive) -> Option<(IpAddr, Option<u16>)> {
        match self.value(directive)? {
            Value::Endpoint(address, port) => Some((*address, *port)),
            _ => None,
        }
    }

    pub(super) fn mask(&self, directive: Directive) -> Option<Mask> {
        match self.value(directive)? {
            Value::Mask(value) => *value,
            _ => None,
        }
    }

    pub(super) fn choice(&self, directive: Directive) -> Option<&'static str> {
        match self.value(directive)? {
            Value::Choice(value) => Some(value),
            _ => None,
        }
    }

    /// A text, unless it is empty.
    pub(super) fn text(&self, directive: Directive) -> Option<String> {
        match self.value(directive)? {
            Value::Text(value) => Some(value.clone()).filter(|value| !value.is_empty()),
            _ => None,
        }
    }

    /// Bytes with their escapes, unless they are empty.
    pub(super) fn payload(&self, directive: Directive) -> Option<&[u8]> {
        match self.value(directive)? {
            Value::Payload(value) => Some(value.as_slice()).filter(|value| !value.is_empty()),
            _ => None,
        }
    }

    /// A value of a kind that only one directive has.
    pub(super) fn special(&self, directive: Directive) -> Option<&Value> {
        self.value(directive)
    }
}

impl Context<'_> {
    /// Reads every directive of the file into its block.
    pub(super) fn collect(&mut self) -> Sections {
        let mut sections = self.empty_sections();
        for statement in self.document.statements() {
            let (scope, fields) = match statement.block {
                None => (Scope::Global, &mut sections.global),
                Some(index) => {
                    let block = &mut sections.blocks[index];
                    let fields = &mut block.section.fields;
                    match block.kind {
                        BlockKind::Virtual | BlockKind::Failover => (Scope::Virtual, fields),
                        BlockKind::Server => (Scope::Server, fields),
                        BlockKind::Unknown => continue,
                    }
                }
            };
            match statement.shape {
                Shape::Assignment => self.assignment(statement, scope, fields),
                Shape::Other => self.malformed(statement, fields),
                Shape::Open | Shape::Brace | Shape::Close => {}
            }
        }
        sections
    }

    fn empty_sections(&self) -> Sections {
        let mut blocks: Vec<BlockSection> = Vec::new();
        for (index, block) in self.document.blocks().iter().enumerate() {
            if let Some(parent) = block.parent {
                blocks[parent].children.push(index);
            }
            blocks.push(BlockSection {
                kind: block.kind,
                section: Section {
                    name: self.document.block_name(block),
                    span: self.document.header_span(block),
                    fields: Fields::default(),
                },
                children: Vec::new(),
            });
        }
        Sections { global: Fields::default(), blocks }
    }

    fn assignment(&mut self, statement: &Statement, scope: Scope, fields: &mut Fields) {
        let [name, equals, values @ ..] = self.document.tokens(statement) else {
            return;
        };
        let Some(descriptor) = self.descriptor(name, scope) else {
            return;
        };
        let mut field = Field {
            name: name.span,
            values: match values {
                [] => equals.span,
                [first, ..] => first.span.to(values[values.len() - 1].span),
            },
            value: self.read(descriptor, name, values),
        };
        let directive = descriptor.directive;
        if fields.gather(directive, &mut field) {
            fields.0.insert(directive, field);
        } else if let Some(before) = fields.0.insert(directive, field) {
            let message = format!("`{directive}` stands here a second time, and this one counts");
            self.report(
                Diagnostic::new(Code::DuplicateDirective, name.span, message)
                    .related(before.name.to(before.values), "this one does not count")
                    .help("remove one of them"),
            );
        }
    }

    /// The row of the table for `name`, or a word on what it may have been meant to be.
    fn descriptor(&mut self, name: &Token, scope: Scope) -> Option<&'static Descriptor> {
        let word = self.document.word(name).into_owned();
        let known = Directive::from_name(&word);
        if let Some(descriptor) = known.and_then(|directive| directive.descriptor(scope)) {
            return Some(descriptor);
        }
        self.report(match known {
            Some(directive) => {
                let message = format!("`{word}` cannot stand {scope}");
                let places: Vec<_> = directive.scopes().map(|scope| scope.to_string()).collect();
                Diagnostic::new(Code::MisplacedDirective, name.span, message)
                    .help(format!("it stands {}", places.join(" or ")))
            }
            None => unknown(&word, name.span, scope),
        });
        None
    }

    fn read(&mut self, descriptor: &Descriptor, name: &Token, values: &[Token]) -> Option<Value> {
        let kind = descriptor.kind;
        let wanted = kind.arity().unwrap_or(values.len()).max(1);
        if let Some(open) = values.iter().find(|value| value.quote == Quote::Open) {
            let message = "the quote is not closed on its line";
            self.report(
                Diagnostic::new(Code::UnterminatedQuote, open.span, message)
                    .help("end the value with the same quote; write a quote inside it as `\\\"`"),
            );
            return None;
        }
        if values.len() < wanted {
            self.too_few(descriptor, name, values);
            return None;
        }
        if values.len() > wanted {
            let span = values[wanted].span.to(values[values.len() - 1].span);
            self.too_many(kind, span);
            return None;
        }
        self.read_words(kind, values)
    }

    fn read_words(&mut self, kind: Kind, values: &[Token]) -> Option<Value> {
        let span = values[0].span.to(values[values.len() - 1].span);
        let words: Vec<_> = values.iter().map(|value| self.document.value(value)).collect();
        let single = matches!(kind, Kind::Payload) && values[0].quote == Quote::Single;
        if single {
            let message = "Piranha 0.8.6 takes the single quotes for a part of the value";
            self.report(
                Diagnostic::new(Code::SingleQuotes, span, message).help("use double quotes"),
            );
        }
        match kind.read(&words) {
            Ok(value) => {
                if let Some(remark) = kind.remark(&words) {
                    self.report(remark.at(span));
                }
                Some(value)
            }
            Err(problem) => {
                self.report(problem.at(span));
                None
            }
        }
    }

    fn too_few(&mut self, descriptor: &Descriptor, name: &Token, values: &[Token]) {
        let end = values.last().map_or(name.span.end + 2, |last| last.span.end);
        let directive = descriptor.directive;
        let (message, help) = if let Kind::AddressDevice = descriptor.kind {
            let message = format!("`{directive}` needs an address and a device");
            (message, format!("write `{directive} = 192.0.2.80 eth0:1`"))
        } else {
            let message = format!("`{directive}` has no value");
            (message, format!("a value here is: {}", descriptor.value()))
        };
        let span = Span::new(name.span.start, end.min(self.document.as_bytes().len()));
        self.report(Diagnostic::new(Code::MissingValue, span, message).help(help));
    }

    fn too_many(&mut self, kind: Kind, span: Span) {
        let help = match kind {
            Kind::Text | Kind::Path | Kind::Payload => "put quotes around a value with blanks",
            _ => "remove it, or begin a comment with `#`",
        };
        let message = "there is more on the line than the value";
        self.report(Diagnostic::new(Code::ExtraValue, span, message).help(help));
    }

    /// A line that is not `NAME = VALUE`. A directive that can be made out counts as mentioned,
    /// so that it is not also called missing.
    fn malformed(&mut self, statement: &Statement, fields: &mut Fields) {
        let tokens = self.document.tokens(statement);
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return;
        };
        let word = self.document.word(first).into_owned();
        let name = word.split('=').next().unwrap_or_default();
        let glued = word.contains('=')
            || tokens.get(1).is_some_and(|second| self.document.value(second).starts_with(b"="));
        let span = first.span.to(last.span);
        self.report(if glued {
            let message = "`=` needs a blank on either side";
            Diagnostic::new(Code::GluedEquals, span, message)
                .help(format!("write `{name} = VALUE`"))
        } else {
            let message = format!("expected `=` behind `{word}`");
            Diagnostic::new(Code::ExpectedEquals, first.span, message)
                .help("a line is `NAME = VALUE`; a comment begins with `#`")
        });
        if let Some(directive) = Directive::from_name(name) {
            fields.0.entry(directive).or_insert(Field {
                name: first.span,
                values: last.span,
                value: None,
            });
        }
    }
}

fn unknown(word: &str, span: Span, scope: Scope) -> Diagnostic {
    let message = format!("unknown directive `{word}`");
    let diagnostic = Diagnostic::new(Code::UnknownDirective, span, message);
    match Directive::nearest(word, scope) {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
        None => diagnostic,
    }
}

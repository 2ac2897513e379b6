//! Drafts of lvs.cf: what is in one, one thing changed, one made of another program's file. The
//! draft belongs to whoever sends it; nothing is kept here.

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{load, off, path, with_errors};
use super::{Answer, Context};
use crate::config::import::{Fate, Given, Source, import as express};
use crate::config::{
    Descriptor, Directive, Document, EditError, Editor, Loaded, Origin, Place, Scope, Section,
    ServiceKind, Setting, effective,
};
use crate::runtime::web::reply::Reply;
use crate::web::problem::Problem;

#[derive(Deserialize)]
struct Draft {
    text: String,
}

/// The settings of a draft, as the forms show them.
pub(super) async fn outline(context: &Context) -> Answer {
    let Draft { text } = context.json()?;
    let path = path(context).await?;
    let outline = off(move || {
        let loaded = load(&path, text.as_bytes());
        let whole = effective(&loaded).ok_or_else(|| with_errors(&path, &loaded))?;
        let mut document = Document::parse(text.as_bytes());
        let editor = document.edit().map_err(not_edited)?;
        let outline = Outline { path: &path, loaded: &loaded, editor };
        Ok::<_, Problem>(outline.section(&whole, Place::GLOBAL))
    });
    Reply::json(&outline.await??)
}

/// What an outline is made of.
struct Outline<'a> {
    path: &'a Path,
    loaded: &'a Loaded,
    editor: Editor<'a>,
}

impl Outline<'_> {
    fn section(&self, section: &Section, place: Place<'_>) -> Value {
        let settings = section.settings.iter().map(|one| told(self.path, self.loaded, one));
        let within = |inner| self.section(inner, self.inner(section, inner, place));
        json!({
            "scope": section.scope,
            "name": section.name,
            "identity": section.identity,
            "settings": settings.collect::<Vec<_>>(),
            "several": self.several(section, place),
            "sections": section.sections.iter().map(within).collect::<Vec<_>>(),
        })
    }

    /// The place of a block within that of another.
    fn inner<'p>(&self, outer: &Section, inner: &'p Section, place: Place<'p>) -> Place<'p> {
        match outer.scope {
            Scope::Global => service(kind(self.loaded), &inner.name),
            _ => place.server(&inner.name),
        }
    }

    /// What may stand several times, each time it does in this file. Nothing of a block whose name
    /// another one has too.
    fn several(&self, section: &Section, place: Place<'_>) -> Value {
        let here = |row: &&Descriptor| row.scope == section.scope && row.directive.is_repeatable();
        let values = Descriptor::ALL.iter().filter(here).filter_map(|row| {
            let values = self.editor.values(place, row.directive).ok()?;
            Some((row.directive.to_string(), json!(values)))
        });
        values.collect::<Map<_, _>>().into()
    }
}

fn kind(loaded: &Loaded) -> ServiceKind {
    loaded.config.as_ref().map_or(ServiceKind::Lvs, |config| config.service)
}

/// Services are `failover` blocks where the draft asks for them.
const fn service(kind: ServiceKind, name: &str) -> Place<'_> {
    match kind {
        ServiceKind::Lvs => Place::virtual_service(name),
        ServiceKind::Fos => Place::failover_service(name),
    }
}

fn told(path: &Path, loaded: &Loaded, setting: &Setting) -> Value {
    let mut told = json!({ "directive": setting.directive, "value": bare(&setting.value) });
    match setting.origin {
        Origin::Written(span) => {
            let name = path.to_string_lossy();
            let (file, place) = loaded.locate(&name, span);
            told["origin"] = "written".into();
            told["line"] = place.line.into();
            // What an included file says is not changed by an edit of this one.
            if file != name {
                told["file"] = file.into();
            }
        }
        Origin::Follows(other) => {
            told["origin"] = "follows".into();
            told["from"] = json!(other);
        }
        Origin::Default => told["origin"] = "default".into(),
    }
    told
}

/// A value without the quotes it is written in.
fn bare(value: &str) -> &str {
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"')
        .or_else(|| quoted('\''))
        .filter(|inner| !inner.contains(['"', '\'']))
        .unwrap_or(value)
}

#[derive(Deserialize)]
struct Edit {
    text: String,
    action: String,
    service: Option<String>,
    server: Option<String>,
    directive: Option<String>,
    value: Option<String>,
    /// Which of several, counted from 1.
    nth: Option<usize>,
    /// The new name of a block.
    name: Option<String>,
}

impl Edit {
    /// The text with this edit made.
    fn made(&self) -> Result<String, Problem> {
        let mut document = Document::parse(self.text.as_bytes());
        let place = self.place();
        let mut editor = document.edit().map_err(not_edited)?;
        match self.action.as_str() {
            "set" | "unset" | "push" => self.directed(&mut editor, place, self.directive()?),
            "add" => editor.add(place),
            "remove" => editor.remove(place),
            "rename" => editor.rename(place, self.name.as_deref().unwrap_or_default()),
            _ => {
                let actions = "`action` is set, unset, push, add, remove or rename";
                return Err(Problem::bad_request(actions));
            }
        }
        .map_err(not_edited)?;
        editor.apply();
        Ok(document.to_string())
    }

    /// What concerns a directive.
    fn directed(
        &self,
        editor: &mut Editor<'_>,
        place: Place<'_>,
        directive: Directive,
    ) -> Result<(), EditError> {
        let value = self.value.as_deref().unwrap_or_default();
        match (self.action.as_str(), self.nth) {
            ("push", _) => editor.push(place, directive, value),
            ("set", None) => editor.set(place, directive, value),
            ("set", Some(nth)) => editor.set_nth(place, directive, nth, value),
            (_, None) => editor.unset(place, directive).map(drop),
            (_, Some(nth)) => editor.unset_nth(place, directive, nth),
        }
    }

    fn directive(&self) -> Result<Directive, Problem> {
        let name = self.directive.as_deref().unwrap_or_default();
        let unknown = || Problem::bad_request(format!("there is no directive {name:?}"));
        Directive::from_name(name).ok_or_else(unknown)
    }

    /// Where.
    fn place(&self) -> Place<'_> {
        let Some(name) = self.service.as_deref() else { return Place::GLOBAL };
        let place = service(kind(&crate::config::load(self.text.as_bytes())), name);
        self.server.as_deref().map_or(place, |server| place.server(server))
    }
}

/// A draft with one thing changed.
pub(super) async fn edit(context: &Context) -> Answer {
    let edit: Edit = context.json()?;
    let text = off(move || edit.made()).await??;
    Reply::json(&json!({ "text": text }))
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands on")]
fn not_edited(error: EditError) -> Problem {
    Problem::new(422, "edit", error.to_string(), "edit the text, or send another value")
}

#[derive(Deserialize)]
struct Foreign {
    text: String,
    from: Option<String>,
    primary: Option<IpAddr>,
    backup: Option<IpAddr>,
    device: Option<String>,
    #[serde(default)]
    vips: String,
}

impl Foreign {
    fn source(&self) -> Result<Source, Problem> {
        let unknown = || {
            let title = "it cannot be told what the file is written for";
            Problem::new(422, "import", title, "say it: `from`")
        };
        match self.from.as_deref().filter(|from| !from.is_empty()) {
            Some(from) => from.parse().map_err(Problem::bad_request),
            None => Source::detect(self.text.as_bytes()).ok_or_else(unknown),
        }
    }

    fn expressed(self) -> Result<Value, Problem> {
        let source = self.source()?;
        let vips = self.vips.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        let vips = vips.map_err(|_error| Problem::bad_request("`vips` are addresses"))?;
        let Self { text, primary, backup, device, .. } = self;
        let device = device.filter(|device| !device.is_empty());
        let given = Given { primary, backup, device, vips };
        let imported = express(source, text.as_bytes(), &given);
        let refused =
            |error: crate::config::import::ImportError| Problem::bad_request(error.to_string());
        let imported = imported.map_err(refused)?;
        let lost = imported.remarks.iter().filter(|remark| remark.fate == Fate::Lost).count();
        let said = |remark: &crate::config::import::Remark| {
            let mut said = json!(remark);
            said["in_words"] = remark.to_string().into();
            said
        };
        Ok(json!({
            "from": source,
            "text": imported.document.to_string(),
            "complete": imported.is_complete(),
            "lost": lost,
            "remarks": imported.remarks.iter().map(said).collect::<Vec<_>>(),
        }))
    }
}

/// Another program's configuration as a draft, with a word on every line that is not in it.
pub(super) async fn import(context: &Context) -> Answer {
    let foreign: Foreign = context.json()?;
    Reply::json(&off(move || foreign.expressed()).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(value: Value) -> Result<String, Problem> {
        serde_json::from_value::<Edit>(value).unwrap().made()
    }

    const FILE: &str = "# mine\nprimary = 192.0.2.11\nvirtual web {\n    # kept\n    \
                        address = 192.0.2.80 eth0:1\n    server s1 {\n        weight = 1\n    }\n}\n";

    #[test]
    fn an_edit_changes_the_value_it_is_about_and_no_other_byte() {
        let set = json!({ "text": FILE, "action": "set", "service": "web", "server": "s1",
            "directive": "weight", "value": "20" });
        assert_eq!(edit(set).unwrap(), FILE.replace("weight = 1", "weight = 20"));
        let add = json!({ "text": FILE, "action": "add", "service": "web", "server": "s2" });
        let added = edit(add).unwrap();
        assert!(added.starts_with("# mine") && added.contains("server s2 {"), "{added}");
        let remove = json!({ "text": added, "action": "remove", "service": "web", "server": "s2" });
        assert_eq!(edit(remove).unwrap(), FILE);
    }

    #[test]
    fn a_block_is_renamed_and_each_of_several_is_changed() {
        let rename = json!({ "text": FILE, "action": "rename", "service": "web", "name": "shop" });
        assert_eq!(edit(rename).unwrap(), FILE.replace("virtual web", "virtual shop"));
        let push = |text: &str, value: &str| {
            let push =
                json!({ "text": text, "action": "push", "directive": "sync_file", "value": value });
            edit(push).unwrap()
        };
        let two = push(&push(FILE, "/etc/one"), "/etc/two");
        let set = json!({ "text": two, "action": "set", "directive": "sync_file", "nth": 2,
            "value": "/etc/three" });
        let set = edit(set).unwrap();
        assert_eq!(set, two.replace("/etc/two", "/etc/three"));
        let unset = json!({ "text": set, "action": "unset", "directive": "sync_file", "nth": 1 });
        let left = edit(unset).unwrap();
        assert!(!left.contains("/etc/one") && left.contains("/etc/three"), "{left}");
    }

    #[test]
    fn an_edit_that_cannot_be_made_says_why() {
        let wrong = [
            json!({ "text": FILE, "action": "set", "directive": "weight", "value": "1" }),
            json!({ "text": FILE, "action": "set", "directive": "keepalive", "value": "soon" }),
            json!({ "text": FILE, "action": "set", "directive": "nothing", "value": "1" }),
            json!({ "text": FILE, "action": "remove", "service": "ftp" }),
            json!({ "text": FILE, "action": "burn" }),
        ];
        for edit in wrong {
            assert!(self::edit(edit.clone()).is_err(), "{edit}");
        }
    }

    #[test]
    fn an_import_is_told_with_every_line_that_is_not_in_it() {
        let text = "virtual_server 192.0.2.80 80 {\n lvs_sched rr\n lvs_method NAT\n \
                    protocol TCP\n no_such_word 1\n real_server 10.0.0.1 80 {\n weight 3\n }\n}\n";
        let foreign = json!({ "text": text, "primary": "192.0.2.11" });
        let foreign: Foreign = serde_json::from_value(foreign).unwrap();
        let told = foreign.expressed().unwrap();
        assert_eq!(told["from"], "keepalived");
        assert!(told["text"].as_str().unwrap().contains("weight = 3"), "{told}");
        let remarks = told["remarks"].to_string();
        assert!(remarks.contains("no_such_word") && remarks.contains("line 5"), "{told}");
        assert!(told["lost"].as_u64() > Some(0) && told["complete"] == false);
    }
}

use serde_json::{Value, json};

use super::File;
use super::input::Input;
use crate::cli::Failure;
use crate::cli::piranha::{print, print_json};
use crate::config::{Directive, Loaded, Origin, Scope, Section, Setting};

/// Comments begin here, behind all but the longest values.
const COLUMN: usize = 40;

/// `piranha config show`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Show {
    #[command(flatten)]
    file: File,
    /// Print JSON.
    #[arg(long, short)]
    json: bool,
}

impl Show {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let input = Input::read(&self.file.file)?;
        let (loaded, whole) = input.settings()?;
        let shown = Shown { name: &input.name, loaded: &loaded };
        if self.json {
            print_json(&shown.json(&whole))?;
        } else {
            let mut text = String::new();
            shown.section(&whole, 0, &mut text);
            print(text)?;
        }
        Ok(0)
    }
}

/// A file, with those it includes, as it is shown.
struct Shown<'a> {
    name: &'a str,
    loaded: &'a Loaded,
}

impl Shown<'_> {
    /// A section as lvs.cf, each value with its origin behind it.
    fn section(&self, section: &Section, depth: usize, text: &mut String) {
        let indentation = "    ".repeat(depth);
        for setting in &section.settings {
            let line = format!("{indentation}{} = {}", setting.directive, setting.value);
            text.push_str(&format!("{line:COLUMN$} # {}\n", self.origin(setting)));
        }
        for inner in &section.sections {
            let fos = section.get(Directive::Service).is_some_and(|kind| kind.value == "fos");
            let kind = match inner.scope {
                Scope::Server => "server",
                _ if fos => "failover",
                _ => "virtual",
            };
            text.push_str(&format!("{indentation}{kind} \"{}\" {{\n", inner.name));
            self.section(inner, depth + 1, text);
            text.push_str(&format!("{indentation}}}\n"));
        }
    }

    fn origin(&self, setting: &Setting) -> String {
        match setting.origin {
            Origin::Written(span) => {
                let (file, position) = self.loaded.locate(self.name, span);
                format!("{file}:{}", position.line)
            }
            Origin::Follows(from) => format!("follows {from}"),
            Origin::Default => "default".to_owned(),
        }
    }

    fn json(&self, section: &Section) -> Value {
        json!({
            "name": section.name,
            "identity": section.identity,
            "settings": Vec::from_iter(section.settings.iter().map(|s| self.setting(s))),
            "sections": Vec::from_iter(section.sections.iter().map(|inner| self.json(inner))),
        })
    }

    fn setting(&self, setting: &Setting) -> Value {
        let (origin, place, follows) = match setting.origin {
            Origin::Written(span) => ("written", Some(self.loaded.locate(self.name, span)), None),
            Origin::Follows(from) => ("follows", None, Some(from)),
            Origin::Default => ("default", None, None),
        };
        json!({
            "directive": setting.directive,
            "value": setting.value,
            "origin": origin,
            "file": place.map(|(file, _)| file),
            "line": place.map(|(_, position)| position.line),
            "follows": follows,
        })
    }
}

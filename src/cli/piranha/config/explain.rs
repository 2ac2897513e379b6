use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::piranha::{print, print_json};
use crate::config::{Code, Descriptor, Directive, Since, note};

/// A section for each code, under a heading that begins with it.
const DIAGNOSTICS: &str = include_str!("../../../../docs/diagnostics.md");

/// `piranha config explain`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Explain {
    /// The name of a directive such as `deadtime`, or a code such as E0102.
    #[arg(value_name = "DIRECTIVE|CODE")]
    name: String,
    /// Print JSON.
    #[arg(long, short)]
    json: bool,
}

impl Explain {
    pub(super) fn run(self) -> Result<u8, Failure> {
        if let Some(code) = Code::ALL.iter().find(|c| c.as_str().eq_ignore_ascii_case(&self.name)) {
            return self.code(*code);
        }
        if let Some(directive) = Directive::from_name(&self.name) {
            return self.directive(directive);
        }
        let suggestion = Directive::nearest_anywhere(&self.name)
            .map(|meant| format!(": did you mean `{meant}`?"))
            .unwrap_or_default();
        Err(Failure::new(format!("there is no directive or code `{}`{suggestion}", self.name)))
    }

    fn directive(&self, directive: Directive) -> Result<u8, Failure> {
        let rows = Descriptor::ALL.iter().filter(|row| row.directive == directive);
        if self.json {
            print_json(&Vec::from_iter(rows.map(row_json)).into())?;
        } else {
            print(Vec::from_iter(rows.map(row)).join("\n"))?;
        }
        Ok(0)
    }

    fn code(&self, code: Code) -> Result<u8, Failure> {
        let severity = code.severity();
        let explanation = section(code);
        if self.json {
            print_json(&json!({
                "code": code,
                "severity": severity,
                "meaning": code.meaning(),
                "explanation": explanation,
            }))?;
        } else {
            let meaning = code.meaning();
            print(format!(
                "{severity}[{code}]: {meaning}\n\n{}\n",
                explanation.unwrap_or_default()
            ))?;
        }
        Ok(0)
    }
}

/// What the documentation says about a code, without its heading.
fn section(code: Code) -> Option<&'static str> {
    let sections = DIAGNOSTICS.split("\n### ").skip(1);
    let mut about = sections.filter_map(|section| section.strip_prefix(code.as_str()));
    let (_heading, text) = about.next()?.split_once('\n')?;
    // The last one of a chapter has the heading of the next behind it.
    Some(text.split("\n## ").next()?.trim())
}

fn row(row: &Descriptor) -> String {
    let mut text = format!("{}, {}\n    {}\n", row.directive, row.scope, row.doc);
    if let Some(note) = note(row.directive, row.scope) {
        write_line(&mut text, "", note);
    }
    write_line(&mut text, "value:   ", &row.value());
    write_line(&mut text, "default: ", if row.default.is_empty() { "none" } else { row.default });
    write_line(&mut text, "example: ", &row.example());
    write_line(&mut text, "since:   ", since(row.since));
    text
}

fn write_line(text: &mut String, label: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "    {label}{value}");
}

const fn since(since: Since) -> &'static str {
    match since {
        Since::Historical => "Piranha 0.8.6 or before",
        Since::Extension => "new here; Piranha 0.8.6 refuses a file with it",
    }
}

fn row_json(row: &Descriptor) -> Value {
    json!({
        "directive": row.directive,
        "scope": row.scope,
        "meaning": row.doc,
        "note": note(row.directive, row.scope),
        "value": row.value(),
        "default": (!row.default.is_empty()).then_some(row.default),
        "example": row.example(),
        "since": row.since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_section_of_its_own() {
        for &code in Code::ALL {
            let text = section(code).unwrap_or_default();
            assert!(text.len() > 20 && !text.contains("\n#"), "{code}: {text:?}");
        }
        assert!(section(Code::ALL[0]).unwrap().starts_with("Such a file is kept"));
    }
}

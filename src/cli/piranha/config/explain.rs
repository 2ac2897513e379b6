use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::piranha::{print, print_json};
use crate::config::{Code, Descriptor, Directive, Since, note};

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
        if self.json {
            print_json(&json!({
                "code": code,
                "severity": severity,
                "meaning": code.meaning(),
            }))?;
        } else {
            print(format!("{severity}[{code}]: {}\n", code.meaning()))?;
        }
        Ok(0)
    }
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

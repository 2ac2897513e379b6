use serde_json::{Value, json};

use super::File;
use super::input::Input;
use crate::cli::Failure;
use crate::cli::piranha::{print, print_json};
use crate::config::{Diagnostic, Document, Loaded, Related, Span, by_file, refused_by_086};
use crate::runtime::configuration::Machine;

/// `piranha config check`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Check {
    #[command(flatten)]
    file: File,
    /// Count warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Say what a node that runs Piranha 0.8.6 would refuse, and count that as an error.
    #[arg(long = "strict-0.8.6")]
    strict_086: bool,
    /// Also warn of network interfaces that this machine does not have.
    #[arg(long)]
    devices: bool,
    /// Print the diagnostics as JSON on standard output.
    #[arg(long, short)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let input = Input::read(&self.file.file)?;
        let machine = Machine::default();
        let machine = if self.devices { machine.with_devices() } else { machine };
        let mut loaded = input.load(&machine);
        let refused = if self.strict_086 { refused_by_086(&loaded.document) } else { Vec::new() };
        let passes_086 = refused.is_empty();
        loaded.diagnostics.extend(refused);
        let Loaded { document, included, diagnostics, .. } = &loaded;
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let warnings = diagnostics.len() - errors;
        let passed = errors == 0 && (warnings == 0 || !self.strict) && passes_086;
        if self.json {
            let files = by_file(&input.name, document, included, diagnostics);
            let shown = files.iter().flat_map(|(name, document, about)| {
                about.iter().map(move |d| diagnostic(name, document, d))
            });
            print_json(&json!({
                "file": input.name,
                "ok": passed,
                "errors": errors,
                "warnings": warnings,
                "diagnostics": Vec::from_iter(shown),
            }))?;
        } else {
            input.complain(&loaded, diagnostics);
            print(verdict(&input.name, errors, warnings))?;
        }
        Ok(u8::from(!passed))
    }
}

/// `lvs.cf: 2 errors, 1 warning: it cannot be used`
fn verdict(name: &str, errors: usize, warnings: usize) -> String {
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    };
    let found: Vec<_> =
        [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
    match (errors, found.join(", ")) {
        (0, found) if found.is_empty() => format!("{name}: no errors\n"),
        (0, found) => format!("{name}: no errors, {found}\n"),
        (_, found) => format!("{name}: {found}: it cannot be used\n"),
    }
}

fn diagnostic(file: &str, document: &Document, diagnostic: &Diagnostic) -> Value {
    json!({
        "file": file,
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "span": span(document, diagnostic.span),
        "related": Vec::from_iter(diagnostic.related.iter().map(|r| related(document, r))),
    })
}

fn related(document: &Document, related: &Related) -> Value {
    json!({ "message": related.message, "span": span(document, related.span) })
}

/// A place in bytes from 0, and as editors count.
fn span(document: &Document, span: Span) -> Value {
    let place = |offset| {
        let position = document.position(offset);
        json!({ "byte": offset, "line": position.line, "column": position.column })
    };
    json!({ "start": place(span.start), "end": place(span.end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_whether_the_file_can_be_used() {
        assert_eq!(verdict("a", 0, 0), "a: no errors\n");
        assert_eq!(verdict("a", 0, 1), "a: no errors, 1 warning\n");
        assert_eq!(verdict("a", 2, 1), "a: 2 errors, 1 warning: it cannot be used\n");
    }
}

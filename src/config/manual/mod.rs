//! The manual page lvs.cf(5), from the table of directives.

mod example;
mod notes;
mod text;

pub use notes::note;

use super::{Code, Descriptor, Directive, Severity, Since};

/// The longest line that `mandoc -Tlint` has no remark about.
const WIDTH: usize = 80;

/// The manual page lvs.cf(5) as troff with the `man` macros.
#[must_use]
pub fn manual() -> String {
    let mut page = text::HEAD.to_owned();
    for (scope, title, introduction) in text::SCOPES {
        page.push_str(&format!(".SH {title}\n{introduction}\n"));
        let rows = Descriptor::ALL.iter().filter(|row| row.scope == scope);
        rows.for_each(|row| directive(&mut page, row));
    }
    page.push_str(text::DIAGNOSTICS);
    for severity in [Severity::Error, Severity::Warning] {
        let codes = Code::ALL.iter().filter(|code| code.severity() == severity);
        codes.for_each(|&code| tagged(&mut page, code.as_str(), &format!("{}.", code.meaning())));
    }
    page.push_str(text::TAIL);
    fill(&page)
}

fn directive(page: &mut String, row: &Descriptor) {
    let value = match row.kind.arity() {
        Some(2) => "ADDRESS DEVICE",
        _ => "VALUE",
    };
    tagged(page, &format!("{} = {value}", row.directive), row.doc);
    if let Some(note) = note(row.directive, row.scope) {
        line(page, note);
    }
    page.push_str(".br\n");
    let since = match row.since {
        Since::Historical => "",
        Since::Extension => " Not in Piranha 0.8.6.",
    };
    line(page, &format!("Value: {}. {}{since}", row.value(), default(row)));
    page.push_str(".br\n");
    line(page, &format!("Example: {}", row.example()));
}

fn default(row: &Descriptor) -> String {
    match row.default {
        "" if row.directive == Directive::Address || row.directive == Directive::Primary => {
            "Must be given.".to_owned()
        }
        "" => "No default.".to_owned(),
        default => format!("Default: {default}."),
    }
}

/// A paragraph with a tag in bold.
fn tagged(page: &mut String, tag: &str, body: &str) {
    page.push_str(".TP\n.B ");
    line(page, tag);
    line(page, body);
}

/// A line of text, with what troff takes for its own escaped.
fn line(page: &mut String, text: &str) {
    if text.starts_with(['.', '\'']) {
        page.push_str("\\&");
    }
    for letter in text.chars() {
        match letter {
            '\\' => page.push_str("\\e"),
            '-' => page.push_str("\\-"),
            '\'' => page.push_str("\\(aq"),
            '`' => page.push_str("\\(ga"),
            '"' => page.push_str("\\(dq"),
            other => page.push(other),
        }
    }
    page.push('\n');
}

/// The page with each sentence on a line of its own, and no line longer than 80 bytes unless a
/// word is. Requests and examples stay as they are.
fn fill(page: &str) -> String {
    let mut filled = String::with_capacity(page.len());
    let mut verbatim = false;
    for line in page.lines() {
        verbatim = (verbatim || line == ".EX") && line != ".EE";
        if verbatim || line.starts_with('.') {
            filled.push_str(line);
            filled.push('\n');
        } else {
            fill_text(line, &mut filled);
        }
    }
    filled
}

fn fill_text(text: &str, filled: &mut String) {
    let mut line = String::new();
    for word in text.split(' ') {
        let full = line.len() + 1 + word.len() > WIDTH || line.ends_with('.');
        // A line that begins with either would be a request.
        if full && !line.is_empty() && !word.starts_with(['.', '\'']) {
            filled.push_str(&line);
            filled.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    filled.push_str(&line);
    filled.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_in_every_scope_is_in_the_manual() {
        let page = manual();
        for row in Descriptor::ALL {
            let tag = format!(".TP\n.B {} = ", row.directive);
            let scopes = row.directive.scopes().count();
            assert_eq!(page.matches(&tag).count(), scopes, "{}", row.directive);
        }
    }

    #[test]
    fn text_cannot_become_a_request_or_an_escape() {
        let mut page = String::new();
        line(&mut page, r".so '\n' -x");
        assert_eq!(page, "\\&.so \\(aq\\en\\(aq \\-x\n");
    }
}

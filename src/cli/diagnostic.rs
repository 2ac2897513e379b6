//! Diagnostics as the compiler of Rust shows them: code, place, line, caret, mend.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::{Diagnostic, Severity, Span};

/// Whether to show colours.
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colors {
    /// Plain text, for files and pipes.
    Off,
    /// ANSI escapes, for terminals.
    On,
}

/// Shows `diagnostics` with the lines of `source` they are about, one after the other.
///
/// `file_name` is shown as it is. Control characters and bytes that are not UTF-8 are replaced:
/// a configuration cannot play tricks on the terminal.
#[must_use]
pub fn render(
    file_name: &str,
    source: &[u8],
    diagnostics: &[Diagnostic],
    colors: Colors,
) -> String {
    let renderer = match colors {
        Colors::Off => Renderer::plain(),
        Colors::On => Renderer::styled(),
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let text = printable(source);
    let mut shown = String::new();
    for diagnostic in diagnostics {
        let report = report(file_name, &text, diagnostic);
        shown.push_str(&renderer.render(&report));
        shown.push_str("\n\n");
    }
    shown
}

fn report<'a>(file_name: &'a str, text: &'a str, diagnostic: &'a Diagnostic) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let primary = snippet(file_name, text, diagnostic.span);
    let mut main = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str())
        .element(primary);
    if let Some(help) = &diagnostic.help {
        main = main.element(Level::HELP.message(help.as_str()));
    }
    let others = diagnostic.related.iter().map(|related| {
        Level::NOTE.secondary_title(related.message.as_str()).element(snippet(
            file_name,
            text,
            related.span,
        ))
    });
    std::iter::once(main).chain(others).collect()
}

/// The lines that hold `span`, which keeps the cost of a diagnostic apart from the file's size.
fn snippet<'a>(
    file_name: &'a str,
    text: &'a str,
    span: Span,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let end = span.end.min(text.len());
    let start = span.start.min(end);
    let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let last = text[end..].find('\n').map_or(text.len(), |at| end + at);
    let line = text[..first].bytes().filter(|&byte| byte == b'\n').count() + 1;
    Snippet::source(&text[first..last])
        .line_start(line)
        .path(file_name)
        .annotation(AnnotationKind::Primary.span(start - first..end - first))
}

/// The text with every offset kept: each byte that is not UTF-8 and each control character becomes
/// a `?`, a carriage return ends a line or is a blank before the line feed that does.
fn printable(source: &[u8]) -> String {
    let mut text = String::with_capacity(source.len());
    for chunk in source.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    let mut bytes = text.chars().peekable();
    let mut shown = String::with_capacity(source.len());
    while let Some(letter) = bytes.next() {
        match letter {
            '\r' if bytes.peek() == Some(&'\n') => shown.push(' '),
            '\r' => shown.push('\n'),
            '\n' | '\t' => shown.push(letter),
            control if control.is_control() => {
                shown.extend(std::iter::repeat_n('?', control.len_utf8()));
            }
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn shown(source: &[u8]) -> String {
        render("lvs.cf", source, &load(source).diagnostics, Colors::Off)
    }

    #[test]
    fn a_diagnostic_shows_code_place_line_caret_and_mend() {
        insta::assert_snapshot!(shown(b"primary = \nwieght = 3\n"), @r"
        error[E0104]: `primary` has no value
         --> lvs.cf:1:1
          |
        1 | primary = 
          | ^^^^^^^^^
          |
          = help: a value here is: IP address

        error[E0102]: unknown directive `wieght`
         --> lvs.cf:2:1
          |
        2 | wieght = 3
          | ^^^^^^
          |
          = help: did you mean `weight`?
        ");
    }

    #[test]
    fn another_place_that_matters_is_shown_too() {
        insta::assert_snapshot!(shown(b"primary = 192.0.2.11\nservice = lvs\n\nservice = lvs"), @r"
        error[E0302]: no virtual service is active
         --> lvs.cf:1:1
          |
        1 | primary = 192.0.2.11
          | ^
          |
          = help: there must be at least one `virtual` block with `active = 1`

        warning[W0105]: `service` stands here a second time, and this one counts
         --> lvs.cf:4:1
          |
        4 | service = lvs
          | ^^^^^^^
          |
          = help: remove one of them
        note: this one does not count
         --> lvs.cf:2:1
          |
        2 | service = lvs
          | ^^^^^^^^^^^^^
        ");
    }

    #[test]
    fn escapes_and_rubbish_do_not_reach_the_terminal() {
        let shown = shown(b"\x1b[2J\xff\xc2\x9b = 1\r\nb\rc\r");
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        let colored = render("lvs.cf", b"a", &load(b"a").diagnostics, Colors::On);
        assert!(colored.contains("\x1b["));
    }
}

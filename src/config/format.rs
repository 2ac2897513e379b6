//! One layout for every file.

use super::span::line_end;
use super::syntax::{Document, Quote, Shape, Statement};

const INDENTATION: &str = "    ";
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The same file in the common layout: four blanks for each block, single blanks between words,
/// LF at the end of each line, no byte order mark, and at most one empty line in a row.
///
/// What the file means, the words it uses and its comments stay. A line with an open quote, where
/// blanks may matter, keeps everything behind its indentation. Formatting twice is formatting
/// once. The cost is linear in the size of the file. One larger than 16 MiB stays as it is.
///
/// ```
/// use piranha::config::{Document, format};
///
/// let document = Document::parse(b"virtual  web {\n\tactive =  1   # on\n\n\n}");
/// assert_eq!(format(&document), b"virtual web {\n    active = 1 # on\n\n}\n");
/// ```
#[must_use]
pub fn format(document: &Document) -> Vec<u8> {
    if document.is_oversized() {
        return document.to_bytes();
    }
    let mut layout = Layout { text: Vec::new(), depth: 0, empty: false };
    let mut statements = document.statements().iter().peekable();
    let bytes = document.as_bytes();
    let mut start = document.text_start();
    while start < bytes.len() {
        let (end, next) = line_end(bytes, start);
        let of_line = |statement: &&Statement| {
            document.tokens(statement).first().is_some_and(|first| first.span().start < next)
        };
        match statements.next_if(of_line) {
            Some(statement) => layout.statement(document, statement, end),
            None => layout.comment(bytes[start..end].trim_ascii()),
        }
        start = next;
    }
    layout.text
}

struct Layout {
    text: Vec<u8>,
    depth: usize,
    /// An empty line is due before the next one that is not.
    empty: bool,
}

impl Layout {
    fn comment(&mut self, text: &[u8]) {
        if text.is_empty() {
            self.empty = !self.text.is_empty();
        } else {
            self.line(text);
        }
    }

    /// A statement whose line ends at `end`.
    fn statement(&mut self, document: &Document, statement: &Statement, end: usize) {
        if statement.shape == Shape::Close {
            self.depth = self.depth.saturating_sub(1);
        }
        let line = words(document, statement, end);
        self.line(&line);
        // A brace on a line of its own opens what the line before has announced.
        let opens = match statement.shape {
            Shape::Open => !line.ends_with(b"}") && line.contains(&b'{'),
            Shape::Brace => true,
            Shape::Assignment | Shape::Close | Shape::Other => false,
        };
        self.depth += usize::from(opens);
    }

    fn line(&mut self, text: &[u8]) {
        if std::mem::take(&mut self.empty) {
            self.text.push(b'\n');
        }
        if self.text.is_empty() && text.starts_with(MARK) {
            // A first word that begins like a byte order mark would be taken for one.
            self.text.extend(MARK);
        }
        for _ in 0..self.depth {
            self.text.extend(INDENTATION.as_bytes());
        }
        self.text.extend(text);
        self.text.push(b'\n');
    }
}

/// The words of a statement, and the comment behind them, with single blanks between.
fn words(document: &Document, statement: &Statement, end: usize) -> Vec<u8> {
    let bytes = document.as_bytes();
    let tokens = document.tokens(statement);
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Vec::new();
    };
    if tokens.iter().any(|token| token.quote == Quote::Open) {
        return bytes[first.span().start..end].to_vec();
    }
    let comment = bytes[last.span().end..end].trim_ascii();
    let words = tokens.iter().map(|token| &bytes[token.span().start..token.span().end]);
    let words: Vec<_> = words.chain((!comment.is_empty()).then_some(comment)).collect();
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::load;

    fn formatted(bytes: &[u8]) -> Vec<u8> {
        format(&Document::parse(bytes))
    }

    #[test]
    fn comments_and_words_stay_and_the_layout_is_one() {
        let text = b"\xef\xbb\xbf# head\r\n\r\n\r\nprimary=1\r\n\tvirtual   \"a  b\"  {\r\n#in\r\n\
            send = 'x  y'   # why\r\n server  s {\r\n weight = 1\r\n}\r\n\r\n} rest";
        let expected = "# head\n\nprimary=1\nvirtual \"a  b\" {\n    #in\n    send = 'x  y' # why\n    \
            server s {\n        weight = 1\n    }\n\n} rest\n";
        assert_eq!(String::from_utf8(formatted(text)).unwrap(), expected);
    }

    #[test]
    fn an_open_quote_keeps_its_line() {
        assert_eq!(formatted(b"  send =   \"a  b "), b"send =   \"a  b \n");
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "virtual", "server", "a", "{", "}", "=", "weight", "1", "\"", "'", "#", " ", "  ",
            "\t", "\n", "\n\n", "\r\n", "\r", "\\", "\u{feff}", "\u{a0}", "\u{b}",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn formatting_twice_is_formatting_once(bytes in file()) {
            let once = formatted(&bytes);
            prop_assert_eq!(formatted(&once), once);
        }

        #[test]
        fn the_words_of_the_file_stay(bytes in file()) {
            let words = |bytes: &[u8]| {
                let document = Document::parse(bytes);
                let statements = document.statements().iter();
                let tokens = statements.flat_map(|s| document.tokens(s).to_vec());
                Vec::from_iter(tokens.map(|token| document.value(&token).to_vec()))
            };
            prop_assert_eq!(words(&formatted(&bytes)), words(&bytes));
        }

        #[test]
        fn what_is_wrong_with_a_file_stays(bytes in file()) {
            let codes = |bytes: &[u8]| {
                let found = load(bytes).diagnostics.into_iter().filter(|d| d.is_error());
                Vec::from_iter(found.map(|d| d.code))
            };
            prop_assert_eq!(codes(&formatted(&bytes)), codes(&bytes));
        }
    }
}

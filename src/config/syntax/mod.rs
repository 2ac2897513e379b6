//! The lossless tree: the text itself, with an index of its statements and blocks.
//!
//! Whatever is not a statement (comments, blank lines, indentation) is the text between
//! statements; nothing is ever printed from the index, so nothing can be lost.

mod lexer;
mod outline;

use std::fmt;

use lexer::narrow;
pub(crate) use lexer::{Quote, Token};
pub(crate) use outline::{Block, BlockKind};

use super::diagnostic::Sink;
use super::span::{LineIndex, line_end};
use super::{Code, Diagnostic, Position, Span};

/// The largest file that is read, in bytes.
pub(crate) const MAX_FILE: usize = 16 << 20;
/// The longest line that is read, in bytes.
pub(crate) const MAX_LINE: usize = 16 << 10;

/// An lvs.cf as it was written.
///
/// Reading never fails: whatever does not make sense stays in the text and comes out of
/// [`load`](super::load) as a diagnostic. What was not edited is printed byte for byte.
///
/// ```
/// use piranha::config::Document;
///
/// let text = b"  keepalive=6 # no blanks\r\n\xff";
/// assert_eq!(Document::parse(text).as_bytes(), text);
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    text: Vec<u8>,
    lines: LineIndex,
    tokens: Vec<Token>,
    statements: Vec<Statement>,
    blocks: Vec<Block>,
    problems: Sink,
}

/// The words of a line, its ending left out.
pub(crate) fn words(line: &[u8]) -> Vec<Token> {
    let (end, _) = line_end(line, 0);
    let mut tokens = Vec::new();
    lexer::tokenise(line, Span::new(0, end), &mut tokens);
    tokens
}

/// A line that is neither blank nor a comment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) shape: Shape,
    /// Index of the block it stands in and 1, or 0.
    block: u32,
    first_token: u32,
    past_tokens: u32,
}

impl Statement {
    /// The block it stands in; a header stands in the block around its own.
    pub(crate) const fn block(&self) -> Option<usize> {
        (self.block as usize).checked_sub(1)
    }

    fn set_block(&mut self, block: Option<usize>) {
        self.block = block.map_or(0, |block| narrow(block + 1));
    }
}

/// What a statement looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// `NAME = VALUE...`, the values possibly missing.
    Assignment,
    /// `KIND NAME {`, or something that was meant to be.
    Open,
    /// `{` on a line of its own.
    Brace,
    /// `}`, possibly with text behind it.
    Close,
    /// Anything else.
    Other,
}

impl Document {
    /// Reads `bytes`, whatever they are.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut document = Self {
            text: bytes.to_vec(),
            lines: LineIndex::default(),
            tokens: Vec::new(),
            statements: Vec::new(),
            blocks: Vec::new(),
            problems: Sink::default(),
        };
        if bytes.len() > MAX_FILE {
            let message = format!("the file has {} bytes, more than 16 MiB", bytes.len());
            document.report(Diagnostic::new(Code::FileTooLarge, Span::default(), message));
        } else {
            document.read_lines();
            outline::build(&mut document);
        }
        document
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// A copy of the text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// Line and column of the byte at `offset`; of the end for an offset behind it. Lines of a
    /// file beyond the size limit are not counted.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(&self.text, offset)
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn problems(&self) -> &Sink {
        &self.problems
    }

    pub(crate) fn is_oversized(&self) -> bool {
        self.text.len() > MAX_FILE
    }

    /// Offset behind the byte order mark, if there is one.
    pub(crate) fn text_start(&self) -> usize {
        if self.text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
    }

    pub(crate) fn tokens(&self, statement: &Statement) -> &[Token] {
        &self.tokens[statement.first_token as usize..statement.past_tokens as usize]
    }

    /// Offset of the first byte of a statement.
    pub(crate) fn start_of(&self, statement: &Statement) -> usize {
        self.tokens(statement).first().map_or(0, |token| token.span().start)
    }

    /// What a token stands for: its bytes without the quotes around them.
    pub(crate) fn value(&self, token: &Token) -> &[u8] {
        &self.text[token.inner().start..token.inner().end]
    }

    /// The same as text, for names and messages.
    pub(crate) fn word(&self, token: &Token) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.value(token))
    }

    /// Whether `token` is exactly `word`, without quotes.
    pub(crate) fn is(&self, token: &Token, word: &str) -> bool {
        token.quote == Quote::None && self.value(token) == word.as_bytes()
    }

    /// The name of a block, if it has one.
    pub(crate) fn block_name(&self, block: &Block) -> String {
        match self.tokens(&self.statements[block.header]) {
            [_, name, ..] if !self.is(name, "{") => self.word(name).into_owned(),
            _ => String::new(),
        }
    }

    /// The first two words of a block's header, or as many as there are.
    pub(crate) fn header_span(&self, block: &Block) -> Span {
        let tokens = self.tokens(&self.statements[block.header]);
        match tokens {
            [first, name, ..] if !self.is(name, "{") => first.span().to(name.span()),
            [first, ..] => first.span(),
            [] => Span::default(),
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    fn read_lines(&mut self) {
        let mut notices = Notices::default();
        let mut start = 0;
        self.lines.push(0);
        while start < self.text.len() {
            let (end, next) = line_end(&self.text, start);
            notices.line_ending(&self.text[end..next], end);
            if next > end {
                self.lines.push(next);
            }
            self.read_line(Span::new(start, end), &mut notices);
            start = next;
        }
        notices.report(&mut self.problems);
    }

    fn read_line(&mut self, line: Span, notices: &mut Notices) {
        let from = line.start.max(self.text_start());
        notices.byte_order_mark |= from != line.start;
        let Some(first) = lexer::first_word(&self.text, Span::new(from, line.end)) else {
            return;
        };
        if line.end - line.start > MAX_LINE {
            let message = "the line is longer than 16 KiB";
            let span = Span::new(first, first + 1);
            return self.report(Diagnostic::new(Code::LineTooLong, span, message));
        }
        let first_token = self.tokens.len();
        let within = Span::new(first, line.end);
        if let Some(comment) = lexer::tokenise(&self.text, within, &mut self.tokens) {
            notices.comment(Span::new(comment, line.end));
        }
        self.statements.push(Statement {
            shape: self.shape_of(&self.tokens[first_token..]),
            block: 0,
            first_token: narrow(first_token),
            past_tokens: narrow(self.tokens.len()),
        });
    }

    fn shape_of(&self, tokens: &[Token]) -> Shape {
        let bare = |token: &Token| match token.quote {
            Quote::None => self.value(token),
            Quote::Single | Quote::Double | Quote::Open => b"",
        };
        match tokens {
            [first, ..] if bare(first).starts_with(b"}") => Shape::Close,
            [only] if self.is(only, "{") => Shape::Brace,
            [first, ..] if outline::is_header(self, first) => Shape::Open,
            [_, equals, ..] if self.is(equals, "=") => Shape::Assignment,
            [.., last] if bare(last).ends_with(b"{") => Shape::Open,
            _ => Shape::Other,
        }
    }
}

impl fmt::Display for Document {
    /// The text, with a replacement character for what is not UTF-8; [`Document::as_bytes`] has
    /// it unchanged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// What is said once for the whole file.
#[derive(Default)]
struct Notices {
    byte_order_mark: bool,
    carriage_return: Option<usize>,
    line_feed: bool,
    comment: Option<Span>,
    comments: usize,
}

impl Notices {
    fn line_ending(&mut self, ending: &[u8], at: usize) {
        self.line_feed |= ending.contains(&b'\n');
        if ending.contains(&b'\r') {
            self.carriage_return.get_or_insert(at);
        }
    }

    fn comment(&mut self, span: Span) {
        self.comment.get_or_insert(span);
        self.comments += 1;
    }

    fn report(&self, sink: &mut Sink) {
        if self.byte_order_mark {
            let span = Span::new(0, 3);
            let message = "the file begins with a byte order mark, which Piranha 0.8.6 refuses";
            sink.push(
                Diagnostic::new(Code::ByteOrderMark, span, message)
                    .help("save it as UTF-8 without the mark"),
            );
        }
        if let (Some(at), true) = (self.carriage_return, self.line_feed) {
            let message = "lines end with a carriage return, and Piranha 0.8.6 loses such lines";
            sink.push(
                Diagnostic::new(Code::CarriageReturns, Span::new(at, at), message)
                    .help("convert the file, for instance with `dos2unix`"),
            );
        }
        if let Some(span) = self.comment {
            let message = match self.comments {
                1 => "Piranha 0.8.6 refuses a comment behind a directive".to_owned(),
                n => format!("Piranha 0.8.6 refuses comments behind directives; {n} lines do so"),
            };
            sink.push(
                Diagnostic::new(Code::TrailingComment, span, message)
                    .help("put the comment on a line of its own if an old node reads this file"),
            );
        }
    }
}

//! Which statement stands in which block, and what is wrong with the braces.

use super::{Document, Quote, Shape, Span, Token};
use crate::config::{Code, Diagnostic};

const MAX_DEPTH: usize = 8;

/// The kinds of blocks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum BlockKind {
    Virtual,
    Failover,
    Server,
    /// Not a kind there is; what stands in it is not looked at.
    Unknown,
}

impl BlockKind {
    fn of(word: &[u8]) -> Self {
        match word {
            b"virtual" => Self::Virtual,
            b"failover" => Self::Failover,
            b"server" => Self::Server,
            _ => Self::Unknown,
        }
    }

    /// The word a block of this kind begins with.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Failover => "failover",
            Self::Server => "server",
            Self::Unknown => "block",
        }
    }
}

/// A block and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    /// Index of the statement that opens it.
    pub(crate) header: usize,
    /// The block around it.
    pub(crate) parent: Option<usize>,
}

/// Whether a line that begins with `first` opens a block whatever follows.
pub(super) fn is_header(document: &Document, first: &Token) -> bool {
    first.quote == Quote::None && kind_of(document, first) != BlockKind::Unknown
}

/// Finds the blocks of `document` and puts every statement into its own.
pub(super) fn build(document: &mut Document) {
    let mut outline = Outline { open: Vec::new(), brace_due: false };
    for index in 0..document.statements.len() {
        outline.step(document, index);
    }
    for block in outline.open {
        unclosed(document, block);
    }
}

struct Outline {
    /// Open blocks, the innermost last.
    open: Vec<usize>,
    /// The statement before was a header without its brace.
    brace_due: bool,
}

impl Outline {
    fn step(&mut self, document: &mut Document, index: usize) {
        let brace_due = std::mem::take(&mut self.brace_due);
        match document.statements[index].shape {
            Shape::Brace if brace_due => {}
            Shape::Brace => self.stray_brace(document, index),
            Shape::Open => self.open(document, index),
            Shape::Close => self.close(document, index),
            Shape::Assignment | Shape::Other => {
                document.statements[index].set_block(self.open.last().copied());
            }
        }
    }

    fn open(&mut self, document: &mut Document, index: usize) {
        let first = document.tokens(&document.statements[index])[0];
        let kind = kind_of(document, &first);
        self.make_room(document, kind, first.span());
        let parent = self.open.last().copied();
        document.statements[index].set_block(parent);
        if kind == BlockKind::Unknown {
            self.unknown(document, &first);
        }
        let header =
            if kind == BlockKind::Unknown { Header::Open } else { Header::read(document, index) };
        self.brace_due = header == Header::BraceDue;
        if header != Header::Closed {
            self.push(document, kind, index);
        }
    }

    fn push(&mut self, document: &mut Document, kind: BlockKind, header: usize) {
        let parent = self.open.last().copied();
        self.open.push(document.blocks.len());
        document.blocks.push(Block { kind, header, parent });
    }

    /// Closes what cannot hold a block of this kind: most likely its own brace is missing.
    fn make_room(&mut self, document: &mut Document, kind: BlockKind, span: Span) {
        let innermost = self.open.last().map(|&block| document.blocks[block].kind);
        let message = match (kind, innermost) {
            (BlockKind::Virtual | BlockKind::Failover, Some(_)) => {
                self.open.clear();
                "this block cannot stand inside another one"
            }
            (BlockKind::Server, Some(BlockKind::Server)) => {
                self.open.pop();
                "a `server` block cannot stand inside another one"
            }
            (BlockKind::Server, None) => "a `server` block stands outside a `virtual` block",
            _ => return,
        };
        document.report(
            Diagnostic::new(Code::MisplacedBlock, span, message)
                .help("is a `}` missing, or one too many, above this line?"),
        );
    }

    fn unknown(&self, document: &mut Document, first: &Token) {
        let diagnostic = if self.open.len() >= MAX_DEPTH {
            let message = "blocks are nested more than eight deep";
            Diagnostic::new(Code::NestedTooDeeply, first.span(), message)
        } else {
            let word = document.word(first).trim_end_matches('{').to_owned();
            let message = format!("unknown block `{word}`");
            let kinds = ["virtual", "server", "failover"];
            let help = match crate::config::suggest::nearest(&word, kinds) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "a block is `virtual NAME {`, or in it `server NAME {`".to_owned(),
            };
            Diagnostic::new(Code::UnknownBlock, first.span(), message).help(help)
        };
        document.report(diagnostic);
    }

    fn stray_brace(&mut self, document: &mut Document, index: usize) {
        let span = document.tokens(&document.statements[index])[0].span();
        let message = "this `{` does not belong to a block";
        document.report(
            Diagnostic::new(Code::UnmatchedBrace, span, message)
                .help("a block begins with one line: `virtual NAME {`"),
        );
        self.push(document, BlockKind::Unknown, index);
    }

    fn close(&mut self, document: &mut Document, index: usize) {
        let tokens = document.tokens(&document.statements[index]);
        let (first, rest) = (tokens[0], tokens.get(1).zip(tokens.last()));
        let behind = rest.map(|(from, to)| from.span().to(to.span()));
        let glued = !document.is(&first, "}");
        document.statements[index].set_block(self.open.last().copied());
        if self.open.pop().is_none() {
            let message = "this `}` closes nothing";
            document.report(
                Diagnostic::new(Code::UnmatchedBrace, first.span(), message)
                    .help("remove it, or look for a `}` too many above"),
            );
        } else if glued {
            let message = "a `}` stands alone on its line";
            document.report(Diagnostic::new(Code::TextAfterBrace, first.span(), message));
        } else if let Some(span) = behind {
            let message = "text behind `}` is ignored, as in Piranha 0.8.6";
            document.report(Diagnostic::new(Code::TextAfterClose, span, message));
        }
    }
}

/// How a header ends.
#[derive(Eq, PartialEq)]
enum Header {
    Open,
    BraceDue,
    /// The closing brace follows on the same line.
    Closed,
}

impl Header {
    fn read(document: &mut Document, index: usize) -> Self {
        let tokens = document.tokens(&document.statements[index]);
        let brace = tokens.iter().position(|token| document.is(token, "{"));
        let (Some(first), Some(last)) = (tokens.first().copied(), tokens.last().copied()) else {
            return Self::Open;
        };
        match brace {
            Some(2) if tokens.len() == 3 => check_name(document, index),
            Some(at) if at + 1 < tokens.len() => {
                let span = tokens[at + 1].span().to(last.span());
                let closed = document.is(&last, "}");
                report_one_line(document, span);
                return if closed { Self::Closed } else { Self::Open };
            }
            Some(1) => report_name(document, first.span(), "the block has no name"),
            Some(at) => {
                let span = tokens[1].span().to(tokens[at - 1].span());
                report_name(document, span, "the block's name is more than one word");
            }
            None => return Self::without_brace(document, first, last),
        }
        Self::Open
    }

    fn without_brace(document: &mut Document, first: Token, last: Token) -> Self {
        if last.quote == Quote::None && document.value(&last).ends_with(b"{") {
            let word = document.word(&last).into_owned();
            let message = "there is no blank before `{`";
            let help = format!("write `{} {{`", word.trim_end_matches('{'));
            document.report(Diagnostic::new(Code::GluedBrace, last.span(), message).help(help));
            return Self::Open;
        }
        let end = Span::new(last.span().end, last.span().end);
        let message = format!("`{{` is missing behind `{}`", document.word(&last));
        document.report(
            Diagnostic::new(Code::MissingBrace, end, message)
                .related(first.span(), "the block begins here")
                .help("the brace stands on the same line as the block's name"),
        );
        Self::BraceDue
    }
}

fn check_name(document: &mut Document, index: usize) {
    let name = document.tokens(&document.statements[index])[1];
    if document.is(&name, "=") {
        report_name(document, name.span(), "a block's name stands without `=`");
    } else if name.quote == Quote::Open {
        let message = "the quote is not closed";
        document.report(Diagnostic::new(Code::UnterminatedQuote, name.span(), message));
    }
}

fn report_name(document: &mut Document, span: Span, message: &str) {
    document.report(
        Diagnostic::new(Code::InvalidBlockName, span, message)
            .help("write `virtual NAME {` or `server NAME {`, with quotes around blanks"),
    );
}

fn report_one_line(document: &mut Document, span: Span) {
    let message = "nothing but a comment can follow `{` on its line";
    document.report(
        Diagnostic::new(Code::TextAfterBrace, span, message)
            .help("put every directive, and the closing `}`, on a line of its own"),
    );
}

fn unclosed(document: &mut Document, block: usize) {
    let block = document.blocks[block];
    let span = document.header_span(&block);
    let message = "this block is still open at the end of the file";
    document.report(Diagnostic::new(Code::UnclosedBlock, span, message).help("add a `}`"));
}

fn kind_of(document: &Document, first: &Token) -> BlockKind {
    let word = document.value(first);
    BlockKind::of(word.strip_suffix(b"{").unwrap_or(word))
}

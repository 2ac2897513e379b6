use super::Span;

/// How a token is quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quote {
    None,
    Single,
    Double,
    /// Opened and not closed on its line.
    Open,
}

/// A word or a quoted text, quotes included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    // Half the size of a `Span`: a large file has millions of words.
    start: u32,
    end: u32,
    pub(crate) quote: Quote,
}

impl Token {
    fn new(span: Span, quote: Quote) -> Self {
        Self { start: narrow(span.start), end: narrow(span.end), quote }
    }

    /// With the quotes.
    pub(crate) const fn span(&self) -> Span {
        Span::new(self.start as usize, self.end as usize)
    }

    /// Without the quotes.
    pub(crate) const fn inner(&self) -> Span {
        let Span { start, end } = self.span();
        match self.quote {
            Quote::None => self.span(),
            Quote::Single | Quote::Double => Span::new(start + 1, end - 1),
            Quote::Open => Span::new(start + 1, end),
        }
    }
}

/// An offset or a count within a file of at most 16 MiB.
pub(super) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Offset of the first byte of `line` that is not blank, unless it begins a comment.
pub(super) fn first_word(text: &[u8], line: Span) -> Option<usize> {
    let first = skip_blanks(text, line);
    (first < line.end && text[first] != b'#').then_some(first)
}

/// Appends the tokens of `line` and returns the offset of the comment behind them.
///
/// A `#` in a place where a name or a value is still to come is not a comment but that name or
/// value, as in 0.8.6.
pub(super) fn tokenise(text: &[u8], line: Span, tokens: &mut Vec<Token>) -> Option<usize> {
    let first = tokens.len();
    let mut at = line.start;
    loop {
        at = skip_blanks(text, Span::new(at, line.end));
        if at == line.end {
            return None;
        }
        if text[at] == b'#' && is_complete(text, &tokens[first..]) {
            return Some(at);
        }
        let token = match text[at] {
            quote @ (b'"' | b'\'') => quoted(text, Span::new(at, line.end), quote),
            _ => word(text, Span::new(at, line.end)),
        };
        at = token.span().end;
        tokens.push(token);
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_blanks(text: &[u8], within: Span) -> usize {
    let blanks = text[within.start..within.end].iter().take_while(|&&byte| is_blank(byte));
    within.start + blanks.count()
}

fn word(text: &[u8], within: Span) -> Token {
    let letters = text[within.start..within.end].iter().take_while(|&&byte| !is_blank(byte));
    Token::new(Span::new(within.start, within.start + letters.count()), Quote::None)
}

fn quoted(text: &[u8], within: Span, quote: u8) -> Token {
    let mut at = within.start + 1;
    while at < within.end && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    if at >= within.end {
        return Token::new(within, Quote::Open);
    }
    let kind = if quote == b'"' { Quote::Double } else { Quote::Single };
    Token::new(Span::new(within.start, at + 1), kind)
}

/// Whether these tokens make a statement that needs nothing more.
fn is_complete(text: &[u8], tokens: &[Token]) -> bool {
    let is = |token: &Token, word: &[u8]| &text[token.span().start..token.span().end] == word;
    match tokens {
        [first, ..] if is(first, b"}") => true,
        [_, equals, _, ..] if is(equals, b"=") => true,
        [_, .., last] => is(last, b"{"),
        _ => false,
    }
}

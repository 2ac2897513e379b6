//! The text as a tree: statements, some with a block behind them.

use std::collections::BTreeMap;

use crate::config::import::importer::Importer;
use crate::config::syntax::MAX_LINE;

/// Blocks in blocks; keepalived itself needs five.
const MAX_DEPTH: usize = 16;

/// A statement, and the block behind it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) children: Vec<Self>,
    /// Whether there is a block, be it empty.
    is_block: bool,
}

impl Node {
    /// The first word.
    pub(super) fn keyword(&self) -> &str {
        self.word(0).unwrap_or_default()
    }

    pub(super) fn word(&self, index: usize) -> Option<&str> {
        self.words.get(index).map(String::as_str)
    }

    /// What follows the first word.
    pub(super) fn rest(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// Reads the whole text; what makes no sense is remarked on.
pub(super) fn read(importer: &mut Importer<'_>) -> Vec<Node> {
    let mut reader = Reader { open: vec![Node::default()], variables: BTreeMap::new(), ignored: 0 };
    for (number, text) in importer.lines() {
        reader.line(number, text, importer);
    }
    while reader.open.len() > 1 {
        let line = reader.open.last().map(|node| node.line).unwrap_or_default();
        importer.lost(line, "the block is still open at the end of the file");
        reader.close();
    }
    reader.open.pop().map(|root| root.children).unwrap_or_default()
}

struct Reader {
    /// The root and the blocks that are open, the innermost last.
    open: Vec<Node>,
    variables: BTreeMap<String, String>,
    /// Open blocks beyond the greatest depth.
    ignored: usize,
}

impl Reader {
    fn line(&mut self, number: usize, text: &str, importer: &mut Importer<'_>) {
        let text = text.trim();
        if let Some((name, value)) = definition(text) {
            return self.define(number, name, value, importer);
        }
        if text.starts_with('@') {
            return importer.lost(number, "conditions (@) are not evaluated");
        }
        let tokens = self.substitute(text).and_then(|text| tokens(&text));
        match tokens {
            Ok(tokens) => self.statement(number, tokens, importer),
            Err(reason) => importer.lost(number, reason),
        }
    }

    fn define(&mut self, number: usize, name: &str, value: &str, importer: &mut Importer<'_>) {
        if value.ends_with('\\') {
            return importer.lost(number, "a definition over several lines is not read");
        }
        match self.substitute(value) {
            Ok(value) => drop(self.variables.insert(name.to_owned(), value)),
            Err(reason) => importer.lost(number, reason),
        }
    }

    /// The text with its variables put in. A `$` without a name behind it is one.
    fn substitute(&self, text: &str) -> Result<String, &'static str> {
        const TOO_LONG: &str = "the line is too long once its variables are put in";
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, behind) = (&rest[..at], &rest[at + 1..]);
            let (name, after) = variable(behind);
            result.push_str(before);
            match self.variables.get(name) {
                Some(value) => result.push_str(value),
                None if name.is_empty() => result.push('$'),
                None => return Err("a variable of this line is not defined above it"),
            }
            rest = after;
            if result.len() > MAX_LINE {
                return Err(TOO_LONG);
            }
        }
        result.push_str(rest);
        if result.len() > MAX_LINE { Err(TOO_LONG) } else { Ok(result) }
    }

    fn statement(&mut self, line: usize, tokens: Vec<Token>, importer: &mut Importer<'_>) {
        let mut words = Vec::new();
        for token in tokens {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => self.open_block(line, std::mem::take(&mut words), importer),
                Token::Close => {
                    self.leaf(line, std::mem::take(&mut words));
                    if self.ignored > 0 {
                        self.ignored -= 1;
                    } else if self.open.len() > 1 {
                        self.close();
                    } else {
                        importer.lost(line, "this } closes nothing");
                    }
                }
            }
        }
        self.leaf(line, words);
    }

    fn open_block(&mut self, line: usize, words: Vec<String>, importer: &mut Importer<'_>) {
        if self.ignored > 0 || self.open.len() > MAX_DEPTH {
            self.ignored += 1;
            return importer.lost(line, "blocks are nested too deeply");
        }
        let mut node = Node { line, words, is_block: true, children: Vec::new() };
        if node.words.is_empty() {
            // The brace stands on the line behind what it belongs to.
            let last = self.open.last_mut().and_then(|node| node.children.pop());
            match last {
                Some(announced) if !announced.is_block => {
                    node = Node { is_block: true, ..announced };
                }
                Some(other) => self.add(other),
                None => {}
            }
        }
        self.open.push(node);
    }

    fn leaf(&mut self, line: usize, words: Vec<String>) {
        if !words.is_empty() && self.ignored == 0 {
            self.add(Node { line, words, ..Node::default() });
        }
    }

    fn close(&mut self) {
        if let Some(node) = self.open.pop() {
            self.add(node);
        }
    }

    fn add(&mut self, node: Node) {
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(node);
        }
    }
}

/// `$NAME=VALUE`; keepalived takes no blank before the `=`.
fn definition(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('$')?.split_once('=')?;
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_letter);
    is_name(name).then(|| (name, value.trim()))
}

/// The name at the beginning of what follows a `$`, and what is behind it.
fn variable(text: &str) -> (&str, &str) {
    if let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (name, rest);
    }
    let end = text.find(|letter| !is_letter(letter)).unwrap_or(text.len());
    text.split_at(end)
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[derive(Debug, Eq, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
}

/// Words, quoted texts and braces; `!` and `#` begin a comment.
fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(&letter) = letters.peek() {
        match letter {
            '!' | '#' => break,
            '{' | '}' => {
                tokens.push(if letter == '{' { Token::Open } else { Token::Close });
                letters.next();
            }
            letter if letter.is_whitespace() => drop(letters.next()),
            _ => tokens.push(Token::Word(word(&mut letters)?)),
        }
    }
    Ok(tokens)
}

fn word(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, &'static str> {
    let mut word = String::new();
    let quote = letters.next_if(|letter| matches!(letter, '"' | '\''));
    while let Some(letter) = letters.next_if(|&letter| match quote {
        Some(_) => true,
        None => !letter.is_whitespace() && !matches!(letter, '{' | '}' | '!' | '#'),
    }) {
        match letter {
            '\\' if quote.is_some() => word.extend(letters.next()),
            letter if Some(letter) == quote => return Ok(word),
            letter => word.push(letter),
        }
    }
    if quote.is_some() { Err("the quote is not closed on its line") } else { Ok(word) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::import::Given;

    /// The tree in one line, blocks in brackets.
    fn tree(text: &str) -> (String, usize) {
        fn show(nodes: &[Node]) -> String {
            let one = |node: &Node| match node.is_block {
                true => format!("{}[{}]", node.words.join(" "), show(&node.children)),
                false => node.words.join(" "),
            };
            Vec::from_iter(nodes.iter().map(one)).join(", ")
        }
        let given = Given::default();
        let mut importer = Importer::new(text.lines().collect(), &given);
        let shown = show(&read(&mut importer));
        (shown, importer.finish().remarks.len())
    }

    #[test]
    fn braces_stand_where_they_like() {
        assert_eq!(tree("a b {\n c 1 ! no\n # no\n}\nd"), ("a b[c 1], d".to_owned(), 0));
        assert_eq!(tree("a\n{\nb { c }\n}"), ("a[b[c]]".to_owned(), 0));
        assert_eq!(tree("a {} b{c}"), ("a[], b[c]".to_owned(), 0));
    }

    #[test]
    fn quotes_hold_blanks_and_comment_signs() {
        assert_eq!(tree(r#"a "b ! \" # c" 'd {'"#), ("a b ! \" # c d {".to_owned(), 0));
        assert_eq!(tree("a \"b"), (String::new(), 1));
    }

    #[test]
    fn variables_are_put_in() {
        let text = "$VIP=192.0.2.80\n$BOTH= $VIP ${PORT}\n$PORT=80\na $VIP:${PORT}\nb $ $NONE\nc $";
        assert_eq!(tree(text), ("a 192.0.2.80:80, c $".to_owned(), 2));
    }

    #[test]
    fn what_would_grow_or_nest_without_end_is_refused() {
        let doubled = "$A=aaaaaaaaaaaaaaaa\n".to_owned() + &"$A=$A$A\n".repeat(40);
        assert!(tree(&doubled).1 > 0);
        let nested = "a {\n".repeat(100_000) + &"}\n".repeat(100_000);
        assert_eq!(tree(&nested).1, 100_000 - MAX_DEPTH);
        assert_eq!(tree("}\n@one a b\na {").1, 3);
    }
}

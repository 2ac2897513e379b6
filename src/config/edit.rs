//! Edits: one value changes, every other byte stays.

use super::directive::{Descriptor, Directive, Scope};
use super::span::line_end;
use super::syntax::{BlockKind, MAX_FILE, Quote, Shape, Statement};
use super::value::{Kind, encode};
use super::{Document, Position, Span};

/// Why an edit was not made. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EditError {
    /// There is no such block.
    #[error("there is no `{kind} {name}`")]
    NoSuchBlock {
        /// `virtual` or `server`.
        kind: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// There is more than one block of this name.
    #[error("there is more than one `{kind} {name}`")]
    Ambiguous {
        /// `virtual` or `server`.
        kind: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// The directive cannot stand there.
    #[error("`{directive}` cannot stand {scope}")]
    Misplaced {
        /// The directive.
        directive: Directive,
        /// Where it was to stand.
        scope: Scope,
    },
    /// The value is not one the directive takes, or one that no quotes can hold.
    #[error("`{directive}` does not take this value: {reason}")]
    InvalidValue {
        /// The directive.
        directive: Directive,
        /// What is wrong with the value.
        reason: String,
    },
    /// The directive is there on a line that cannot be read.
    #[error("line {} cannot be read and must be mended first", position.line)]
    Malformed {
        /// The place.
        position: Position,
    },
    /// The file is larger than 16 MiB, or would be.
    #[error("the file is too large to be edited")]
    TooLarge,
}

impl Document {
    /// Sets a directive that stands outside of any block.
    ///
    /// `value` is what the directive is to mean: quotes are put around it where it needs them, and
    /// control characters of `send` and `expect` are written as escapes. If the directive is there,
    /// only the bytes of its value change (of several, the last one's, which counts); else a
    /// line is added with the indentation of its neighbours.
    ///
    /// ```
    /// use piranha::config::{Directive, Document};
    ///
    /// let mut document = Document::parse(b"keepalive   =  6 # seconds\n");
    /// document.set_global(Directive::Keepalive, "500ms")?;
    /// assert_eq!(document.as_bytes(), b"keepalive   =  500ms # seconds\n");
    /// # Ok::<(), piranha::config::EditError>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set_global(&mut self, directive: Directive, value: &str) -> Result<(), EditError> {
        self.set(None, Scope::Global, directive, value)
    }

    /// Sets a directive of the `virtual` block of this name; see [`set_global`](Self::set_global).
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set_virtual(
        &mut self,
        virtual_name: &str,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        let block = self.find_block(BlockKind::Virtual, None, virtual_name)?;
        self.set(Some(block), Scope::Virtual, directive, value)
    }

    /// Sets a directive of a `server` block; see [`set_global`](Self::set_global).
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set_server(
        &mut self,
        virtual_name: &str,
        server_name: &str,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        let parent = self.find_block(BlockKind::Virtual, None, virtual_name)?;
        let block = self.find_block(BlockKind::Server, Some(parent), server_name)?;
        self.set(Some(block), Scope::Server, directive, value)
    }

    fn find_block(
        &self,
        kind: BlockKind,
        parent: Option<usize>,
        name: &str,
    ) -> Result<usize, EditError> {
        let word = if kind == BlockKind::Server { "server" } else { "virtual" };
        let mut found = self.blocks().iter().enumerate().filter(|(_, block)| {
            block.kind == kind && block.parent == parent && self.block_name(block) == name
        });
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(index),
            (None, _) => Err(EditError::NoSuchBlock { kind: word, name: name.to_owned() }),
            (Some(_), Some(_)) => Err(EditError::Ambiguous { kind: word, name: name.to_owned() }),
        }
    }

    fn set(
        &mut self,
        block: Option<usize>,
        scope: Scope,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        if self.is_oversized() {
            return Err(EditError::TooLarge);
        }
        let descriptor =
            directive.descriptor(scope).ok_or(EditError::Misplaced { directive, scope })?;
        let written = write(descriptor, value)?;
        match self.find_values(block, directive)? {
            Some(span) if span.start == span.end => self.splice(span, &format!(" {written}")),
            Some(span) => self.splice(span, &written),
            None => {
                let (at, line) = self.new_line(block, &format!("{directive} = {written}"));
                self.splice(Span::new(at, at), &line)
            }
        }
    }

    fn splice(&mut self, span: Span, replacement: &str) -> Result<(), EditError> {
        let old = self.as_bytes();
        if old.len() + replacement.len() > MAX_FILE {
            return Err(EditError::TooLarge);
        }
        let text = [&old[..span.start], replacement.as_bytes(), &old[span.end..]].concat();
        *self = Self::parse(&text);
        Ok(())
    }

    /// The place of the values of `directive` in `block`; empty behind the `=` if there are none.
    fn find_values(
        &self,
        block: Option<usize>,
        directive: Directive,
    ) -> Result<Option<Span>, EditError> {
        let mut found = None;
        for statement in self.statements().iter().filter(|s| s.block == block) {
            let tokens = self.tokens(statement);
            match (statement.shape, tokens) {
                (Shape::Assignment, [name, equals, values @ ..])
                    if self.value(name) == directive.name().as_bytes() =>
                {
                    found = Some(match (values.first(), values.last()) {
                        (Some(first), Some(last)) => first.span.to(last.span),
                        _ => Span::new(equals.span.end, equals.span.end),
                    });
                }
                (Shape::Other, [first, ..])
                    if self.word(first).split('=').next() == Some(directive.name()) =>
                {
                    let position = self.position(first.span.start);
                    return Err(EditError::Malformed { position });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Where a new line goes in `block` and what it is, line ending included: behind the last
    /// directive that stands before any inner block, or else first in the block.
    fn new_line(&self, block: Option<usize>, assignment: &str) -> (usize, String) {
        let inner = |s: &&Statement| s.block == block && s.shape == Shape::Open;
        let first_inner =
            self.statements().iter().find(inner).map_or(usize::MAX, |header| self.start_of(header));
        let neighbour = self
            .statements()
            .iter()
            .filter(|s| s.block == block && s.shape == Shape::Assignment)
            .take_while(|s| self.start_of(s) < first_inner)
            .last();
        match (neighbour, block) {
            (Some(neighbour), _) => {
                let at = self.start_of(neighbour);
                self.line_behind(at, self.indentation(at), assignment)
            }
            (None, Some(block)) => {
                let at = self.start_of(&self.statements()[self.blocks()[block].header]);
                let outer = self.indentation(at);
                let step = if outer.contains('\t') { "\t" } else { "    " };
                self.line_behind(at, outer + step, assignment)
            }
            (None, None) => {
                let first = self.statements().first();
                let at = first.map_or(self.as_bytes().len(), |first| {
                    self.lines().line_start(self.start_of(first)).max(self.text_start())
                });
                self.line_before(at, assignment)
            }
        }
    }

    /// A new line behind the one that holds `offset`.
    fn line_behind(&self, offset: usize, indentation: String, assignment: &str) -> (usize, String) {
        let ending = self.line_ending(offset);
        match self.lines().next_line(offset) {
            Some(next) => (next, format!("{indentation}{assignment}{ending}")),
            None => {
                let end = self.as_bytes().len();
                (end, format!("{ending}{indentation}{assignment}"))
            }
        }
    }

    /// A new line at `at`, where a line begins or the file ends.
    fn line_before(&self, at: usize, assignment: &str) -> (usize, String) {
        let text = self.as_bytes();
        let ending = self.line_ending(at);
        let inside_line = at > self.text_start() && !matches!(text[at - 1], b'\n' | b'\r');
        let before = if inside_line { ending.as_str() } else { "" };
        (at, format!("{before}{assignment}{ending}"))
    }

    fn start_of(&self, statement: &Statement) -> usize {
        self.tokens(statement).first().map_or(0, |token| token.span.start)
    }

    /// The blanks before `offset` on its line.
    fn indentation(&self, offset: usize) -> String {
        let start = self.lines().line_start(offset);
        let blanks = &self.as_bytes()[start..offset];
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        blanks.iter().filter(is_blank).map(|&byte| char::from(byte)).collect()
    }

    /// How the line of `offset` ends, or else the first one of the file.
    fn line_ending(&self, offset: usize) -> String {
        let text = self.as_bytes();
        let ending = |offset| {
            let (end, next) = line_end(text, offset);
            String::from_utf8_lossy(&text[end..next]).into_owned()
        };
        [ending(offset), ending(0), "\n".to_owned()]
            .into_iter()
            .find(|ending| !ending.is_empty())
            .unwrap_or_default()
    }
}

/// How `value` is written so that `descriptor` reads it back.
fn write(descriptor: &Descriptor, value: &str) -> Result<String, EditError> {
    let kind = descriptor.kind;
    let candidates = match kind {
        Kind::Payload => vec![encode(value)],
        Kind::Text | Kind::Path | Kind::Printable => {
            vec![value.to_owned(), format!("\"{value}\""), format!("'{value}'")]
        }
        _ => vec![value.trim().to_owned()],
    };
    let verbatim = candidates.len() > 1;
    let mut reason = format!("it takes {}", descriptor.value());
    for written in candidates {
        let line = Document::parse(format!("x = {written}").as_bytes());
        let words = line.only_values().unwrap_or_default();
        let as_meant = !verbatim || words == [value.as_bytes()];
        if !as_meant || kind.arity().unwrap_or(words.len()) != words.len() {
            continue;
        }
        match kind.read(&words) {
            Ok(_) => return Ok(written),
            Err(problem) => reason = problem.message,
        }
    }
    Err(EditError::InvalidValue { directive: descriptor.directive, reason })
}

impl Document {
    /// The values of a document that is one assignment and nothing else.
    fn only_values(&self) -> Option<Vec<&[u8]>> {
        let [statement] = self.statements() else {
            return None;
        };
        let values = self.tokens(statement).get(2..)?;
        let last = values.last()?;
        let whole = last.quote != Quote::Open && last.span.end == self.as_bytes().len();
        whole.then(|| values.iter().map(|value| self.value(value)).collect())
    }
}

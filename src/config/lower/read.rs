//! Reading the directives of each block, by the table.

use std::ops::Range;

use super::fields::{Field, Fields, Section};
use super::{BlockSection, Context};
use crate::config::directive::{Descriptor, Directive, Scope};
use crate::config::syntax::{Block, BlockKind, Quote, Shape, Statement, Token};
use crate::config::value::{Kind, Value};
use crate::config::{Code, Diagnostic, Span};

/// How often a directive counts that may stand several times.
const MOST_OF_ONE: usize = 64;

impl Context<'_> {
    /// Reads the directives among `statements` that stand outside of any block.
    pub(super) fn read_global(&mut self, statements: &[Statement], fields: &mut Fields) {
        for statement in statements.iter().filter(|statement| statement.block().is_none()) {
            self.read_statement(statement, Scope::Global, fields);
        }
    }

    /// Reads the blocks with these numbers: one that stands outside of any other, and all in it.
    pub(super) fn read_blocks(&mut self, numbers: Range<usize>) -> Vec<BlockSection> {
        let document = self.document;
        let blocks = document.blocks();
        let mut sections = self.empty_sections(&blocks[numbers.clone()], numbers.start);
        let first = blocks.get(numbers.start).map_or(0, |block| block.header + 1);
        let past = blocks.get(numbers.end).map_or(document.statements().len(), |next| next.header);
        for statement in &document.statements()[first..past] {
            let number = statement.block().and_then(|block| block.checked_sub(numbers.start));
            if let Some(section) = number.and_then(|number| sections.get_mut(number))
                && let Some(scope) = scope_of(section.kind)
            {
                self.read_statement(statement, scope, &mut section.section.fields);
            }
        }
        sections
    }

    fn read_statement(&mut self, statement: &Statement, scope: Scope, fields: &mut Fields) {
        match statement.shape {
            Shape::Assignment => self.assignment(statement, scope, fields),
            Shape::Other => self.malformed(statement, fields),
            Shape::Open | Shape::Brace | Shape::Close => {}
        }
    }

    fn empty_sections(&self, blocks: &[Block], first: usize) -> Vec<BlockSection> {
        let mut sections: Vec<BlockSection> = Vec::with_capacity(blocks.len());
        for (number, block) in blocks.iter().enumerate() {
            let parent = block.parent.and_then(|parent| parent.checked_sub(first));
            if let Some(parent) = parent.and_then(|parent| sections.get_mut(parent)) {
                parent.children.push(number);
            }
            sections.push(BlockSection {
                kind: block.kind,
                section: Section {
                    name: self.document.block_name(block),
                    span: self.document.header_span(block).shifted(self.base),
                    fields: Fields::default(),
                },
                children: Vec::new(),
            });
        }
        sections
    }

    /// The place of a word.
    fn span(&self, token: &Token) -> Span {
        token.span().shifted(self.base)
    }

    fn assignment(&mut self, statement: &Statement, scope: Scope, fields: &mut Fields) {
        let [name, equals, values @ ..] = self.document.tokens(statement) else {
            return;
        };
        let Some(descriptor) = self.descriptor(name, scope) else {
            return;
        };
        let directive = descriptor.directive;
        let mut field = Field {
            directive,
            name: self.span(name),
            values: match values {
                [] => self.span(equals),
                [first, ..] => self.span(first).to(self.span(&values[values.len() - 1])),
            },
            value: self.read(descriptor, name, values),
        };
        let span = field.name;
        // Files were included before their directives are read.
        if directive == Directive::Include {
            return;
        }
        if directive.is_repeatable() && fields.times(directive) == MOST_OF_ONE {
            let message = format!("`{directive}` stands here more than {MOST_OF_ONE} times");
            return self.report(Diagnostic::new(Code::OutOfRange, span, message));
        }
        let gathered = fields.gather(directive, &mut field);
        if let Some(before) = fields.insert(field).filter(|_| !gathered) {
            let message = format!("`{directive}` stands here a second time, and this one counts");
            self.report(
                Diagnostic::new(Code::DuplicateDirective, span, message)
                    .related(before.span(), "this one does not count")
                    .help("remove one of them"),
            );
        }
    }

    /// The row of the table for `name`, or a word on what it may have been meant to be.
    fn descriptor(&mut self, name: &Token, scope: Scope) -> Option<&'static Descriptor> {
        let document = self.document;
        let word = document.word(name);
        let known = Directive::from_name(&word);
        if let Some(descriptor) = known.and_then(|directive| directive.descriptor(scope)) {
            return Some(descriptor);
        }
        if !self.sink.has_room() {
            self.sink.drop_one();
            return None;
        }
        self.report(match known {
            Some(directive) => {
                let message = format!("`{word}` cannot stand {scope}");
                let places: Vec<_> = directive.scopes().map(|scope| scope.to_string()).collect();
                Diagnostic::new(Code::MisplacedDirective, self.span(name), message)
                    .help(format!("it stands {}", places.join(" or ")))
            }
            None => unknown(&word, self.span(name), scope),
        });
        None
    }

    fn read(&mut self, descriptor: &Descriptor, name: &Token, values: &[Token]) -> Option<Value> {
        let kind = descriptor.kind;
        let wanted = kind.arity().unwrap_or(values.len()).max(1);
        if let Some(open) = values.iter().find(|value| value.quote == Quote::Open) {
            let message = "the quote is not closed on its line";
            self.report(
                Diagnostic::new(Code::UnterminatedQuote, self.span(open), message)
                    .help("end the value with the same quote; write a quote inside it as `\\\"`"),
            );
            return None;
        }
        if values.len() < wanted {
            self.too_few(descriptor, name, values);
            return None;
        }
        if values.len() > wanted {
            let span = self.span(&values[wanted]).to(self.span(&values[values.len() - 1]));
            self.too_many(kind, span);
            return None;
        }
        self.read_words(kind, values)
    }

    fn read_words(&mut self, kind: Kind, values: &[Token]) -> Option<Value> {
        let span = self.span(&values[0]).to(self.span(&values[values.len() - 1]));
        let document = self.document;
        let of = |value| document.value(value);
        // Nearly every directive has one value: no list is made for it.
        let (one, many): ([&[u8]; 1], Vec<&[u8]>);
        let words = match values {
            [only] => {
                one = [of(only)];
                &one[..]
            }
            _ => {
                many = values.iter().map(of).collect();
                &many[..]
            }
        };
        let single = matches!(kind, Kind::Payload) && values[0].quote == Quote::Single;
        if single {
            let message = "Piranha 0.8.6 takes the single quotes for a part of the value";
            self.report(
                Diagnostic::new(Code::SingleQuotes, span, message).help("use double quotes"),
            );
        }
        match kind.read(words) {
            Ok(value) => {
                if let Some(remark) = kind.remark(words) {
                    self.report(remark.at(span));
                }
                Some(value)
            }
            Err(problem) => {
                let port = self.named_port(kind, words);
                if port.is_none() {
                    self.report(problem.at(span));
                }
                port
            }
        }
    }

    /// A port by a name that this machine knows.
    fn named_port(&self, kind: Kind, words: &[&[u8]]) -> Option<Value> {
        let (Kind::Port(least), Some(name)) = (kind, words.first()) else {
            return None;
        };
        let name = std::str::from_utf8(name).ok()?;
        let port = self.surroundings.service_port(name).filter(|&port| port >= least)?;
        Some(Value::Port(port))
    }

    fn too_few(&mut self, descriptor: &Descriptor, name: &Token, values: &[Token]) {
        let end = values.last().map_or(self.span(name).end + 2, |last| self.span(last).end);
        let end = end.min(self.base + self.document.as_bytes().len());
        let directive = descriptor.directive;
        let (message, help) = match descriptor.kind {
            Kind::AddressDevice => (
                format!("`{directive}` needs an address and a device"),
                format!("write `{directive} = 192.0.2.80 eth0:1`"),
            ),
            Kind::AddressPair => (
                format!("`{directive}` needs the primary's address and the backup's"),
                format!("write `{directive} = 10.20.0.1 10.20.0.2`"),
            ),
            _ => (
                format!("`{directive}` has no value"),
                format!("a value here is: {}", descriptor.value()),
            ),
        };
        let span = Span::new(self.span(name).start, end);
        self.report(Diagnostic::new(Code::MissingValue, span, message).help(help));
    }

    fn too_many(&mut self, kind: Kind, span: Span) {
        let help = match kind {
            Kind::Text | Kind::Path | Kind::Payload => "put quotes around a value with blanks",
            _ => "remove it, or begin a comment with `#`",
        };
        let message = "there is more on the line than the value";
        self.report(Diagnostic::new(Code::ExtraValue, span, message).help(help));
    }

    /// A line that is not `NAME = VALUE`. A directive that can be made out counts as mentioned,
    /// so that it is not also called missing.
    fn malformed(&mut self, statement: &Statement, fields: &mut Fields) {
        let tokens = self.document.tokens(statement);
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return;
        };
        let word = self.document.word(first).into_owned();
        let name = word.split('=').next().unwrap_or_default();
        let glued = word.contains('=')
            || tokens.get(1).is_some_and(|second| self.document.value(second).starts_with(b"="));
        let span = self.span(first).to(self.span(last));
        self.report(if glued {
            let message = "`=` needs a blank on either side";
            Diagnostic::new(Code::GluedEquals, span, message)
                .help(format!("write `{name} = VALUE`"))
        } else {
            let message = format!("expected `=` behind `{word}`");
            Diagnostic::new(Code::ExpectedEquals, self.span(first), message)
                .help("a line is `NAME = VALUE`; a comment begins with `#`")
        });
        if let Some(directive) = Directive::from_name(name) {
            let (name, values) = (self.span(first), self.span(last));
            if !fields.mentions(directive) {
                fields.insert(Field { directive, name, values, value: None });
            }
        }
    }
}

const fn scope_of(kind: BlockKind) -> Option<Scope> {
    match kind {
        BlockKind::Virtual | BlockKind::Failover => Some(Scope::Virtual),
        BlockKind::Server => Some(Scope::Server),
        BlockKind::Unknown => None,
    }
}

fn unknown(word: &str, span: Span, scope: Scope) -> Diagnostic {
    let message = format!("unknown directive `{word}`");
    let diagnostic = Diagnostic::new(Code::UnknownDirective, span, message);
    match Directive::nearest(word, scope) {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
        None => diagnostic,
    }
}

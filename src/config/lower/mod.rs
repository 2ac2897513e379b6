//! From the tree to the model.

mod check;
mod failover;
mod fields;
mod forwarding;
mod global;
mod guards;
mod load;
mod notify;
mod read;
mod relay;
mod semantics;
mod service;
mod sync;
mod virtual_mac;
mod vrrp;

use std::ops::Range;

use super::diagnostic::Sink;
use super::model::{Config, Failover, ServiceKind, Virtual};
use super::syntax::{BlockKind, Document};
use super::{Code, Diagnostic, Directive, Span, Surroundings};
use fields::{Fields, Section};

/// A stretch of a file: all of it, or what lies between two includes.
pub(super) struct Part<'a> {
    pub(super) document: &'a Document,
    /// What is added to offsets in the file to tell them from those in others.
    pub(super) base: usize,
    pub(super) statements: Range<usize>,
}

impl<'a> Part<'a> {
    /// The outermost blocks that begin here, each as the numbers of itself and those in it.
    pub(super) fn groups(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let blocks = self.document.blocks();
        let Range { start, end } = self.statements.clone();
        let mut at = blocks.partition_point(|block| block.header < start);
        std::iter::from_fn(move || {
            let first = blocks.get(at).filter(|block| block.header < end).map(|_| at)?;
            let inner = blocks[first + 1..].iter().take_while(|block| block.parent.is_some());
            at = first + 1 + inner.count();
            Some(first..at)
        })
    }
}

/// The configuration that `parts` mean in their order, and all there is to say about it besides
/// what is in `problems`.
pub(super) fn lower(
    parts: &[Part<'_>],
    problems: Sink,
    surroundings: &dyn Surroundings,
) -> (Option<Config>, Vec<Diagnostic>) {
    let Some(first) = parts.first() else {
        return (None, problems.finish());
    };
    let mut context =
        Context { document: first.document, base: first.base, surroundings, sink: problems };
    let config = if first.document.is_oversized() { None } else { context.config(parts) };
    let config = config.filter(|_| !context.sink.has_errors());
    (config, context.sink.finish())
}

/// What every step of the way needs: the text and a place for problems.
struct Context<'a> {
    document: &'a Document,
    base: usize,
    surroundings: &'a dyn Surroundings,
    sink: Sink,
}

impl<'a> Context<'a> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }

    fn config(&mut self, parts: &[Part<'a>]) -> Option<Config> {
        if parts.iter().all(|part| part.document.statements().is_empty()) {
            let message = "the file configures nothing";
            self.report(Diagnostic::new(Code::EmptyFile, Span::default(), message));
            return None;
        }
        let mut global = Fields::default();
        for part in parts {
            self.enter(part);
            self.read_global(&part.document.statements()[part.statements.clone()], &mut global);
        }
        let mut config = self.global(&global)?;
        for part in parts {
            self.enter(part);
            for group in part.groups() {
                let sections = self.read_blocks(group);
                match config.service {
                    ServiceKind::Lvs => config.virtuals.extend(self.group(&sections, &config)),
                    ServiceKind::Fos => {
                        config.failovers.extend(self.failover_group(&sections, &config));
                    }
                }
            }
        }
        self.vrrp(&global, &mut config);
        self.virtual_mac(&global, &config);
        match config.service {
            ServiceKind::Lvs => self.check_semantics(&config, &global),
            ServiceKind::Fos => self.check_failovers(&config),
        }
        Some(config)
    }

    fn enter(&mut self, part: &Part<'a>) {
        (self.document, self.base) = (part.document, part.base);
    }

    /// The virtual service of an outermost block and those in it, if it is one.
    fn group(&mut self, sections: &[BlockSection], config: &Config) -> Option<Virtual> {
        let (outermost, _) = sections.split_first()?;
        match outermost.kind {
            BlockKind::Virtual => self.service(outermost, sections, config),
            BlockKind::Failover | BlockKind::Server | BlockKind::Unknown => None,
        }
    }

    /// The failover service of an outermost block, if it is one.
    fn failover_group(&mut self, sections: &[BlockSection], config: &Config) -> Option<Failover> {
        let (outermost, _) = sections.split_first()?;
        let is_failover = outermost.kind == BlockKind::Failover;
        if is_failover { self.failover(outermost, sections, config) } else { None }
    }

    /// Says that `directive` is missing, unless it is there and wrong.
    fn missing(&mut self, fields: &Fields, directive: Directive, span: Span, help: &str) {
        if !fields.mentions(directive) {
            let message = format!("`{directive}` is missing");
            self.report(Diagnostic::new(Code::MissingDirective, span, message).help(help));
        }
    }
}

/// A block with what stands in it.
struct BlockSection {
    kind: BlockKind,
    section: Section,
    /// Indices of the blocks in it.
    children: Vec<usize>,
}

impl std::ops::Deref for BlockSection {
    type Target = Section;

    fn deref(&self) -> &Section {
        &self.section
    }
}

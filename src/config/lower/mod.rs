//! From the tree to the model.

mod check;
mod fields;
mod global;
mod relay;
mod semantics;
mod service;

use super::model::Config;
use super::syntax::{BlockKind, Document};
use super::{Code, Diagnostic, Directive, Span};
use fields::{Fields, Section};

/// The configuration that `document` means, and all there is to say about it.
pub(super) fn lower(document: &Document) -> (Option<Config>, Vec<Diagnostic>) {
    let mut context = Context { document, sink: document.problems().clone() };
    let config = if document.is_oversized() { None } else { context.config() };
    let config = config.filter(|_| !context.sink.has_errors());
    (config, context.sink.finish())
}

/// What every step of the way needs: the text and a place for problems.
struct Context<'a> {
    document: &'a Document,
    sink: super::diagnostic::Sink,
}

impl Context<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }

    fn config(&mut self) -> Option<Config> {
        if self.document.statements().is_empty() {
            let message = "the file configures nothing";
            self.report(Diagnostic::new(Code::EmptyFile, Span::default(), message));
            return None;
        }
        let sections = self.collect();
        let mut config = self.global(&sections.global)?;
        for section in &sections.blocks {
            match section.kind {
                BlockKind::Virtual => {
                    let service = self.service(section, &sections.blocks, &config);
                    config.virtuals.extend(service);
                }
                BlockKind::Failover | BlockKind::Server | BlockKind::Unknown => {}
            }
        }
        self.check_semantics(&config, &sections.global);
        Some(config)
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

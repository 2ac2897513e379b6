//! Where new lines go and what they look like.

use super::tree::{Content, NodeId, Tree};
use super::{EditError, Editor};
use crate::config::Document;
use crate::config::directive::Directive;
use crate::config::span::line_end;
use crate::config::syntax::{BlockKind, words};

/// How the lines of a file end: as the first one does, or with a line feed.
pub(super) fn line_ending(text: &[u8]) -> &'static str {
    let (end, next) = line_end(text, 0);
    match &text[end..next] {
        b"\r\n" => "\r\n",
        b"\r" => "\r",
        _ => "\n",
    }
}

impl Tree {
    /// The file.
    pub(super) fn print(&self, document: &Document, ending: &str) -> Vec<u8> {
        let source = document.as_bytes();
        let mut text = source[..document.text_start()].to_vec();
        let mut ended = true;
        for node in self.all() {
            if !ended {
                text.extend_from_slice(ending.as_bytes());
            }
            let line = self.line(source, node);
            text.extend_from_slice(line);
            ended = matches!(line.last(), Some(b'\n' | b'\r'));
        }
        text
    }
}

/// Directives.
impl Editor<'_> {
    pub(super) fn replace_values(
        &mut self,
        node: NodeId,
        directive: Directive,
        written: &str,
    ) -> Result<(), EditError> {
        let line = self.line(node);
        let (from, to, blank) = match words(line).as_slice() {
            [_, _, first, .., last] => (first.span().start, last.span().end, ""),
            [_, _, only] => (only.span().start, only.span().end, ""),
            [.., last] => (last.span().end, last.span().end, " "),
            [] => (0, 0, ""),
        };
        let replaced = [&line[..from], blank.as_bytes(), written.as_bytes(), &line[to..]].concat();
        self.check_line(directive, &replaced)?;
        self.make_room(replaced.len().saturating_sub(line.len()))?;
        self.tree.rewrite(node, replaced);
        Ok(())
    }

    /// The values of a line: of one its text, several as they stand there.
    pub(super) fn written_values(&self, node: NodeId) -> String {
        let line = self.line(node);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match words(line).as_slice() {
            [_, _, only] => {
                let written = &line[only.span().start..only.span().end];
                let document = Document::parse([b"x = ", written].concat().as_slice());
                document
                    .only_values()
                    .and_then(|values| values.first().map(|one| text(one)))
                    .unwrap_or_else(|| text(written))
            }
            [_, _, first, .., last] => text(&line[first.span().start..last.span().end]),
            _ => String::new(),
        }
    }

    pub(super) fn replace_name(&mut self, block: NodeId, written: &str) -> Result<(), EditError> {
        let line = self.line(block);
        let Some(name) = words(line).get(1).map(|name| name.span()) else {
            return Ok(());
        };
        let replaced = [&line[..name.start], written.as_bytes(), &line[name.end..]].concat();
        self.make_room(written.len())?;
        self.tree.rewrite(block, replaced);
        Ok(())
    }

    /// Adds a directive to a block: behind the last one that stands before any inner block, or
    /// else first.
    pub(super) fn add_assignment(
        &mut self,
        block: NodeId,
        directive: Directive,
        written: &str,
    ) -> Result<(), EditError> {
        let assignment = format!("{directive} = {written}");
        let content = Content::Assignment(Some(directive));
        let is_block = |node: &NodeId| matches!(self.tree.content(*node), Content::Block(_));
        let own = || self.tree.children(block).take_while(|node| !is_block(node));
        let neighbour = own().filter(|&node| self.is_assignment(node)).last();
        let brace = || own().find(|&node| self.tree.content(node) == Content::Brace);
        let line = self.new_line(&self.body_indentation(block), &assignment);
        self.check_line(directive, &line)?;
        let above = neighbour.or_else(|| brace().filter(|_| block != NodeId::ROOT));
        let first = self.first_statement(block);
        self.make_room(line.len())?;
        match (above, first) {
            (Some(above), _) => self.tree.insert_after(above, content, line),
            (None, Some(first)) if block == NodeId::ROOT => {
                self.tree.insert_before(first, content, line)
            }
            (None, None) if block == NodeId::ROOT => self.tree.append(block, content, line),
            (None, _) => self.tree.prepend(block, content, line),
        };
        Ok(())
    }

    /// The first thing in `block` that is neither blank nor a comment, or the comment above it if
    /// it is a block.
    fn first_statement(&self, block: NodeId) -> Option<NodeId> {
        let trivia =
            |node: &NodeId| matches!(self.tree.content(*node), Content::Blank | Content::Comment);
        let first = self.tree.children(block).find(|node| !trivia(node))?;
        match self.tree.content(first) {
            Content::Block(_) => Some(self.head(first)),
            _ => Some(first),
        }
    }

    fn is_assignment(&self, node: NodeId) -> bool {
        matches!(self.tree.content(node), Content::Assignment(_))
    }
}

/// Blocks.
impl Editor<'_> {
    /// Puts the header of a new block behind the last one of its kind in `parent`.
    pub(super) fn place_last(
        &mut self,
        parent: NodeId,
        kind: BlockKind,
        header: Vec<u8>,
    ) -> NodeId {
        let content = Content::Block(kind);
        let Some(neighbour) = self.last_block(parent, kind) else {
            return self.place_only(parent, content, header);
        };
        let above = match self.blank_above(neighbour) {
            true => self.tree.insert_after(neighbour, Content::Blank, self.ending.into()),
            false => neighbour,
        };
        self.tree.insert_after(above, content, header)
    }

    /// Puts the header of the first block at the end of `parent`, apart from a comment there.
    fn place_only(&mut self, parent: NodeId, content: Content, header: Vec<u8>) -> NodeId {
        let is = |node: &NodeId, content| self.tree.content(*node) == content;
        let close = self.tree.children_backwards(parent).next().filter(|n| is(n, Content::Close));
        let above = match close {
            Some(close) => self.tree.previous(close),
            None => self.tree.children_backwards(parent).next(),
        };
        let comment = above.is_some_and(|above| is(&above, Content::Comment));
        let blank = comment.then(|| (Content::Blank, self.ending.into()));
        let mut block = NodeId::ROOT;
        for (content, line) in blank.into_iter().chain([(content, header)]) {
            block = match close {
                Some(close) => self.tree.insert_before(close, content, line),
                None => self.tree.append(parent, content, line),
            };
        }
        block
    }

    /// Header and closing brace of a new block.
    pub(super) fn block_lines(
        &self,
        parent: NodeId,
        kind: BlockKind,
        name: &str,
    ) -> (Vec<u8>, Vec<u8>) {
        let indentation = match self.last_block(parent, kind) {
            Some(sibling) => self.indentation(sibling),
            None if parent == NodeId::ROOT => String::new(),
            None => self.body_indentation(parent),
        };
        let header = format!("{} {name} {{", kind.word());
        (self.new_line(&indentation, &header), self.new_line(&indentation, "}"))
    }

    /// Takes a block out with the comment lines directly above it, all of which are returned, and
    /// a blank line that would be one too many.
    pub(super) fn detach(&mut self, block: NodeId) -> Vec<NodeId> {
        let head = self.head(block);
        let (above, below) = (self.tree.previous(head), self.tree.next(block));
        let unit: Vec<_> = std::iter::successors(Some(head), |&node| {
            self.tree.next(node).filter(|_| node != block)
        })
        .collect();
        for &node in &unit {
            self.tree.unlink(node);
        }
        let blank = |node: &NodeId| self.tree.content(*node) == Content::Blank;
        let at_end = below.is_none_or(|node| self.tree.content(node) == Content::Close);
        let alone = self.last_block(self.tree.parent(block), BlockKind::Unknown).is_none();
        let surplus = match (above.filter(blank), below.filter(blank)) {
            (Some(above), below) if below.is_some() || (at_end && !alone) => Some(above),
            (None, Some(below)) if above.is_none() => Some(below),
            _ => None,
        };
        if let Some(surplus) = surplus {
            self.tree.unlink(surplus);
        }
        unit
    }

    /// Puts what [`detach`](Self::detach) took out next to another block.
    pub(super) fn attach(&mut self, unit: &[NodeId], neighbour: NodeId, before: bool) {
        let parent = self.tree.parent(neighbour);
        let spaced = self.blank_above(neighbour)
            || self
                .tree
                .next(neighbour)
                .is_some_and(|next| before && self.tree.content(next) == Content::Blank);
        let mut previous = match before {
            true => self.tree.previous(self.head(neighbour)),
            false if spaced => {
                let blank = self.ending.into();
                Some(self.tree.insert_after(neighbour, Content::Blank, blank))
            }
            false => Some(neighbour),
        };
        for &node in unit {
            self.tree.relink(node, parent, previous);
            previous = Some(node);
        }
        if let Some(last) = previous.filter(|_| before && spaced) {
            self.tree.insert_after(last, Content::Blank, self.ending.into());
        }
    }

    /// Closes the blocks that the end of the file leaves open, so that something can follow.
    pub(super) fn close_blocks(&mut self) {
        for block in self.tree.take_unclosed() {
            let close = self.closing_line(block);
            self.tree.append(block, Content::Close, close);
        }
    }

    /// The bytes that closing them adds.
    pub(super) fn closing_size(&self) -> usize {
        self.tree.unclosed().iter().map(|&block| self.closing_line(block).len()).sum()
    }

    fn closing_line(&self, block: NodeId) -> Vec<u8> {
        self.new_line(&self.indentation(block), "}")
    }

    pub(super) fn first_block(&self, parent: NodeId, kind: BlockKind) -> Option<NodeId> {
        self.tree.children(parent).find(|&node| self.tree.content(node) == Content::Block(kind))
    }

    /// The last block of this kind in `parent`, or else of any kind.
    pub(super) fn last_block(&self, parent: NodeId, kind: BlockKind) -> Option<NodeId> {
        let is = |node: &NodeId| self.tree.content(*node) == Content::Block(kind);
        let any = |node: &NodeId| matches!(self.tree.content(*node), Content::Block(_));
        let mut blocks = self.tree.children_backwards(parent).filter(any);
        let last = blocks.next()?;
        if is(&last) { Some(last) } else { blocks.find(is).or(Some(last)) }
    }

    /// The first of the comment lines directly above a block, or the block itself.
    fn head(&self, block: NodeId) -> NodeId {
        let comments = std::iter::successors(Some(block), |&node| self.tree.previous(node))
            .skip(1)
            .take_while(|&node| self.tree.content(node) == Content::Comment);
        comments.last().unwrap_or(block)
    }

    fn blank_above(&self, block: NodeId) -> bool {
        let above = self.tree.previous(self.head(block));
        above.is_some_and(|node| self.tree.content(node) == Content::Blank)
    }
}

/// Indentation.
impl Editor<'_> {
    /// The indentation of the directives in a block: that of its own, or of the block above it, or
    /// one step more than its header.
    fn body_indentation(&self, block: NodeId) -> String {
        if block == NodeId::ROOT {
            return self.own_indentation(block).unwrap_or_default();
        }
        let kind = self.tree.content(block);
        let above = || {
            std::iter::successors(self.tree.previous(block), |&node| self.tree.previous(node))
                .find(|&node| self.tree.content(node) == kind)
        };
        self.own_indentation(block)
            .or_else(|| self.own_indentation(above()?))
            .unwrap_or_else(|| self.stepped_indentation(block))
    }

    fn own_indentation(&self, block: NodeId) -> Option<String> {
        let is_block = |node: &NodeId| matches!(self.tree.content(*node), Content::Block(_));
        let own = self.tree.children(block).take_while(|node| !is_block(node));
        let last = own.filter(|&node| self.is_assignment(node)).last()?;
        Some(self.indentation(last))
    }

    fn stepped_indentation(&self, block: NodeId) -> String {
        let outer = self.indentation(block);
        let parent = self.tree.parent(block);
        let around = if parent == NodeId::ROOT { String::new() } else { self.indentation(parent) };
        let step = match outer.strip_prefix(around.as_str()).filter(|step| !step.is_empty()) {
            Some(step) => step.to_owned(),
            None if outer.contains('\t') => "\t".to_owned(),
            None => "    ".to_owned(),
        };
        outer + &step
    }

    fn indentation(&self, node: NodeId) -> String {
        let blanks = self.line(node).iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        blanks.map(|&byte| char::from(byte)).collect()
    }

    fn line(&self, node: NodeId) -> &[u8] {
        self.tree.line(self.document.as_bytes(), node)
    }

    fn new_line(&self, indentation: &str, text: &str) -> Vec<u8> {
        format!("{indentation}{text}{}", self.ending).into_bytes()
    }
}

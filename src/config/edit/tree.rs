//! The lines of a file as a tree that can be rearranged.
//!
//! Each line is a node; a block is the node of its header, with the lines of its body and its
//! closing brace as children. Lines in the order of the tree are the file.

use crate::config::directive::Directive;
use crate::config::span::line_end;
use crate::config::syntax::{BlockKind, Document, Shape, Statement};
use crate::config::{Position, Span};

/// A node of a [`Tree`]; 0 is the file itself, and never a child.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct NodeId(usize);

impl NodeId {
    pub(super) const ROOT: Self = Self(0);

    fn present(self) -> Option<Self> {
        (self != Self::ROOT).then_some(self)
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    File,
    Blank,
    Comment,
    /// `NAME = VALUE...`, with the directive if there is one of this name.
    Assignment(Option<Directive>),
    /// What may have been meant for this directive, and cannot be read.
    Malformed(Option<Directive>),
    /// `{` on a line of its own.
    Brace,
    Block(BlockKind),
    Close,
}

#[derive(Clone, Debug)]
enum Line {
    /// As it is in the file, its ending included.
    Kept(Span),
    /// Written anew, its ending included.
    Written(Box<[u8]>),
}

#[derive(Clone, Debug)]
struct Node {
    content: Content,
    line: Line,
    parent: NodeId,
    previous: NodeId,
    next: NodeId,
    first: NodeId,
    last: NodeId,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Blocks that the end of the file leaves open.
    unclosed: Vec<NodeId>,
}

impl Tree {
    /// The tree of a file, and the nodes of its blocks in their order.
    pub(super) fn of(document: &Document) -> (Self, Vec<NodeId>) {
        let mut builder = Builder::new(document);
        let text = document.as_bytes();
        let mut start = document.text_start();
        while start < text.len() {
            let (end, next) = line_end(text, start);
            builder.line(Span::new(start, end), Span::new(start, next));
            start = next;
        }
        builder.finish()
    }

    /// Puts a line behind `sibling`.
    pub(super) fn insert_after(
        &mut self,
        sibling: NodeId,
        content: Content,
        line: Vec<u8>,
    ) -> NodeId {
        let node = self.create(content, Line::Written(line.into()));
        self.link(node, self.nodes[sibling.0].parent, sibling);
        node
    }

    /// Puts a line before `sibling`.
    pub(super) fn insert_before(
        &mut self,
        sibling: NodeId,
        content: Content,
        line: Vec<u8>,
    ) -> NodeId {
        let node = self.create(content, Line::Written(line.into()));
        self.link(node, self.nodes[sibling.0].parent, self.nodes[sibling.0].previous);
        node
    }

    /// Puts a line at the end of `parent`.
    pub(super) fn append(&mut self, parent: NodeId, content: Content, line: Vec<u8>) -> NodeId {
        self.push(parent, content, Line::Written(line.into()))
    }

    /// Puts a line at the beginning of `parent`.
    pub(super) fn prepend(&mut self, parent: NodeId, content: Content, line: Vec<u8>) -> NodeId {
        let node = self.create(content, Line::Written(line.into()));
        self.link(node, parent, NodeId::ROOT);
        node
    }

    /// Takes a node, and what is below it, out of its place.
    pub(super) fn unlink(&mut self, node: NodeId) {
        let Node { parent, previous, next, .. } = self.nodes[node.0];
        match previous.present() {
            Some(previous) => self.nodes[previous.0].next = next,
            None => self.nodes[parent.0].first = next,
        }
        match next.present() {
            Some(next) => self.nodes[next.0].previous = previous,
            None => self.nodes[parent.0].last = previous,
        }
    }

    /// Puts a node that was taken out behind `previous` in `parent`, or first for `None`.
    pub(super) fn relink(&mut self, node: NodeId, parent: NodeId, previous: Option<NodeId>) {
        self.link(node, parent, previous.unwrap_or_default());
    }

    pub(super) fn rewrite(&mut self, node: NodeId, line: Vec<u8>) {
        self.nodes[node.0].line = Line::Written(line.into());
    }

    /// The blocks that the end of the file leaves open.
    pub(super) fn unclosed(&self) -> &[NodeId] {
        &self.unclosed
    }

    /// The same, each once.
    pub(super) fn take_unclosed(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.unclosed)
    }

    pub(super) fn content(&self, node: NodeId) -> Content {
        self.nodes[node.0].content
    }

    pub(super) fn parent(&self, node: NodeId) -> NodeId {
        self.nodes[node.0].parent
    }

    pub(super) fn previous(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.0].previous.present()
    }

    pub(super) fn next(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.0].next.present()
    }

    pub(super) fn children(&self, parent: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.nodes[parent.0].first.present(), |&node| self.next(node))
    }

    /// The children from the last one on.
    pub(super) fn children_backwards(&self, parent: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.nodes[parent.0].last.present(), |&node| self.previous(node))
    }

    /// All nodes in the order of the file.
    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.nodes[0].first.present(), |&node| self.following(node))
    }

    /// The line of `node`, its ending included; `source` is the file the tree was made of.
    pub(super) fn line<'a>(&'a self, source: &'a [u8], node: NodeId) -> &'a [u8] {
        match &self.nodes[node.0].line {
            Line::Kept(span) => &source[span.start..span.end],
            Line::Written(line) => line,
        }
    }

    /// Where a line that was not edited stands in the file.
    pub(super) fn position(&self, document: &Document, node: NodeId) -> Position {
        match self.nodes[node.0].line {
            Line::Kept(span) => document.position(span.start),
            Line::Written(_) => document.position(0),
        }
    }

    fn following(&self, node: NodeId) -> Option<NodeId> {
        if let Some(first) = self.nodes[node.0].first.present() {
            return Some(first);
        }
        let mut at = node.present()?;
        loop {
            if let Some(next) = self.next(at) {
                return Some(next);
            }
            at = self.parent(at).present()?;
        }
    }

    fn create(&mut self, content: Content, line: Line) -> NodeId {
        let none = NodeId::ROOT;
        let node = Node {
            content,
            line,
            parent: none,
            previous: none,
            next: none,
            first: none,
            last: none,
        };
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    fn push(&mut self, parent: NodeId, content: Content, line: Line) -> NodeId {
        let node = self.create(content, line);
        self.link(node, parent, self.nodes[parent.0].last);
        node
    }

    /// Links `node` behind `previous` in `parent`, or first if there is none.
    fn link(&mut self, node: NodeId, parent: NodeId, previous: NodeId) {
        let next = match previous.present() {
            Some(previous) => std::mem::replace(&mut self.nodes[previous.0].next, node),
            None => std::mem::replace(&mut self.nodes[parent.0].first, node),
        };
        match next.present() {
            Some(next) => self.nodes[next.0].previous = node,
            None => self.nodes[parent.0].last = node,
        }
        let linked = &mut self.nodes[node.0];
        (linked.parent, linked.previous, linked.next) = (parent, previous, next);
    }
}

/// Follows the outline of a document line by line.
struct Builder<'a> {
    document: &'a Document,
    tree: Tree,
    /// The statement of the document that comes next.
    statement: usize,
    blocks: Vec<NodeId>,
    /// Open blocks, the innermost last: index in the document, and node.
    open: Vec<(usize, NodeId)>,
}

impl<'a> Builder<'a> {
    fn new(document: &'a Document) -> Self {
        let mut tree = Tree { nodes: Vec::new(), unclosed: Vec::new() };
        tree.create(Content::File, Line::Kept(Span::default()));
        Self { document, tree, statement: 0, blocks: Vec::new(), open: Vec::new() }
    }

    /// Takes the next line: `visible` without its ending, `whole` with it.
    fn line(&mut self, visible: Span, whole: Span) {
        let statement = self.document.statements().get(self.statement).copied();
        match statement.filter(|statement| self.document.start_of(statement) < whole.end) {
            None => self.trivia(visible, whole),
            Some(statement) => self.statement(&statement, whole),
        }
    }

    fn trivia(&mut self, visible: Span, whole: Span) {
        let text = &self.document.as_bytes()[visible.start..visible.end];
        let content = match text.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
            None => Content::Blank,
            Some(b'#') => Content::Comment,
            Some(_) => Content::Malformed(None),
        };
        self.tree.push(self.top(), content, Line::Kept(whole));
    }

    fn statement(&mut self, statement: &Statement, whole: Span) {
        let index = self.statement;
        self.statement += 1;
        let own =
            self.document.blocks().get(self.blocks.len()).filter(|block| block.header == index);
        if let Some(&block) = own {
            self.close_up_to(block.parent);
            let node = self.tree.push(self.top(), Content::Block(block.kind), Line::Kept(whole));
            self.open.push((self.blocks.len(), node));
            self.blocks.push(node);
            return;
        }
        if statement.shape != Shape::Brace {
            self.close_up_to(statement.block());
        }
        self.tree.push(self.top(), self.content(statement), Line::Kept(whole));
        if statement.shape == Shape::Close && statement.block().is_some() {
            self.open.pop();
        }
    }

    fn content(&self, statement: &Statement) -> Content {
        let first = self.document.tokens(statement).first();
        let name = first.map(|first| self.document.word(first)).unwrap_or_default();
        match statement.shape {
            Shape::Assignment => Content::Assignment(Directive::from_name(&name)),
            Shape::Other | Shape::Open => {
                let name = name.split('=').next().unwrap_or_default();
                Content::Malformed(Directive::from_name(name))
            }
            Shape::Brace => Content::Brace,
            Shape::Close => Content::Close,
        }
    }

    fn top(&self) -> NodeId {
        self.open.last().map_or(NodeId::ROOT, |&(_, node)| node)
    }

    /// Leaves blocks that a later line closed without a brace.
    fn close_up_to(&mut self, block: Option<usize>) {
        while self.open.last().map(|&(index, _)| index) != block && self.open.pop().is_some() {}
    }

    fn finish(mut self) -> (Tree, Vec<NodeId>) {
        self.tree.unclosed = self.open.iter().map(|&(_, node)| node).collect();
        (self.tree, self.blocks)
    }
}

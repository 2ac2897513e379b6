//! Edits: what they are about changes, every other byte stays.

mod error;
mod layout;
mod place;
mod tree;
pub(super) mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use error::EditError;
pub use place::{Place, Spot};

use super::Document;
use super::directive::Directive;
use super::syntax::{BlockKind, MAX_FILE, MAX_LINE, Shape};
use place::Named;
use tree::{Content, NodeId, Tree};

impl Document {
    /// Begins any number of edits that are made together by [`Editor::apply`], or not at all.
    ///
    /// Beginning and applying read the whole file; an edit in between costs no more than the
    /// block it is about.
    ///
    /// ```
    /// use piranha::config::{Directive, Document, Place};
    ///
    /// let mut document = Document::parse(b"primary = 192.0.2.11\n");
    /// let web = Place::virtual_service("web");
    /// let mut editor = document.edit()?;
    /// editor.add(web)?;
    /// editor.set(web, Directive::Address, "192.0.2.80 eth0:1")?;
    /// editor.add(web.server("s1"))?;
    /// editor.set(web.server("s1"), Directive::Address, "192.0.2.21")?;
    /// editor.apply();
    /// assert_eq!(
    ///     document.to_string(),
    ///     "primary = 192.0.2.11\n\
    ///      virtual web {\n    \
    ///          address = 192.0.2.80 eth0:1\n    \
    ///          server s1 {\n        \
    ///              address = 192.0.2.21\n    \
    ///          }\n\
    ///      }\n"
    /// );
    /// # Ok::<(), piranha::config::EditError>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError::TooLarge`].
    pub fn edit(&mut self) -> Result<Editor<'_>, EditError> {
        if self.is_oversized() {
            return Err(EditError::TooLarge);
        }
        let (tree, blocks) = Tree::of(self);
        let mut editor = Editor {
            size: self.as_bytes().len(),
            ending: layout::line_ending(self.as_bytes()),
            names: BTreeMap::new(),
            tree,
            document: self,
        };
        editor.index(&blocks);
        Ok(editor)
    }

    /// Sets a directive that stands outside of any block; see [`Editor::set`].
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
        self.set(Place::GLOBAL, directive, value)
    }

    /// What the file says of a directive outside of blocks, as it is written but for quotes; the last
    /// line counts. What files say that it includes is not in it.
    ///
    /// ```
    /// use piranha::config::{Directive, Document};
    ///
    /// let document = Document::parse(b"include = nodes/*.cf\nrole = 'backup' # here\n");
    /// assert_eq!(document.global(Directive::Role).as_deref(), Some("backup"));
    /// assert_eq!(document.global(Directive::Primary), None);
    /// ```
    #[must_use]
    pub fn global(&self, directive: Directive) -> Option<String> {
        let outside = self.statements().iter().rev().filter(|statement| {
            statement.shape == Shape::Assignment && statement.block().is_none()
        });
        let mut said = outside.filter_map(|statement| match self.tokens(statement) {
            [name, _, value, ..] if self.value(name) == directive.name().as_bytes() => {
                Some(self.word(value).into_owned())
            }
            _ => None,
        });
        said.next()
    }

    /// Sets a directive of the `virtual` block of this name; see [`Editor::set`].
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set_virtual(
        &mut self,
        virtual_name: &str,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        self.set(Place::virtual_service(virtual_name), directive, value)
    }

    /// Sets a directive of a `server` block; see [`Editor::set`].
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
        let place = Place::virtual_service(virtual_name).server(server_name);
        self.set(place, directive, value)
    }

    /// Whether there is a block of this name, of which several are as good as one;
    /// [`Place::GLOBAL`] is always there.
    #[must_use]
    pub fn holds(&self, place: Place<'_>) -> bool {
        let named = |parent, kind, Named { name, .. }: Named<'_>| {
            let name = name.to_owned();
            self.blocks().iter().enumerate().filter_map(move |(number, block)| {
                let here = (block.parent, block.kind) == (parent, kind);
                (here && self.block_name(block) == name).then_some(number)
            })
        };
        match (place.service, place.server) {
            (None, server) => server.is_none(),
            (Some((kind, service)), None) => named(None, kind, service).next().is_some(),
            (Some((kind, service)), Some(server)) => named(None, kind, service)
                .any(|parent| named(Some(parent), BlockKind::Server, server).next().is_some()),
        }
    }

    fn set(
        &mut self,
        place: Place<'_>,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        let mut editor = self.edit()?;
        editor.set(place, directive, value)?;
        editor.apply();
        Ok(())
    }
}

/// Edits of a [`Document`] that are made together. Dropped without [`apply`](Self::apply), it
/// changed nothing.
///
/// An edit that fails leaves the earlier ones as they are and can be followed by others.
///
/// # Comments and blank lines
///
/// The comment lines directly above the header of a block, with no blank line in between, belong
/// to the block: they move with it and go with it. So does what stands inside. A comment behind a
/// directive stays when its value changes and goes with its line; one on a line of its own above a
/// directive always stays. Where a removed block leaves two blank lines next to each other, or one
/// at an end, one of them goes; a new block gets a blank line in front where the one above has it.
#[must_use = "edits are made by `apply`"]
#[derive(Debug)]
pub struct Editor<'d> {
    document: &'d mut Document,
    tree: Tree,
    /// The blocks by what they stand in, kind and name.
    names: BTreeMap<(NodeId, BlockKind), BTreeMap<String, Vec<NodeId>>>,
    /// Bytes of the file as it is now, at most.
    size: usize,
    ending: &'static str,
}

impl Editor<'_> {
    /// Sets a directive.
    ///
    /// `value` is what the directive is to mean: quotes are put around it where it needs them, and
    /// control characters of `send` and `expect` are written as escapes. If the directive is there,
    /// only the bytes of its value change (of several, the last one's, which counts); else a
    /// line is added with the indentation of its neighbours.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set(
        &mut self,
        place: Place<'_>,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        let scope = place.scope();
        let node = self.find(place)?;
        let descriptor =
            directive.descriptor(scope).ok_or(EditError::Misplaced { directive, scope })?;
        let written = write::value(descriptor, value)?;
        let present = self.assignments(node, directive)?;
        match present.last() {
            Some(&line) => self.replace_values(line, directive, &written),
            None => self.add_assignment(node, directive, &written),
        }
    }

    /// Adds one more of a directive that [may stand several times](Directive::is_repeatable); of any
    /// other, [sets](Self::set) it.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn push(
        &mut self,
        place: Place<'_>,
        directive: Directive,
        value: &str,
    ) -> Result<(), EditError> {
        let scope = place.scope();
        let node = self.find(place)?;
        match directive.descriptor(scope).filter(|_| directive.is_repeatable()) {
            Some(descriptor) => {
                let written = write::value(descriptor, value)?;
                self.add_assignment(node, directive, &written)
            }
            None => self.set(place, directive, value),
        }
    }

    /// What a directive says each time it stands there, in the order of the file: a single value
    /// without its quotes, several as they are written.
    ///
    /// # Errors
    /// [`EditError::NoSuchBlock`] and its like, and [`EditError::Malformed`].
    pub fn values(&self, place: Place<'_>, directive: Directive) -> Result<Vec<String>, EditError> {
        let lines = self.assignments(self.find(place)?, directive)?;
        Ok(lines.into_iter().map(|line| self.written_values(line)).collect())
    }

    /// [Sets](Self::set) a directive where it stands for the `nth` time, counted from 1.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn set_nth(
        &mut self,
        place: Place<'_>,
        directive: Directive,
        nth: usize,
        value: &str,
    ) -> Result<(), EditError> {
        let line = self.nth(place, directive, nth)?;
        let scope = place.scope();
        let descriptor =
            directive.descriptor(scope).ok_or(EditError::Misplaced { directive, scope })?;
        let written = write::value(descriptor, value)?;
        self.replace_values(line, directive, &written)
    }

    /// Removes a directive where it stands for the `nth` time, counted from 1.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn unset_nth(
        &mut self,
        place: Place<'_>,
        directive: Directive,
        nth: usize,
    ) -> Result<(), EditError> {
        let line = self.nth(place, directive, nth)?;
        self.tree.unlink(line);
        Ok(())
    }

    /// Removes a directive, each time it stands there, and says whether it did.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn unset(&mut self, place: Place<'_>, directive: Directive) -> Result<bool, EditError> {
        let scope = place.scope();
        let node = self.find(place)?;
        directive.descriptor(scope).ok_or(EditError::Misplaced { directive, scope })?;
        let present = self.assignments(node, directive)?;
        for &line in &present {
            self.tree.unlink(line);
        }
        Ok(!present.is_empty())
    }

    /// Adds an empty block behind the others of its kind, with the indentation they have.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed. Names are 1 to 255 bytes without control characters
    /// and not taken by a block beside this one.
    pub fn add(&mut self, place: Place<'_>) -> Result<(), EditError> {
        let (parent, kind, name) = self.slot(place)?;
        self.check_order()?;
        self.check_free(parent, kind, name)?;
        let written = write::name(name)?;
        let (header, close) = self.block_lines(parent, kind, &written);
        self.make_room(2 * (header.len() + close.len()) + self.closing_size())?;
        self.close_blocks();
        let block = self.place_last(parent, kind, header);
        self.tree.append(block, Content::Close, close);
        self.names.entry((parent, kind)).or_default().insert(name.to_owned(), vec![block]);
        Ok(())
    }

    /// Removes a block, what stands in it, and the comment lines directly above it.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn remove(&mut self, place: Place<'_>) -> Result<(), EditError> {
        let (parent, kind, name) = self.slot(place)?;
        let block = self.find(place)?;
        self.check_order()?;
        self.detach(block);
        self.forget(parent, kind, name, block);
        Ok(())
    }

    /// Gives a block another name. Nothing refers to a block by its name, so nothing else
    /// changes.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn rename(&mut self, place: Place<'_>, new_name: &str) -> Result<(), EditError> {
        let (parent, kind, name) = self.slot(place)?;
        let block = self.find(place)?;
        self.check_order()?;
        if name == new_name {
            return Ok(());
        }
        self.check_free(parent, kind, new_name)?;
        let written = write::name(new_name)?;
        self.replace_name(block, &written)?;
        self.forget(parent, kind, name, block);
        self.names.entry((parent, kind)).or_default().insert(new_name.to_owned(), vec![block]);
        Ok(())
    }

    /// Moves a block to another place among those of its kind, with the comment lines directly
    /// above it.
    ///
    /// # Errors
    /// [`EditError`], and nothing was changed.
    pub fn move_to(&mut self, place: Place<'_>, spot: Spot<'_>) -> Result<(), EditError> {
        let (parent, kind, _) = self.slot(place)?;
        let block = self.find(place)?;
        self.check_order()?;
        let sibling = |name| self.find_in(parent, kind, Named { name, nth: None });
        let (neighbour, before) = match spot {
            Spot::First => (self.first_block(parent, kind), true),
            Spot::Last => (self.last_block(parent, kind), false),
            Spot::Before(name) => (Some(sibling(name)?), true),
            Spot::After(name) => (Some(sibling(name)?), false),
        };
        let Some(neighbour) = neighbour.filter(|&neighbour| neighbour != block) else {
            return Ok(());
        };
        self.make_room(2 * self.ending.len() + self.closing_size())?;
        self.close_blocks();
        let unit = self.detach(block);
        self.attach(&unit, neighbour, before);
        Ok(())
    }

    /// Makes the edits.
    pub fn apply(self) {
        let text = self.tree.print(self.document, self.ending);
        *self.document = Document::parse(&text);
    }
}

/// Finding what is to be edited.
impl Editor<'_> {
    fn index(&mut self, blocks: &[NodeId]) {
        for (block, &node) in self.document.blocks().iter().zip(blocks) {
            let same = self.names.entry((self.tree.parent(node), block.kind)).or_default();
            same.entry(self.document.block_name(block)).or_default().push(node);
        }
    }

    fn find(&self, place: Place<'_>) -> Result<NodeId, EditError> {
        let service = match place.service {
            Some((kind, named)) => self.find_in(NodeId::ROOT, kind, named)?,
            None => NodeId::ROOT,
        };
        match place.server {
            Some(named) => self.find_in(service, BlockKind::Server, named),
            None => Ok(service),
        }
    }

    fn find_in(
        &self,
        parent: NodeId,
        kind: BlockKind,
        Named { name, nth }: Named<'_>,
    ) -> Result<NodeId, EditError> {
        let same = self.names.get(&(parent, kind)).and_then(|names| names.get(name));
        let same = same.map_or(&[][..], Vec::as_slice);
        let (kind, name) = (kind.word(), name.to_owned());
        let found = match (same, nth) {
            (_, Some(nth)) => self.in_order(parent, same).nth(nth.wrapping_sub(1)),
            (&[only], None) => Some(only),
            ([], None) => None,
            (_, None) => return Err(EditError::Ambiguous { kind, name }),
        };
        found.ok_or(EditError::NoSuchBlock { kind, name })
    }

    /// Those of the children of `parent` that are among `some`, in the order of the file.
    fn in_order<'a>(
        &'a self,
        parent: NodeId,
        some: &'a [NodeId],
    ) -> impl Iterator<Item = NodeId> + 'a {
        self.tree.children(parent).filter(|node| some.contains(node))
    }

    /// What the block of `place` stands in, its kind and its name.
    fn slot<'a>(&self, place: Place<'a>) -> Result<(NodeId, BlockKind, &'a str), EditError> {
        match (place.service, place.server) {
            (Some(_), Some(Named { name, .. })) => {
                let service = self.find(Place { server: None, ..place })?;
                Ok((service, BlockKind::Server, name))
            }
            (Some((kind, Named { name, .. })), None) => Ok((NodeId::ROOT, kind, name)),
            (None, _) => Err(EditError::NotABlock),
        }
    }

    fn forget(&mut self, parent: NodeId, kind: BlockKind, name: &str, block: NodeId) {
        if let Some(names) = self.names.get_mut(&(parent, kind))
            && let Some(same) = names.get_mut(name)
        {
            same.retain(|&node| node != block);
            if same.is_empty() {
                names.remove(name);
            }
        }
    }

    fn check_free(&self, parent: NodeId, kind: BlockKind, name: &str) -> Result<(), EditError> {
        let taken = self.names.get(&(parent, kind)).is_some_and(|names| names.contains_key(name));
        if taken {
            return Err(EditError::NameTaken { kind: kind.word(), name: name.to_owned() });
        }
        Ok(())
    }

    /// Blocks are rearranged only where there is no doubt about where each begins and ends.
    fn check_order(&self) -> Result<(), EditError> {
        match self.document.problems().first_error() {
            Some(error) => {
                let position = self.document.position(error.span.start);
                Err(EditError::Broken { position })
            }
            None => Ok(()),
        }
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), EditError> {
        if self.size + bytes > MAX_FILE {
            return Err(EditError::TooLarge);
        }
        self.size += bytes;
        Ok(())
    }

    /// The lines that set `directive` in a block, in the order of the file.
    fn assignments(&self, block: NodeId, directive: Directive) -> Result<Vec<NodeId>, EditError> {
        let mut found = Vec::new();
        for line in self.tree.children(block) {
            match self.tree.content(line) {
                Content::Assignment(Some(name)) if name == directive => found.push(line),
                Content::Malformed(Some(name)) if name == directive => {
                    let position = self.tree.position(self.document, line);
                    return Err(EditError::Malformed { position });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The line that sets `directive` for the `nth` time.
    fn nth(&self, place: Place<'_>, directive: Directive, nth: usize) -> Result<NodeId, EditError> {
        let lines = self.assignments(self.find(place)?, directive)?;
        let line = nth.checked_sub(1).and_then(|index| lines.get(index));
        line.copied().ok_or(EditError::NoSuchLine { directive, nth })
    }

    fn check_line(&self, directive: Directive, line: &[u8]) -> Result<(), EditError> {
        if line.len() > MAX_LINE {
            let reason = "the line would be longer than 16 KiB".to_owned();
            return Err(EditError::InvalidValue { directive, reason });
        }
        Ok(())
    }
}

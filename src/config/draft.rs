//! A file in the making, with comments, block by block.
//!
//! Unlike an [`Editor`](super::Editor) it knows a block before it knows where the block will stand,
//! and of several blocks that want one name the later ones get a number.

use std::collections::BTreeMap;

use super::edit::write;
use super::{Directive, Document, EditError, Scope};

/// A file in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) global: Block,
    pub(crate) services: Vec<Service>,
}

/// A `virtual` block in the making.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    pub(crate) block: Block,
    servers: Vec<(String, Block)>,
}

/// The directives of one block, in the order in which they were set first.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    scope: Scope,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    Comment(String),
    Setting(Directive, String),
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self { global: Block::new(Scope::Global), services: Vec::new() }
    }

    pub(crate) fn into_document(self) -> Document {
        let mut text = String::new();
        let mut taken = Taken::new();
        self.global.write(&mut text, "");
        for service in self.services {
            service.write(&mut text, &mut taken);
        }
        Document::parse(text.as_bytes())
    }
}

impl Service {
    pub(crate) const fn new(name: String) -> Self {
        Self { name, block: Block::new(Scope::Virtual), servers: Vec::new() }
    }

    pub(crate) fn server(&mut self, name: String, block: Block) {
        self.servers.push((name, block));
    }

    fn write(self, text: &mut String, taken: &mut Taken) {
        text.push_str(&format!("\nvirtual {} {{\n", label(&self.name, taken)));
        self.block.write(text, "    ");
        let mut taken = Taken::new();
        for (name, server) in self.servers {
            text.push_str(&format!("    server {} {{\n", label(&name, &mut taken)));
            server.write(text, "        ");
            text.push_str("    }\n");
        }
        text.push_str("}\n");
    }
}

impl Block {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope, lines: Vec::new() }
    }

    /// Sets a directive; `value` is what it is to mean. A value that cannot be written changes
    /// nothing.
    pub(crate) fn set(&mut self, directive: Directive, value: &str) -> Result<(), EditError> {
        let scope = self.scope;
        let descriptor =
            directive.descriptor(scope).ok_or(EditError::Misplaced { directive, scope })?;
        let written = write::value(descriptor, value)?;
        let same = |line: &&mut Line| matches!(line, Line::Setting(set, _) if *set == directive);
        match self.lines.iter_mut().find(same) {
            Some(line) => *line = Line::Setting(directive, written),
            None => self.lines.push(Line::Setting(directive, written)),
        }
        Ok(())
    }

    /// Sets a directive that may stand several times once more, unless it has this value already.
    pub(crate) fn add(&mut self, directive: Directive, value: &str) -> Result<(), EditError> {
        let mut line = Self::new(self.scope);
        line.set(directive, value)?;
        if line.get(directive).is_some_and(|new| !self.values(directive).any(|v| v == new)) {
            self.append(line);
        }
        Ok(())
    }

    /// The directive's value as it is written, the first if there are several.
    pub(crate) fn get(&self, directive: Directive) -> Option<&str> {
        self.values(directive).next()
    }

    fn values(&self, directive: Directive) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Setting(set, value) if *set == directive => Some(value.as_str()),
            _ => None,
        })
    }

    /// Whether the directive was set.
    pub(crate) fn has(&self, directive: Directive) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Setting(set, _) if *set == directive))
    }

    /// Puts what stands in `other` behind what stands here.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
    }

    /// A comment on one line.
    pub(crate) fn comment(&mut self, text: &str) {
        self.lines.push(Line::Comment(text.replace(['\r', '\n'], " ")));
    }

    fn write(self, text: &mut String, indentation: &str) {
        for line in self.lines {
            text.push_str(indentation);
            match line {
                Line::Comment(comment) => text.push_str(&format!("# {comment}")),
                Line::Setting(directive, value) => text.push_str(&format!("{directive} = {value}")),
            }
            text.push('\n');
        }
    }
}

/// How often each name was given so far.
type Taken = BTreeMap<String, usize>;

/// `name` as a block may have it, with a number behind it from the second time on.
fn label(name: &str, taken: &mut Taken) -> String {
    let times = taken.entry(name.to_owned()).or_insert(0);
    *times += 1;
    let numbered = if *times > 1 { format!("{name}-{times}") } else { name.to_owned() };
    write::name(&numbered).unwrap_or_else(|_| format!("unnamed-{times}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn what_was_set_is_what_is_read() {
        let mut draft = Draft::new();
        draft.global.comment("one\nline");
        draft.global.set(Directive::Primary, "192.0.2.1").unwrap();
        let mut web = Service::new("web 1".to_owned());
        web.block.set(Directive::Address, "192.0.2.80 eth0").unwrap();
        web.block.set(Directive::Active, "0").unwrap();
        web.block.set(Directive::Active, "1").unwrap();
        web.block.set(Directive::Expect, "a \"b\"\r\n").unwrap();
        let mut server = Block::new(Scope::Server);
        server.set(Directive::Address, "10.0.0.1").unwrap();
        assert!(server.set(Directive::Weight, "-1").is_err());
        assert!(server.set(Directive::Scheduler, "rr").is_err());
        web.server("s1".to_owned(), server);
        draft.services.push(web);
        let loaded = load(draft.into_document().as_bytes());
        let config = loaded.config.expect("a good file");
        assert_eq!(config.virtuals[0].name, "web 1");
        assert_eq!(config.virtuals[0].servers[0].address, "10.0.0.1:80".parse().unwrap());
        assert!(config.virtuals[0].active);
    }
}

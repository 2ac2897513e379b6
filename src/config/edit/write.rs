//! How values and names are written so that they are read back as what they were.

use super::EditError;
use crate::config::Document;
use crate::config::directive::Descriptor;
use crate::config::syntax::{BlockKind, MAX_LINE, Quote};
use crate::config::value::{Kind, encode};

/// The longest name of a block, in bytes. Names are labels in logs and tables.
const LONGEST_NAME: usize = 255;

/// How `value` is written so that `descriptor` reads it back.
pub(in crate::config) fn value(descriptor: &Descriptor, value: &str) -> Result<String, EditError> {
    let (kind, directive) = (descriptor.kind, descriptor.directive);
    if "x = ''".len() + value.len() > MAX_LINE {
        let reason = "the line would be longer than 16 KiB".to_owned();
        return Err(EditError::InvalidValue { directive, reason });
    }
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
        if !as_meant || words.is_empty() || kind.arity().unwrap_or(words.len()) != words.len() {
            continue;
        }
        match kind.read(&words) {
            Ok(_) => return Ok(written),
            Err(problem) => reason = problem.message,
        }
    }
    Err(EditError::InvalidValue { directive, reason })
}

/// How the name of a block is written, with quotes where it needs them.
pub(in crate::config) fn name(name: &str) -> Result<String, EditError> {
    let usable = !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::is_control);
    [name.to_owned(), format!("\"{name}\""), format!("'{name}'")]
        .into_iter()
        .find(|written| usable && is_read_as(written, name))
        .ok_or_else(|| EditError::InvalidName { name: name.to_owned() })
}

fn is_read_as(written: &str, name: &str) -> bool {
    let document = Document::parse(format!("virtual {written} {{\n}}").as_bytes());
    let [block] = document.blocks() else {
        return false;
    };
    !document.problems().has_errors()
        && block.kind == BlockKind::Virtual
        && document.block_name(block) == name
}

impl Document {
    /// The values of a document that is one assignment and nothing else.
    pub(super) fn only_values(&self) -> Option<Vec<&[u8]>> {
        let [statement] = self.statements() else {
            return None;
        };
        let values = self.tokens(statement).get(2..)?;
        let last = values.last()?;
        let whole = last.quote != Quote::Open && last.span().end == self.as_bytes().len();
        whole.then(|| values.iter().map(|value| self.value(value)).collect())
    }
}

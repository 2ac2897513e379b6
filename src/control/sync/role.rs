//! lvs.cf as both nodes have it in common: without `role`, which each has to itself.

use crate::config::{Directive, Document, EditError, Place};

/// The lvs.cf `theirs` with the role that `ours` has, every other byte as it was: what the node of
/// `ours` gets of the other one. What files say that either includes has no part in it.
///
/// # Errors
/// [`EditError`] where `theirs` cannot be edited, or the role of `ours` is none.
pub fn with_role_of(ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, EditError> {
    let Some(role) = Document::parse(ours).global(Directive::Role) else {
        return Ok(without_role(theirs));
    };
    let mut document = Document::parse(theirs);
    document.set_global(Directive::Role, &role)?;
    Ok(document.as_bytes().to_vec())
}

/// The lvs.cf `text` without `role`; as it is where it cannot be edited.
#[must_use]
pub fn without_role(text: &[u8]) -> Vec<u8> {
    let mut document = Document::parse(text);
    let removed = document.edit().and_then(|mut editor| {
        let was_there = editor.unset(Place::GLOBAL, Directive::Role)?;
        editor.apply();
        Ok(was_there)
    });
    match removed {
        Ok(true) => document.as_bytes().to_vec(),
        Ok(false) | Err(_) => text.to_vec(),
    }
}

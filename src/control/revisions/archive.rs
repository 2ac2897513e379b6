//! Which revisions there are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Origin, Revision};
use crate::control::Timestamp;

/// How much an archive keeps.
#[allow(clippy::exhaustive_structs, reason = "two numbers")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// So many revisions at most.
    pub revisions: usize,
    /// So many bytes at most, equal texts counted once.
    pub bytes: u64,
}

impl Default for Limits {
    /// 200 revisions, 64 MiB.
    fn default() -> Self {
        Self { revisions: 200, bytes: 64 << 20 }
    }
}

/// Why a name means no revision.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RevisionError {
    /// There is none.
    #[error("there is no revision `{0}`")]
    Unknown(String),
    /// Hashes of several texts begin so.
    #[error("`{0}` could be several revisions")]
    Ambiguous(String),
}

/// The revisions of one file, the oldest first. The texts are kept by their hashes, each once.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Archive {
    revisions: Vec<Revision>,
    last: u64,
}

impl Archive {
    /// Records that the file has become the text of this hash and length. What the last revision
    /// says already is no new one.
    pub fn record(
        &mut self,
        (hash, bytes): (&str, u64),
        at: Timestamp,
        author: &str,
        origin: Origin,
        reason: Option<&str>,
    ) -> &Revision {
        if self.latest().is_none_or(|latest| latest.hash != hash) {
            self.last += 1;
            self.revisions.push(Revision {
                number: self.last,
                hash: hash.to_owned(),
                bytes,
                at,
                author: author.to_owned(),
                origin,
                reason: reason.map(str::to_owned),
            });
        }
        &self.revisions[self.revisions.len() - 1]
    }

    /// Takes the last revision back, whose text has never been in force. Its number is not given
    /// away again.
    pub fn withdraw(&mut self, number: u64) {
        self.revisions.retain(|revision| revision.number != number);
    }

    /// Forgets the oldest revisions beyond `limits`, but never the last one nor those that have a
    /// number in `needed`.
    pub fn trim(&mut self, limits: Limits, needed: &[u64]) {
        while self.revisions.len() > limits.revisions || self.bytes() > limits.bytes {
            let latest = self.last;
            let spare = |r: &Revision| r.number != latest && !needed.contains(&r.number);
            let Some(place) = self.revisions.iter().position(spare) else { return };
            self.revisions.remove(place);
        }
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Revision> {
        self.revisions.iter()
    }

    /// The last one.
    #[must_use]
    pub fn latest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// The one of this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.number == number)
    }

    /// The last one whose text has this hash.
    #[must_use]
    pub fn with_hash(&self, hash: &str) -> Option<&Revision> {
        self.revisions.iter().rfind(|revision| revision.hash == hash)
    }

    /// The last one before revision `number` that says something else.
    #[must_use]
    pub fn before(&self, number: u64) -> Option<&Revision> {
        let hash = &self.get(number)?.hash;
        self.revisions.iter().rfind(|one| one.number < number && one.hash != *hash)
    }

    /// The one that `name` means: a number, or at least four digits that a hash begins with.
    ///
    /// # Errors
    /// [`RevisionError`].
    pub fn find(&self, name: &str) -> Result<&Revision, RevisionError> {
        if let Some(found) = name.parse().ok().and_then(|number| self.get(number)) {
            return Ok(found);
        }
        let unknown = || RevisionError::Unknown(name.to_owned());
        let begins = |one: &&Revision| name.len() >= 4 && one.hash.starts_with(name);
        let found = self.revisions.iter().rfind(begins).ok_or_else(unknown)?;
        let mut others = self.revisions.iter().filter(begins);
        if others.any(|other| other.hash != found.hash) {
            return Err(RevisionError::Ambiguous(name.to_owned()));
        }
        Ok(found)
    }

    /// The hashes of the texts that are kept.
    #[must_use]
    pub fn hashes(&self) -> BTreeSet<&str> {
        self.revisions.iter().map(|revision| revision.hash.as_str()).collect()
    }

    /// The length of all texts together, equal ones counted once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let texts: BTreeSet<_> = self.revisions.iter().map(|r| (&r.hash, r.bytes)).collect();
        texts.into_iter().map(|(_, bytes)| bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(texts: &[&str]) -> Archive {
        let mut archive = Archive::default();
        for text in texts {
            archive.record((text, 10), Timestamp(1), "ann", Origin::Applied, None);
        }
        archive
    }

    #[test]
    fn the_same_text_again_is_no_new_revision_and_an_earlier_one_is() {
        let archive = archive(&["aaaa1", "aaaa1", "bbbb2", "aaaa1"]);
        let numbers: Vec<_> = archive.iter().map(|one| (one.number, one.hash.as_str())).collect();
        assert_eq!(numbers, [(1, "aaaa1"), (2, "bbbb2"), (3, "aaaa1")]);
        assert_eq!(archive.bytes(), 20, "the text itself is kept once");
        assert_eq!(archive.before(3).map(|one| one.number), Some(2));
        assert_eq!(archive.before(1), None);
    }

    #[test]
    fn a_revision_is_found_by_its_number_or_by_how_its_hash_begins() {
        let archive = archive(&["abcd1", "abcd2", "1234f"]);
        let found = |name| archive.find(name).map(|one| one.number);
        assert_eq!(found("2"), Ok(2));
        assert_eq!(found("1234"), Ok(3));
        assert_eq!(found("abcd"), Err(RevisionError::Ambiguous("abcd".to_owned())));
        for unknown in ["0", "4", "abc", "ffff", "", "-1"] {
            assert_eq!(found(unknown), Err(RevisionError::Unknown(unknown.to_owned())));
        }
    }

    #[test]
    fn a_revision_that_was_taken_back_leaves_its_number() {
        let mut archive = archive(&["aaaa1", "bbbb2"]);
        archive.withdraw(2);
        let next = archive.record(("cccc3", 1), Timestamp(2), "ann", Origin::Edited, None);
        assert_eq!(next.number, 3);
    }

    proptest! {
        #[test]
        fn what_is_needed_stays_and_the_rest_fits(
            texts in prop::collection::vec(0_u8..20, 1..60),
            needed in prop::collection::vec(1_u64..60, 0..2),
            revisions in 4_usize..20,
        ) {
            let mut archive = Archive::default();
            let limits = Limits { revisions, bytes: 100 };
            for text in texts {
                let hash = format!("{text:04}");
                archive.record((&hash, 10), Timestamp(1), "ann", Origin::Applied, None);
                let present: Vec<_> =
                    needed.iter().copied().filter(|&n| archive.get(n).is_some()).collect();
                archive.trim(limits, &needed);
                prop_assert!(archive.iter().count() <= revisions && archive.bytes() <= 100);
                prop_assert_eq!(archive.latest().map(|one| &one.hash), Some(&hash));
                prop_assert!(present.iter().all(|&number| archive.get(number).is_some()));
                let numbers: Vec<_> = archive.iter().map(|one| one.number).collect();
                prop_assert!(numbers.is_sorted());
            }
        }
    }
}

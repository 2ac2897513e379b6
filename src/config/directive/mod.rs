//! The one table of directives: what parsing, suggestions and edits go by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::suggest::nearest;
use super::value::Kind;

mod table;

use table::DESCRIPTORS;
pub use table::Directive;

/// Where a directive stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Outside of any block.
    Global,
    /// In a `virtual` or `failover` block.
    Virtual,
    /// In a `server` block.
    Server,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "outside of any block",
            Self::Virtual => "in a `virtual` block",
            Self::Server => "in a `server` block",
        })
    }
}

/// Who knows a directive.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// Red Hat's Piranha up to 0.8.6 knows it too.
    Historical,
    /// Only this program knows it: a node with Piranha 0.8.6 refuses the file.
    Extension,
}

/// What is known of a directive in one [`Scope`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Which one.
    pub directive: Directive,
    /// Where it stands.
    pub scope: Scope,
    /// The default as it would be written; empty where there is none.
    pub default: &'static str,
    /// Who knows it.
    pub since: Since,
    /// What it does, in one line.
    pub doc: &'static str,
    pub(crate) kind: Kind,
}

impl Descriptor {
    /// Every directive in every scope, in the order of the manual.
    pub const ALL: &[Self] = DESCRIPTORS;

    /// What its value looks like, in a few words.
    #[must_use]
    pub fn value(&self) -> String {
        self.kind.to_string()
    }

    /// The words it takes, where these are all it takes.
    #[must_use]
    pub const fn words(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Boolean => &["0", "1"],
            Kind::Choice(words) => words,
            _ => &[],
        }
    }

    /// Whether its value is bytes, of which some are written as escapes.
    #[must_use]
    pub const fn is_escaped(&self) -> bool {
        matches!(self.kind, Kind::Payload)
    }
}

/// The row of each directive in each scope.
const ROWS: [[Option<usize>; SCOPES]; DESCRIPTORS.len()] = {
    let mut rows = [[None; SCOPES]; DESCRIPTORS.len()];
    let mut row = 0;
    while row < DESCRIPTORS.len() {
        rows[DESCRIPTORS[row].directive as usize][DESCRIPTORS[row].scope as usize] = Some(row);
        row += 1;
    }
    rows
};

const SCOPES: usize = 3;

impl Directive {
    /// What is known of it in `scope`, or `None` if it cannot stand there.
    #[must_use]
    pub fn descriptor(self, scope: Scope) -> Option<&'static Descriptor> {
        ROWS[self as usize][scope as usize].map(|row| &DESCRIPTORS[row])
    }

    /// The scopes it can stand in.
    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        let rows = DESCRIPTORS.iter();
        rows.filter(move |row| row.directive == self).map(|row| row.scope)
    }

    /// Whether each of several in one place counts, instead of the last one.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        self.is_kept_apart()
            || matches!(self, Self::HttpHeader | Self::HttpJson | Self::Include | Self::TlsPin)
    }

    /// Whether each of several is kept with its own place, instead of in one list.
    pub(crate) const fn is_kept_apart(self) -> bool {
        matches!(
            self,
            Self::HeartbeatPath
                | Self::NotifyCommand
                | Self::NotifyEventCommand
                | Self::NotifyFifo
                | Self::NotifyWebhook
                | Self::SyncFile
                | Self::TrackInterface
                | Self::TrackFile
                | Self::TrackProcess
                | Self::TrackCommand
                | Self::Reference
        )
    }

    /// The directive that `name` was most likely meant to be in `scope`, or else anywhere.
    pub(crate) fn nearest(name: &str, scope: Scope) -> Option<Self> {
        let here = DESCRIPTORS.iter().filter(|row| row.scope == scope);
        nearest(name, here.map(|row| row.directive.name()))
            .and_then(Self::from_name)
            .or_else(|| Self::nearest_anywhere(name))
    }

    /// The directive that `name` was most likely meant to be.
    #[must_use]
    pub fn nearest_anywhere(name: &str) -> Option<Self> {
        nearest(name, DESCRIPTORS.iter().map(|row| row.directive.name())).and_then(Self::from_name)
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_of_the_table_is_found_by_name_and_scope() {
        let mut seen = BTreeSet::new();
        for row in Descriptor::ALL {
            let name = row.directive.name();
            assert_eq!(Directive::from_name(name), Some(row.directive));
            assert!(seen.insert((name, row.scope)), "{name} stands twice");
            assert!(row.doc.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn every_default_of_the_table_is_a_value_the_directive_takes() {
        for row in Descriptor::ALL.iter().filter(|row| !row.default.is_empty()) {
            let words: Vec<_> = row.default.split(' ').map(str::as_bytes).collect();
            assert!(row.kind.read(&words).is_ok(), "{}", row.directive);
        }
    }
}

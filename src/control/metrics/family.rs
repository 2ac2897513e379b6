use std::fmt;

use super::samples::Samples;
use super::view::View;

/// One metric: its name, what kind it is, its labels and what it means.
#[derive(Clone, Copy)]
pub struct Family {
    pub(super) name: &'static str,
    pub(super) kind: FamilyKind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) write: fn(&View<'_>, &mut Samples<'_>),
}

impl Family {
    /// Its name; of a counter with `_total`, of a histogram without `_bucket`, `_sum` and `_count`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> FamilyKind {
        self.kind
    }

    /// The names of its labels.
    #[must_use]
    pub const fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// What it means, in one sentence.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What kind of metric it is.
#[allow(clippy::exhaustive_enums, reason = "the kinds this exposition has")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FamilyKind {
    /// A value of this moment.
    Gauge,
    /// What only grows, from 0 at the start of the daemon.
    Counter,
    /// Durations counted in buckets.
    Histogram,
}

impl FamilyKind {
    /// As it stands behind `# TYPE`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

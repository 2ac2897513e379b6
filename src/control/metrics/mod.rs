//! Metrics: the status and the counters of a director as Prometheus text.
//!
//! [`render`] makes an exposition of a [`Scene`]; [`families`] lists every metric there can be, of
//! which docs/metrics.md is made. What is not known is left out rather than told as 0: half a scene
//! gives the metrics of that half, and `piranha_up` says which one is missing. States are sets of
//! series that are 0 or 1, moments are timestamps, and units are base units.
//!
//! ```
//! use piranha::control::metrics::{Format, Scene, render};
//! use piranha::control::status::{Reading, Status};
//! use piranha::control::Timestamp;
//!
//! let unknown = || "nobody answers".to_owned();
//! let status = Status::new(
//!     "lb1".to_owned(),
//!     Timestamp(1_795_372_245_250),
//!     Reading::Unknown { reason: unknown() },
//!     Reading::Unknown { reason: unknown() },
//! );
//! let text = render(&Scene::new(status, None, None), Format::Text);
//! assert!(text.contains("piranha_up{daemon=\"pulse\"} 0\n"));
//! ```

mod document;
mod family;
mod heartbeats;
mod node;
mod process;
mod samples;
mod servers;
mod services;
mod view;

#[cfg(test)]
mod tests;

pub use self::document::document;
pub use self::family::{Family, FamilyKind};
use self::samples::Samples;
use self::view::View;
use super::Counters;
use super::status::Status;

/// Everything that is known of a director at one moment.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Scene {
    /// What both daemons know, with all servers.
    pub status: Status,
    /// What `pulse` has counted.
    pub pulse: Option<Counters>,
    /// What `lvs` has counted.
    pub lvs: Option<Counters>,
}

impl Scene {
    /// This status, and what the daemons have counted as far as they said.
    #[must_use]
    pub const fn new(status: Status, pulse: Option<Counters>, lvs: Option<Counters>) -> Self {
        Self { status, pulse, lvs }
    }
}

/// How an exposition is written.
#[allow(clippy::exhaustive_enums, reason = "the two formats there are")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that a client which sends this `Accept` field wants: OpenMetrics where it is named,
    /// as Prometheus does, else text.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Every metric there can be, in the order of the exposition.
pub fn families() -> impl Iterator<Item = &'static Family> {
    [node::FAMILIES, process::FAMILIES, heartbeats::FAMILIES, services::FAMILIES, servers::FAMILIES]
        .into_iter()
        .flatten()
}

/// The exposition of `scene`. Of a family without a sample nothing is written.
#[must_use]
pub fn render(scene: &Scene, format: Format) -> String {
    let view = View::new(scene);
    let mut text = String::with_capacity(view.expected_size());
    for family in families() {
        let mut samples = Samples::new(&mut text, family, format);
        (family.write)(&view, &mut samples);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

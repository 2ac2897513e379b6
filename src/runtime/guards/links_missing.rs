//! Links cannot be watched without the feature `kernel`.

use std::net::IpAddr;

use super::Report;
use crate::failover::guard::{Guard, Spec};

/// None.
pub(super) const fn concerns(_: &Spec) -> bool {
    false
}

/// Says that it cannot.
pub(super) fn look(spec: &Spec, _: &[IpAddr]) -> Vec<(Guard, Result<(), String>)> {
    if !spec.links.is_empty() || spec.heartbeat_links {
        tracing::warn!("guards: this build does not watch links: it needs the feature `kernel`");
    }
    Vec::new()
}

/// Nothing to report.
pub(super) async fn watch(_: Spec, _: Vec<IpAddr>, _: Report) {}

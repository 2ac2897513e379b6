//! The partner, and the ways to it.

use super::FamilyKind::{Counter, Gauge};
use super::family::Family;
use super::samples::label;
use super::view::View;
use crate::control::PathTraffic;

const PATH: &[&str] = &["path"];

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "piranha_peer_configured",
        kind: Gauge,
        labels: &[],
        help: "Whether this node has a partner by configuration.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(!pulse.paths.is_empty()));
        },
    },
    Family {
        name: "piranha_peer_state",
        kind: Gauge,
        labels: &["state"],
        help: "What the partner last said of itself; nothing before it was heard.",
        write: |view, out| {
            let partner = view.pulse.and_then(|pulse| pulse.partner.as_ref());
            let Some(partner) = partner else { return };
            out.put(&[&label("state", &partner.state.to_string())], true);
        },
    },
    Family {
        name: "piranha_peer_up",
        kind: Gauge,
        labels: PATH,
        help: "Whether a heartbeat of the partner came over this path within the dead time.",
        write: |view, out| {
            let Some(pulse) = view.pulse else { return };
            for path in &view.paths {
                let heard = path.path.age.is_some_and(|age| age <= pulse.dead_time);
                out.put(&[&path.label], heard);
            }
        },
    },
    Family {
        name: "piranha_peer_last_heartbeat_timestamp_seconds",
        kind: Gauge,
        labels: PATH,
        help: "When a heartbeat of the partner last came over this path.",
        write: |view, out| {
            for path in &view.paths {
                let heard = path.path.age.map(|age| view.ago(age));
                heard.into_iter().for_each(|at| out.put(&[&path.label], at));
            }
        },
    },
    Family {
        name: "piranha_heartbeat_interval_seconds",
        kind: Gauge,
        labels: &[],
        help: "How often a heartbeat is sent.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(pulse.keepalive));
        },
    },
    Family {
        name: "piranha_heartbeat_dead_time_seconds",
        kind: Gauge,
        labels: &[],
        help: "Silence after which the partner counts as dead.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(pulse.dead_time));
        },
    },
    Family {
        name: "piranha_heartbeats_authenticated",
        kind: Gauge,
        labels: &[],
        help: "Whether heartbeats are authenticated.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(pulse.authenticated));
        },
    },
    Family {
        name: "piranha_heartbeats_sent_total",
        kind: Counter,
        labels: PATH,
        help: "Heartbeats that left over this path.",
        write: |view, out| {
            each(view, |path, traffic| out.put(&[path], traffic.sent));
        },
    },
    Family {
        name: "piranha_heartbeats_unsent_total",
        kind: Counter,
        labels: PATH,
        help: "Heartbeats that the system would not take on this path: a link that is down, a full queue.",
        write: |view, out| {
            each(view, |path, traffic| out.put(&[path], traffic.unsent));
        },
    },
    Family {
        name: "piranha_heartbeats_received_total",
        kind: Counter,
        labels: PATH,
        help: "Heartbeats of the partner that came over this path and were accepted.",
        write: |view, out| {
            each(view, |path, traffic| out.put(&[path], traffic.heard.received));
        },
    },
    Family {
        name: "piranha_heartbeats_missed_total",
        kind: Counter,
        labels: PATH,
        help: "Heartbeats of the partner that should have come over this path since the first one, and did not; always 0 with VRRP.",
        write: |view, out| {
            each(view, |path, traffic| out.put(&[path], traffic.heard.missed));
        },
    },
    Family {
        name: "piranha_heartbeats_refused_total",
        kind: Counter,
        labels: PATH,
        help: "Datagrams that came over this path and were not accepted.",
        write: |view, out| {
            each(view, |path, traffic| out.put(&[path], traffic.heard.refused));
        },
    },
    Family {
        name: "piranha_heartbeat_errors_total",
        kind: Counter,
        labels: &["reason"],
        help: "Datagrams that were not accepted, by reason (docs/pulse-protocol.md, docs/vrrp.md); nothing for a reason that did not occur.",
        write: |view, out| {
            for (reason, count) in view.pulse.iter().flat_map(|pulse| &pulse.rejected) {
                out.put(&[&label("reason", reason)], *count);
            }
        },
    },
];

fn each(view: &View<'_>, mut tell: impl FnMut(&str, &PathTraffic)) {
    for path in &view.paths {
        path.traffic.into_iter().for_each(|traffic| tell(&path.label, traffic));
    }
}

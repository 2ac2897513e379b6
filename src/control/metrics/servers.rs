//! Real servers.

use super::FamilyKind::{Counter, Gauge};
use super::family::Family;
use super::samples::label;
use super::services::{bytes, packets};
use super::view::{ServerView, View};
use crate::control::ServerCounters;
use crate::control::status::{ServerState, Traffic};

const SERVER: &[&str] = &["svc", "remote_address", "remote_port"];
const BOTH_WAYS: &[&str] = &["svc", "remote_address", "remote_port", "direction"];

const STATES: [(ServerState, &str); 8] = [
    (ServerState::Up, "state=\"up\""),
    (ServerState::Falling, "state=\"falling\""),
    (ServerState::Rising, "state=\"rising\""),
    (ServerState::Down, "state=\"down\""),
    (ServerState::Draining, "state=\"draining\""),
    (ServerState::Disabled, "state=\"disabled\""),
    (ServerState::Waiting, "state=\"waiting\""),
    (ServerState::Unknown, "state=\"unknown\""),
];

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "piranha_real_server_info",
        kind: Gauge,
        labels: &["svc", "remote_address", "remote_port", "server"],
        help: "Always 1: the name of the server in lvs.cf.",
        write: |view, out| {
            for server in all(view) {
                out.put(&[&server.label, &label("server", &server.status.name)], true);
            }
        },
    },
    Family {
        name: "piranha_real_server_state",
        kind: Gauge,
        labels: &["svc", "remote_address", "remote_port", "state"],
        help: "What the server does, everything considered: 1 for its state.",
        write: |view, out| {
            for server in all(view) {
                for (state, label) in STATES {
                    out.put(&[&server.label, label], server.status.state == state);
                }
            }
        },
    },
    Family {
        name: "piranha_real_server_weight",
        kind: Gauge,
        labels: SERVER,
        help: "The weight in the data plane; nothing for a server that is not in there.",
        write: |view, out| {
            for server in all(view) {
                let weight = server.status.weight.into_iter();
                weight.for_each(|weight| out.put(&[&server.label], weight.get()));
            }
        },
    },
    Family {
        name: "piranha_real_server_configured_weight",
        kind: Gauge,
        labels: SERVER,
        help: "The weight in lvs.cf.",
        write: |view, out| {
            for server in all(view) {
                out.put(&[&server.label], server.status.configured_weight.get());
            }
        },
    },
    Family {
        name: "piranha_real_server_certificate_expiry_timestamp_seconds",
        kind: Gauge,
        labels: SERVER,
        help: "When the certificate ends that the server showed a check over TLS last.",
        write: |view, out| {
            for server in all(view) {
                let at = server.status.certificate_expires.into_iter();
                at.for_each(|at| out.put(&[&server.label], at));
            }
        },
    },
    Family {
        name: "piranha_real_server_connections_active",
        kind: Gauge,
        labels: SERVER,
        help: "Connections to the server that are established or being established.",
        write: |view, out| {
            loaded(view, |server, t| out.put(&[&server.label], t.load.active));
        },
    },
    Family {
        name: "piranha_real_server_connections_inactive",
        kind: Gauge,
        labels: SERVER,
        help: "All other connections to the server: those being closed, and UDP flows.",
        write: |view, out| {
            loaded(view, |server, t| out.put(&[&server.label], t.load.inactive));
        },
    },
    Family {
        name: "piranha_real_server_connections_persistent",
        kind: Gauge,
        labels: SERVER,
        help: "Clients that persistence sends to the server.",
        write: |view, out| {
            loaded(view, |server, t| out.put(&[&server.label], t.load.persistent));
        },
    },
    Family {
        name: "piranha_real_server_connections_total",
        kind: Counter,
        labels: SERVER,
        help: "Connections that were scheduled to the server.",
        write: |view, out| {
            loaded(view, |server, t| out.put(&[&server.label], t.counters.connections));
        },
    },
    Family {
        name: "piranha_real_server_packets_total",
        kind: Counter,
        labels: BOTH_WAYS,
        help: "Packets from clients (in) and to clients (out, where the data plane sees them).",
        write: |view, out| {
            loaded(view, |server, t| packets(&server.label, t, out));
        },
    },
    Family {
        name: "piranha_real_server_bytes_total",
        kind: Counter,
        labels: BOTH_WAYS,
        help: "Bytes from clients (in) and to clients (out, where the data plane sees them).",
        write: |view, out| {
            loaded(view, |server, t| bytes(&server.label, t, out));
        },
    },
    Family {
        name: "piranha_check_runs_total",
        kind: Counter,
        labels: &["svc", "remote_address", "remote_port", "result"],
        help: "Health checks that ended: passed (ok), failed (fail), without an answer in time (timeout), or not made (error).",
        write: |view, out| {
            counted(view, |server, counters| {
                out.put(&[&server.label, "result=\"ok\""], counters.passed);
                out.put(&[&server.label, "result=\"fail\""], counters.failed);
                out.put(&[&server.label, "result=\"timeout\""], counters.timed_out);
                out.put(&[&server.label, "result=\"error\""], counters.inconclusive);
            });
        },
    },
    Family {
        name: "piranha_real_server_state_changes_total",
        kind: Counter,
        labels: &["svc", "remote_address", "remote_port", "to"],
        help: "How often checks found the server up, or down, after it was not.",
        write: |view, out| {
            counted(view, |server, counters| {
                out.put(&[&server.label, "to=\"up\""], counters.ups);
                out.put(&[&server.label, "to=\"down\""], counters.downs);
            });
        },
    },
    Family {
        name: "piranha_real_server_downtime_seconds_total",
        kind: Counter,
        labels: SERVER,
        help: "How long checks found the server down, altogether.",
        write: |view, out| {
            counted(view, |server, counters| out.put(&[&server.label], counters.downtime));
        },
    },
];

fn all<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v ServerView<'v>> {
    view.services.iter().flat_map(|service| &service.servers)
}

fn loaded(view: &View<'_>, mut tell: impl FnMut(&ServerView<'_>, &Traffic)) {
    for server in all(view) {
        server.status.traffic.iter().for_each(|traffic| tell(server, traffic));
    }
}

fn counted(view: &View<'_>, mut tell: impl FnMut(&ServerView<'_>, &ServerCounters)) {
    for server in all(view) {
        server.counters.into_iter().for_each(|counters| tell(server, counters));
    }
}

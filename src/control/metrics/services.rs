//! Virtual services.

use super::FamilyKind::{Counter, Gauge, Histogram};
use super::family::Family;
use super::samples::{Samples, label};
use super::view::{ServiceView, View};
use crate::control::status::{Counts, ServiceState, Traffic};
use crate::ipvs::ServiceKey;
use crate::net::Family as AddressFamily;

const SERVICE: &[&str] = &["svc"];
const BOTH_WAYS: &[&str] = &["svc", "direction"];

const STATES: [(ServiceState, &str); 5] = [
    (ServiceState::Up, "state=\"up\""),
    (ServiceState::Starting, "state=\"starting\""),
    (ServiceState::Degraded, "state=\"degraded\""),
    (ServiceState::Sorry, "state=\"sorry\""),
    (ServiceState::Down, "state=\"down\""),
];

/// The label of each direction.
pub(super) const IN: &str = "direction=\"in\"";
pub(super) const OUT: &str = "direction=\"out\"";

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "piranha_service_info",
        kind: Gauge,
        labels: &["svc", "proto", "local_address", "local_port", "local_mark", "scheduler"],
        help: "Always 1: what identifies a virtual service, with the label names of node_exporter.",
        write: |view, out| {
            for service in &view.services {
                let scheduler = label("scheduler", &service.status.scheduler);
                out.put(&[&service.label, &identity(service.status.key), &scheduler], true);
            }
        },
    },
    Family {
        name: "piranha_service_state",
        kind: Gauge,
        labels: &["svc", "state"],
        help: "Whether the service answers, and who: 1 for its state.",
        write: |view, out| {
            for service in &view.services {
                for (state, label) in STATES {
                    out.put(&[&service.label, label], service.status.state == state);
                }
            }
        },
    },
    Family {
        name: "piranha_service_real_servers",
        kind: Gauge,
        labels: &["svc", "state"],
        help: "Real servers of the service, by what they do.",
        write: |view, out| {
            for service in &view.services {
                for (state, count) in counts(service.status.counts) {
                    out.put(&[&service.label, state], count);
                }
            }
        },
    },
    Family {
        name: "piranha_service_quorum_met",
        kind: Gauge,
        labels: SERVICE,
        help: "Whether the servers have the weight that the quorum asks for, where there is one.",
        write: |view, out| {
            for service in &view.services {
                let quorum = service.status.quorum;
                quorum.into_iter().for_each(|quorum| out.put(&[&service.label], quorum.is_met));
            }
        },
    },
    Family {
        name: "piranha_service_connections_active",
        kind: Gauge,
        labels: SERVICE,
        help: "Connections of the service that are established or being established.",
        write: |view, out| {
            each(view, |service, t| out.put(&[&service.label], t.load.active));
        },
    },
    Family {
        name: "piranha_service_connections_inactive",
        kind: Gauge,
        labels: SERVICE,
        help: "All other connections of the service: those being closed, and UDP flows.",
        write: |view, out| {
            each(view, |service, t| out.put(&[&service.label], t.load.inactive));
        },
    },
    Family {
        name: "piranha_service_connections_total",
        kind: Counter,
        labels: SERVICE,
        help: "Connections that were scheduled.",
        write: |view, out| {
            each(view, |service, t| out.put(&[&service.label], t.counters.connections));
        },
    },
    Family {
        name: "piranha_service_packets_total",
        kind: Counter,
        labels: BOTH_WAYS,
        help: "Packets from clients (in) and to clients (out, where the data plane sees them).",
        write: |view, out| {
            each(view, |service, t| packets(&service.label, t, out));
        },
    },
    Family {
        name: "piranha_service_bytes_total",
        kind: Counter,
        labels: BOTH_WAYS,
        help: "Bytes from clients (in) and to clients (out, where the data plane sees them).",
        write: |view, out| {
            each(view, |service, t| bytes(&service.label, t, out));
        },
    },
    Family {
        name: "piranha_check_duration_seconds",
        kind: Histogram,
        labels: SERVICE,
        help: "How long health checks of the service's servers took, those that ran into their timeout included.",
        write: |view, out| {
            for service in &view.services {
                let durations = service.counters.map(|counters| &counters.check_durations);
                durations.into_iter().for_each(|took| out.histogram(&service.label, took));
            }
        },
    },
];

pub(super) fn packets(labels: &str, traffic: &Traffic, out: &mut Samples<'_>) {
    out.put(&[labels, IN], traffic.counters.packets_in);
    out.put(&[labels, OUT], traffic.counters.packets_out);
}

pub(super) fn bytes(labels: &str, traffic: &Traffic, out: &mut Samples<'_>) {
    out.put(&[labels, IN], traffic.counters.bytes_in);
    out.put(&[labels, OUT], traffic.counters.bytes_out);
}

fn each(view: &View<'_>, mut tell: impl FnMut(&ServiceView<'_>, &Traffic)) {
    for service in &view.services {
        service.status.traffic.iter().for_each(|traffic| tell(service, traffic));
    }
}

fn counts(counts: Counts) -> [(&'static str, u32); 6] {
    [
        ("state=\"up\"", counts.up),
        ("state=\"down\"", counts.down),
        ("state=\"draining\"", counts.draining),
        ("state=\"disabled\"", counts.disabled),
        ("state=\"waiting\"", counts.waiting),
        ("state=\"unknown\"", counts.unknown),
    ]
}

/// As node_exporter has them: a service by mark has no address, and one by address no mark.
fn identity(key: ServiceKey) -> String {
    let [proto, address, port, mark] = match key {
        ServiceKey::Address { protocol, address } => {
            let (ip, port) = (address.ip().to_string(), address.port().to_string());
            [protocol.to_string(), ip, port, String::new()]
        }
        ServiceKey::Mark { mark, family } => {
            let proto = match family {
                AddressFamily::Ipv4 => "FWM",
                AddressFamily::Ipv6 => "FWM6",
            };
            [proto.to_owned(), String::new(), String::new(), mark.to_string()]
        }
    };
    format!(
        "proto=\"{proto}\",local_address=\"{address}\",local_port=\"{port}\",local_mark=\"{mark}\""
    )
}

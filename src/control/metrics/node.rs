//! The director, its part in the pair, and its configuration.

use super::FamilyKind::{Counter, Gauge, Histogram};
use super::family::Family;
use super::samples::label;
use crate::control::status::{Failover, Grade, ReasonCode};
use crate::control::{Word, name_of};
use crate::failover::State;

const DAEMON: &[&str] = &["daemon"];

const STATES: [(State, &str); 7] = [
    (State::Starting, "state=\"starting\""),
    (State::Standby, "state=\"standby\""),
    (State::Acquiring, "state=\"acquiring\""),
    (State::Active, "state=\"active\""),
    (State::Releasing, "state=\"releasing\""),
    (State::Failed, "state=\"failed\""),
    (State::Stopped, "state=\"stopped\""),
];

/// What a failover could fail for, one check each.
const CHECKS: [ReasonCode; 11] = [
    ReasonCode::SplitBrain,
    ReasonCode::NodeFailed,
    ReasonCode::NodeMoving,
    ReasonCode::NodeUnfit,
    ReasonCode::Maintenance,
    ReasonCode::PartnerUnheard,
    ReasonCode::PartnerSilent,
    ReasonCode::PartnerStopped,
    ReasonCode::PartnerFailed,
    ReasonCode::PartnerMoving,
    ReasonCode::PartnerUnfit,
];

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "piranha_build_info",
        kind: Gauge,
        labels: &["version"],
        help: "Always 1: the version of the program that tells this.",
        write: |_, out| out.put(&[&label("version", env!("CARGO_PKG_VERSION"))], true),
    },
    Family {
        name: "piranha_node_info",
        kind: Gauge,
        labels: &["node"],
        help: "Always 1: the name of the node.",
        write: |view, out| out.put(&[&label("node", &view.status.node)], true),
    },
    Family {
        name: "piranha_up",
        kind: Gauge,
        labels: DAEMON,
        help: "Whether the daemon answers.",
        write: |view, out| {
            out.put(&["daemon=\"pulse\""], view.pulse.is_some());
            out.put(&["daemon=\"lvs\""], view.lvs.is_some());
        },
    },
    Family {
        name: "piranha_start_timestamp_seconds",
        kind: Gauge,
        labels: DAEMON,
        help: "When the daemon began to count.",
        write: |view, out| {
            let pulse = view.pulse_counters.map(|counters| ("daemon=\"pulse\"", counters.since));
            let lvs = view.lvs_counters.map(|counters| ("daemon=\"lvs\"", counters.since));
            pulse.into_iter().chain(lvs).for_each(|(daemon, since)| out.put(&[daemon], since));
        },
    },
    Family {
        name: "piranha_node_role",
        kind: Gauge,
        labels: &["role"],
        help: "The configured role: 1 for the one this node has.",
        write: |view, out| {
            let Some(pulse) = view.pulse else { return };
            let roles = ["role=\"primary\"", "role=\"backup\""];
            out.set("", roles, &label("role", &pulse.role.to_string()));
        },
    },
    Family {
        name: "piranha_node_state",
        kind: Gauge,
        labels: &["state"],
        help: "What this node does about the service: 1 for its state, `unknown` while pulse does not answer.",
        write: |view, out| {
            let now = view.pulse.map(|pulse| pulse.state);
            for (state, label) in STATES {
                out.put(&[label], now == Some(state));
            }
            out.put(&["state=\"unknown\""], now.is_none());
        },
    },
    Family {
        name: "piranha_node_state_changes_total",
        kind: Counter,
        labels: &["to"],
        help: "Changes of the state of this node, by the state after.",
        write: |view, out| {
            let Some(events) = view.events() else { return };
            for (state, _) in STATES {
                let count = events.state_changes.get(&state).copied().unwrap_or_default();
                out.put(&[&label("to", &state.to_string())], count);
            }
        },
    },
    Family {
        name: "piranha_node_last_state_change_timestamp_seconds",
        kind: Gauge,
        labels: &[],
        help: "When the state of this node last changed.",
        write: |view, out| {
            let changed = view.events().and_then(|events| events.state_changed);
            changed.into_iter().for_each(|at| out.one(at));
        },
    },
    Family {
        name: "piranha_node_maintenance",
        kind: Gauge,
        labels: &[],
        help: "Whether this node is in maintenance and takes over from nobody.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(pulse.maintenance));
        },
    },
    Family {
        name: "piranha_guard_faults",
        kind: Gauge,
        labels: &[],
        help: "Guards of this node that fail now.",
        write: |view, out| {
            view.pulse.into_iter().for_each(|pulse| out.one(pulse.faults.len() as u64));
        },
    },
    Family {
        name: "piranha_guard_failures_total",
        kind: Counter,
        labels: &[],
        help: "Guards of this node that began to fail.",
        write: |view, out| {
            view.events().into_iter().for_each(|events| out.one(events.guard_failures));
        },
    },
    Family {
        name: "piranha_health",
        kind: Gauge,
        labels: &["grade"],
        help: "Is this pair healthy, as far as this node knows: 1 for the grade of the verdict.",
        write: |view, out| {
            for grade in [Grade::Ok, Grade::Warning, Grade::Unknown, Grade::Critical] {
                let holds = view.status.verdict.health == grade;
                out.put(&[&label("grade", &grade.to_string())], holds);
            }
        },
    },
    Family {
        name: "piranha_health_reason",
        kind: Gauge,
        labels: &["reason", "grade"],
        help: "How often something speaks against the pair, by what it is; nothing where nothing does.",
        write: |view, out| {
            let mut reasons = std::collections::BTreeMap::<_, u64>::new();
            for reason in &view.status.verdict.reasons {
                let name = label("reason", &name_of(&reason.code));
                *reasons.entry((name, label("grade", &reason.grade.to_string()))).or_default() += 1;
            }
            for ((reason, grade), count) in reasons {
                out.put(&[&reason, &grade], count);
            }
        },
    },
    Family {
        name: "piranha_failover_ready",
        kind: Gauge,
        labels: &[],
        help: "Whether a failover would succeed now, as far as this node knows; 0 without a partner.",
        write: |view, out| out.one(view.status.verdict.failover == Failover::WouldSucceed),
    },
    Family {
        name: "piranha_failover_check",
        kind: Gauge,
        labels: &["check"],
        help: "What a failover could fail for: 1 where it would not.",
        write: |view, out| {
            if view.pulse.is_none_or(|pulse| pulse.paths.is_empty()) {
                return;
            }
            for check in CHECKS {
                let fails = |code| code == check;
                let mut against = view.status.verdict.against_failover();
                let passes = !against.any(|reason| fails(reason.code));
                out.put(&[&label("check", &name_of(&check))], passes);
            }
        },
    },
    Family {
        name: "piranha_failovers_total",
        kind: Counter,
        labels: &["cause"],
        help: "Takeovers by this node that ended with the addresses up, by cause.",
        write: |view, out| {
            for (cause, took) in view.events().iter().flat_map(|events| &events.takeovers) {
                out.put(&[&label("cause", cause)], took.count());
            }
        },
    },
    Family {
        name: "piranha_failover_duration_seconds",
        kind: Histogram,
        labels: &["cause"],
        help: "How long takeovers took from the decision until the addresses were up.",
        write: |view, out| {
            for (cause, took) in view.events().iter().flat_map(|events| &events.takeovers) {
                out.histogram(&label("cause", cause), took);
            }
        },
    },
    Family {
        name: "piranha_failovers_declined_total",
        kind: Counter,
        labels: &["cause"],
        help: "Takeovers and hand-overs that could have been and were not, by cause.",
        write: |view, out| {
            for (cause, count) in view.events().iter().flat_map(|events| &events.declined) {
                out.put(&[&label("cause", cause)], *count);
            }
        },
    },
    Family {
        name: "piranha_split_brain_suspected",
        kind: Gauge,
        labels: &[],
        help: "Whether both directors hold the service, as far as this node knows.",
        write: |view, out| {
            let mut reasons = view.status.verdict.reasons.iter();
            out.one(reasons.any(|reason| reason.code == ReasonCode::SplitBrain));
        },
    },
    Family {
        name: "piranha_vip_assigned",
        kind: Gauge,
        labels: &["vip", "device"],
        help: "Whether this node holds the floating address.",
        write: |view, out| {
            for vip in view.pulse.iter().flat_map(|pulse| &pulse.addresses) {
                let address = label("vip", &vip.address.to_string());
                let holds = view.pulse.is_some_and(|pulse| pulse.state == State::Active);
                out.put(&[&address, &label("device", &vip.device)], holds);
            }
        },
    },
    Family {
        name: "piranha_gratuitous_arp_sent_total",
        kind: Counter,
        labels: &["vip"],
        help: "Announcements of a floating address to the neighbours: gratuitous ARP in both forms, or an unsolicited neighbour advertisement.",
        write: |view, out| {
            let announced = view.pulse_counters.iter().flat_map(|counters| &counters.announcements);
            for (address, count) in announced {
                out.put(&[&label("vip", &address.to_string())], *count);
            }
        },
    },
    Family {
        name: "piranha_address_conflicts_total",
        kind: Counter,
        labels: &[],
        help: "Times another station was seen with an address that this node holds.",
        write: |view, out| {
            view.events().into_iter().for_each(|events| out.one(events.address_conflicts));
        },
    },
    Family {
        name: "piranha_addresses_restored_total",
        kind: Counter,
        labels: &[],
        help: "Addresses that somebody removed from this node and that were put back.",
        write: |view, out| {
            view.events().into_iter().for_each(|events| out.one(events.addresses_restored));
        },
    },
    Family {
        name: "piranha_warnings_total",
        kind: Counter,
        labels: DAEMON,
        help: "Events an operator should look at.",
        write: |view, out| {
            let pulse = view.events().map(|events| ("daemon=\"pulse\"", events.warnings));
            let lvs = view.service_events().map(|events| ("daemon=\"lvs\"", events.warnings));
            pulse.into_iter().chain(lvs).for_each(|(daemon, count)| out.put(&[daemon], count));
        },
    },
    Family {
        name: "piranha_events_lost_total",
        kind: Counter,
        labels: DAEMON,
        help: "Events that came faster than they could be counted: what counts events is too low by these.",
        write: |view, out| {
            let pulse = view.events().map(|events| ("daemon=\"pulse\"", events.lost));
            let lvs = view.service_events().map(|events| ("daemon=\"lvs\"", events.lost));
            pulse.into_iter().chain(lvs).for_each(|(daemon, count)| out.put(&[daemon], count));
        },
    },
    Family {
        name: "piranha_config_revision_info",
        kind: Gauge,
        labels: &["hash"],
        help: "Always 1: the digest of the configuration in force, which both directors should share.",
        write: |view, out| {
            let of_lvs = view.lvs.map(|lvs| &lvs.configuration.digest);
            let digest = of_lvs.or(view.pulse.map(|pulse| &pulse.digest));
            digest.into_iter().for_each(|digest| out.put(&[&label("hash", digest)], true));
        },
    },
    Family {
        name: "piranha_config_in_sync",
        kind: Gauge,
        labels: &[],
        help: "Whether the partner has the same configuration in force, where the protocol tells.",
        write: |view, out| {
            let partner = view.pulse.and_then(|pulse| pulse.partner.as_ref());
            let same = partner.and_then(|partner| partner.same_configuration);
            same.into_iter().for_each(|same| out.one(same));
        },
    },
    Family {
        name: "piranha_config_last_reload_successful",
        kind: Gauge,
        labels: &[],
        help: "Whether the configuration was accepted when it was last read.",
        write: |view, out| {
            view.lvs.into_iter().for_each(|lvs| out.one(lvs.configuration.refused.is_none()));
        },
    },
    Family {
        name: "piranha_config_last_reload_success_timestamp_seconds",
        kind: Gauge,
        labels: &[],
        help: "When the configuration was last read and accepted.",
        write: |view, out| {
            let counters = view.lvs_counters.into_iter();
            counters
                .for_each(|counters| out.one(counters.events.reloaded.unwrap_or(counters.since)));
        },
    },
    Family {
        name: "piranha_config_reloads_total",
        kind: Counter,
        labels: &["result"],
        help: "Times the configuration was read again.",
        write: |view, out| {
            let Some(events) = view.service_events() else { return };
            out.put(&["result=\"accepted\""], events.reloads);
            out.put(&["result=\"refused\""], events.reloads_refused);
        },
    },
    Family {
        name: "piranha_config_pending_changes",
        kind: Gauge,
        labels: &[],
        help: "What of lvs.cf is not settled: 1 for a file that was edited and not applied, 1 for a change that nobody has confirmed.",
        write: |view, out| {
            let standing = view.lvs.and_then(|lvs| lvs.configuration.standing.as_ref());
            let Some(standing) = standing else { return };
            out.one(u64::from(standing.edited) + u64::from(standing.pending.is_some()));
        },
    },
    Family {
        name: "piranha_overrides_in_sync",
        kind: Gauge,
        labels: &[],
        help: "Whether the partner has what operators say of servers too; nothing where nothing brings it there.",
        write: |view, out| {
            let replication = view.lvs.and_then(|lvs| lvs.replication.as_ref());
            replication.into_iter().for_each(|told| out.one(told.in_step));
        },
    },
    Family {
        name: "piranha_connection_sync_running",
        kind: Gauge,
        labels: &["role"],
        help: "Whether the thread of the kernel that synchronises connections in this role runs: the master sends, the backup listens; nothing where lvs.cf does not ask for them.",
        write: |view, out| {
            let sync = view.lvs.and_then(|lvs| lvs.connection_sync.as_ref());
            let Some(sync) = sync else { return };
            out.put(&["role=\"master\""], sync.master);
            out.put(&["role=\"backup\""], sync.backup);
        },
    },
    Family {
        name: "piranha_load_probe_value",
        kind: Gauge,
        labels: &["remote_address", "tool"],
        help: "The load of a real server as it was measured last; nothing of agents that say a share of its weight instead.",
        write: |view, out| {
            for read in view.lvs.iter().flat_map(|lvs| &lvs.loads) {
                let server = label("remote_address", &read.server.to_string());
                out.put(&[&server, &label("tool", &read.monitor)], read.load);
            }
        },
    },
    Family {
        name: "piranha_overrides",
        kind: Gauge,
        labels: &["kind"],
        help: "Servers of which an operator says something, by what.",
        write: |view, out| {
            let Some(lvs) = view.lvs else { return };
            let count =
                |kind| lvs.overrides.iter().filter(|said| kind_of(said.word) == kind).count();
            for kind in ["drain", "disable", "weight"] {
                out.put(&[&label("kind", kind)], count(kind) as u64);
            }
        },
    },
    Family {
        name: "piranha_override_since_timestamp_seconds",
        kind: Gauge,
        labels: &["svc", "server", "kind"],
        help: "Since when an operator says something of a server.",
        write: |view, out| {
            for said in view.lvs.iter().flat_map(|lvs| &lvs.overrides) {
                let (service, server) =
                    (label("svc", &said.service), label("server", &said.server));
                out.put(&[&service, &server, &label("kind", kind_of(said.word))], said.since);
            }
        },
    },
    Family {
        name: "piranha_data_plane_info",
        kind: Gauge,
        labels: &["name"],
        help: "Always 1: what carries the traffic, `kernel` or `relay`.",
        write: |view, out| {
            view.lvs
                .into_iter()
                .for_each(|lvs| out.put(&[&label("name", &lvs.data_plane.name)], true));
        },
    },
    Family {
        name: "piranha_data_plane_failed",
        kind: Gauge,
        labels: &[],
        help: "Whether the data plane did not take the last change to its table.",
        write: |view, out| {
            view.lvs.into_iter().for_each(|lvs| out.one(lvs.data_plane.failure.is_some()));
        },
    },
];

const fn kind_of(word: Word) -> &'static str {
    match word {
        Word::Ready => "ready",
        Word::Drain { .. } => "drain",
        Word::Disable => "disable",
        Word::Weight(_) => "weight",
    }
}

//! The processes of the daemons, under the names that Prometheus' own clients use.

use super::FamilyKind::{Counter, Gauge};
use super::family::Family;
use super::samples::{Samples, Value};
use super::view::View;
use crate::control::Usage;

const DAEMON: &[&str] = &["daemon"];

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "process_cpu_seconds_total",
        kind: Counter,
        labels: DAEMON,
        help: "Processor time of the daemon, its own and the kernel's for it.",
        write: |view, out| each(view, out, |usage| Some(usage.cpu.into())),
    },
    Family {
        name: "process_resident_memory_bytes",
        kind: Gauge,
        labels: DAEMON,
        help: "Memory that the daemon has.",
        write: |view, out| each(view, out, |usage| Some(usage.resident.into())),
    },
    Family {
        name: "process_virtual_memory_bytes",
        kind: Gauge,
        labels: DAEMON,
        help: "Addresses that the daemon has set aside.",
        write: |view, out| each(view, out, |usage| Some(usage.reserved.into())),
    },
    Family {
        name: "process_threads",
        kind: Gauge,
        labels: DAEMON,
        help: "Threads of the daemon.",
        write: |view, out| each(view, out, |usage| Some(usage.threads.into())),
    },
    Family {
        name: "process_open_fds",
        kind: Gauge,
        labels: DAEMON,
        help: "Files, sockets and pipes that the daemon has open.",
        write: |view, out| each(view, out, |usage| Some(usage.open_files.into())),
    },
    Family {
        name: "process_max_fds",
        kind: Gauge,
        labels: DAEMON,
        help: "How many the daemon may have open; nothing where there is no limit.",
        write: |view, out| each(view, out, |usage| usage.max_files.map(Value::from)),
    },
    Family {
        name: "process_start_time_seconds",
        kind: Gauge,
        labels: DAEMON,
        help: "When the daemon was started, to within what it needed until it counted.",
        write: |view, out| {
            let pulse = view.pulse_counters.map(|counters| ("daemon=\"pulse\"", counters.since));
            let lvs = view.lvs_counters.map(|counters| ("daemon=\"lvs\"", counters.since));
            pulse.into_iter().chain(lvs).for_each(|(daemon, since)| out.put(&[daemon], since));
        },
    },
];

fn each(view: &View<'_>, out: &mut Samples<'_>, value: fn(&Usage) -> Option<Value>) {
    let pulse = view.pulse_counters.map(|counters| ("daemon=\"pulse\"", counters.usage));
    let lvs = view.lvs_counters.map(|counters| ("daemon=\"lvs\"", counters.usage));
    for (daemon, usage) in pulse.into_iter().chain(lvs) {
        let value = usage.as_ref().and_then(value);
        value.into_iter().for_each(|value| out.put(&[daemon], value));
    }
}

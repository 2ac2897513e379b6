//! What a daemon gives away of root's privileges before it does anything.
//!
//! A process of root has every capability there is, and whoever takes it over has them too. What a
//! daemon of this project needs of them is little and known ([`Duty`]), and [`confine`] leaves it
//! that. Capabilities belong to a thread and pass to those it starts, so it is called while there is
//! one. Who is not root has nothing to give away.
//!
//! Real-time priority and locked memory take a capability or a limit that allows them: the limits
//! are raised, and the capabilities go.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

use super::isolation::PRIORITY;

/// Addresses, routes and IPVS; raw sockets: announcements, VRRP, pings.
const NETWORK: CapabilitySet = CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_RAW);

/// Port 539, and those of services on the relay.
const PORTS: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// Programs of another user: becoming that user, killing them, limiting them.
const OTHERS: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SYS_RESOURCE);

/// What a program may have that is run as root to check or to measure: ping needs the one, rsh the
/// other. Where `pulse` has to keep `CAP_IPC_LOCK`, starting one takes that too: its stack is locked.
const PROGRAM: CapabilitySet = CapabilitySet::NET_RAW.union(PORTS).union(CapabilitySet::IPC_LOCK);

/// What a process is there for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Duty {
    /// `pulse`: heartbeats and addresses. What `lvs` needs too, since that is started by it.
    Heartbeat,
    /// `lvs`: the data plane and the checks.
    Director,
    /// The guard of the addresses of a `pulse`.
    Guard,
    /// The process that tells of the events of a `pulse`.
    Notifier,
    /// `nanny`: one check.
    Checker,
    /// `nanny agent`, on a real server.
    Agent,
}

impl Duty {
    const fn needs(self) -> CapabilitySet {
        match self {
            // The group of a socket, and the owner of a file that is replaced.
            Self::Heartbeat | Self::Director => {
                NETWORK.union(PORTS).union(OTHERS).union(CapabilitySet::CHOWN)
            }
            // It takes addresses down, and says the last words of a router of VRRP too.
            Self::Guard => NETWORK.union(PORTS),
            Self::Notifier => OTHERS.union(CapabilitySet::CHOWN),
            Self::Checker => NETWORK.union(PORTS).union(OTHERS),
            Self::Agent => PORTS,
        }
    }

    /// Raises the limits that stand for capabilities, and returns those that they do not replace.
    fn limits(self) -> CapabilitySet {
        let (ahead, locked) = match self {
            Self::Heartbeat => (true, true),
            Self::Guard => (true, false),
            Self::Director | Self::Notifier | Self::Checker | Self::Agent => (false, false),
        };
        if !ahead {
            // Nor may programs of theirs be ahead of a heartbeat. Lowering is always allowed.
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            let _ = setrlimit(Resource::Rtprio, none);
        }
        let mut needed = CapabilitySet::empty();
        if ahead && !raise(Resource::Rtprio, Some(PRIORITY.unsigned_abs().into())) {
            needed |= CapabilitySet::SYS_NICE;
        }
        if locked && !raise(Resource::Memlock, None) {
            needed |= CapabilitySet::IPC_LOCK;
        }
        needed
    }
}

/// Whether programs are run that may need all of root's privileges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Programs {
    /// None: the capabilities that are given away are out of reach for whatever is run from now on,
    /// set-user-ID programs among it (`no_new_privs`).
    Confined,
    /// Commands of the administrator's: what they start as root has what root has, as far as that
    /// was so for this process.
    Unconfined,
}

/// Leaves this process, if it is one of root's, the capabilities that its duty needs, of those it
/// has; called before it has a second thread.
///
/// # Errors
/// The operating system's. Some may be given away then, and none is gained.
pub fn confine(duty: Duty, programs: Programs) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let needed = duty.needs() | duty.limits();
    if programs == Programs::Confined {
        bound(needed)?;
    }
    keep(needed)?;
    Ok(clear_ambient_capability_set()?)
}

/// Leaves the calling thread, which is about to start a program of its own user, what such a program may
/// have. With `no_new_privs` the program then has no more.
pub(super) fn confine_program() -> io::Result<()> {
    Ok(keep(PROGRAM)?)
}

/// Gives away what is not `needed`.
fn keep(needed: CapabilitySet) -> Result<(), Errno> {
    let kept = needed & capabilities(None)?.permitted;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })
}

/// Puts what is not `needed` out of reach of this process and of what it starts.
fn bound(needed: CapabilitySet) -> Result<(), Errno> {
    let all = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    for capability in all.filter(|one| !needed.contains(*one)) {
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {}
            Ok(false) => continue,
            // The kernel has no more than those before.
            Err(_unknown) => break,
        }
        match remove_capability_from_bounding_set(capability) {
            // Whoever started this process has bounded it already, and `no_new_privs` does the rest.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    set_no_new_privs(true)
}

/// Whether `resource` is limited to no less than `wanted` now; `None` is no limit.
fn raise(resource: Resource, wanted: Option<u64>) -> bool {
    let Rlimit { current, maximum } = getrlimit(resource);
    let suffices = |limit: Option<u64>| match (limit, wanted) {
        (None, _) => true,
        (Some(limit), Some(wanted)) => limit >= wanted,
        (Some(_), None) => false,
    };
    let maximum = if suffices(maximum) { maximum } else { wanted };
    suffices(current) || setrlimit(resource, Rlimit { current: wanted, maximum }).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The line of /proc/thread-self/status that begins with `name`, a number.
    fn status(name: &str) -> u64 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim_start_matches(':').trim(), 16).unwrap()
    }

    fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(work).join().unwrap()
    }

    #[test]
    fn no_duty_needs_what_is_root_by_another_name() {
        let root = CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_MODULE
            | CapabilitySet::SYS_PTRACE
            | CapabilitySet::SYS_RAWIO
            | CapabilitySet::SETPCAP
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::DAC_READ_SEARCH;
        let director = Duty::Director.needs();
        for duty in [Duty::Guard, Duty::Notifier, Duty::Checker, Duty::Agent] {
            assert!((duty.needs() & root).is_empty(), "{duty:?}");
            assert!(Duty::Heartbeat.needs().contains(duty.needs()), "pulse may start {duty:?}");
        }
        assert_eq!(Duty::Heartbeat.needs(), director);
        assert!(
            (director & root).is_empty() && director.contains(PROGRAM - CapabilitySet::IPC_LOCK)
        );
    }

    #[test]
    fn a_thread_that_is_confined_has_no_more_than_is_needed_and_neither_has_what_it_starts() {
        let before = status("CapPrm");
        on_a_thread(move || {
            bound(Duty::Guard.needs()).unwrap();
            keep(Duty::Guard.needs()).unwrap();
            let needed = Duty::Guard.needs().bits() & before;
            for set in ["CapPrm", "CapEff"] {
                assert_eq!(status(set), needed, "{set}");
                assert_eq!(on_a_thread(move || status(set)), needed, "{set} of another thread");
            }
            assert_eq!((status("CapInh"), status("NoNewPrivs")), (0, 1));
            let output = std::process::Command::new("cat").arg("/proc/self/status").output();
            let output = String::from_utf8(output.unwrap().stdout).unwrap();
            let kept = output.lines().find_map(|line| line.strip_prefix("CapPrm:"));
            let kept = u64::from_str_radix(kept.unwrap().trim(), 16).unwrap();
            assert_eq!(kept & !needed, 0, "root's programs regain nothing");
        });
        assert_eq!(status("CapPrm"), before, "other threads keep what they have");
    }

    #[test]
    fn a_limit_that_suffices_is_left_as_it_is() {
        let held = getrlimit(Resource::Nofile);
        assert!(raise(Resource::Nofile, held.current));
        assert_eq!(getrlimit(Resource::Nofile), held);
    }
}

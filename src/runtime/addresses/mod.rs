//! The floating addresses on real network devices.
//!
//! [`keep`] stands between a heartbeat and its data plane. What the heartbeat wants acquired it
//! adds to the device over rtnetlink before the data plane serves on it, and what is released it
//! removes; it tells the neighbours ([`Announcer`](crate::failover::announcer::Announcer)).
//!
//! - Its addresses are leases: the kernel drops them by itself within [`lifetime`] unless they are
//!   put again, so that no address goes on answering for a dead process. A
//!   [guard](Options::guard) process removes them at once when this one dies, or when its heartbeat
//!   stands still for the dead time. When it died the guard then tells the partner, in words that the
//!   heartbeat handed it before (`docs/pulse-protocol.md`, "Last words").
//! - They are tagged (`IFA_PROTO` 80, Linux 5.18). One that somebody removes is put back at once
//!   and announced again. One that an earlier life left behind is removed at the start.
//! - An address that is on this machine already, and not by a lease, is somebody else's: it is
//!   served on and announced, and neither added nor removed. So are those of 127.0.0.0/8 and ::1,
//!   which need no privilege.
//! - One that has an Ethernet address of its own
//!   ([`hardware`](crate::failover::VirtualAddress::hardware)) is put on a macvlan, which is made
//!   for it, put back like it, and removed with the last one that is on it.
//! - All of it happens on a thread of its own: a kernel that is slow to change addresses delays no
//!   heartbeat.

mod announce;
mod ask;
mod devices;
mod guard;
mod keeper;
mod rival;
pub(super) mod route;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

pub(in crate::runtime) use self::ask::ask;
pub use self::guard::guard;
use self::keeper::Keeper;
use super::announced::Announced;
use super::beat::Listener;
use super::heartbeat::{Link, Observer};
use super::isolation;
use crate::failover::announcer::Schedule;
use crate::wire::rtnetlink::Lifetime;

/// How addresses are kept.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// When the network is told where addresses are.
    pub announcements: Schedule,
    /// The program to start, with the argument `--guard`, that calls [`guard()`]; none by default.
    pub guard: Option<PathBuf>,
    /// Where the heartbeat's thread shows that it lives; the guard removes the addresses when it
    /// does not for the dead time. None by default.
    pub beats: Option<Listener>,
    /// Whether the thread that holds them asks for real-time priority
    /// ([`isolate`](super::isolation::isolate)). Off by default.
    pub isolated: bool,
    /// Where announcements are counted.
    pub announced: Announced,
}

/// Puts the keeping of addresses in front of `link`. The link that comes back is the one for a
/// heartbeat; its end takes every address down.
///
/// # Errors
/// The operating system's, when there is no thread or no netlink socket to be had.
pub fn keep(link: Link, options: Options, observer: Observer) -> io::Result<Link> {
    let (requests, request_receiver) = mpsc::unbounded_channel();
    let (report_sender, reports) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let isolated = options.isolated;
    let keeper = {
        // Its sockets and its guard belong to the runtime they are made in.
        let _entered = runtime.enter();
        Keeper::new(link, options, observer, report_sender)?
    };
    std::thread::Builder::new().name("addresses".to_owned()).spawn(move || {
        if isolated {
            isolation::raise_priority();
        }
        runtime.block_on(keeper.run(request_receiver));
    })?;
    Ok(Link { requests, reports })
}

/// How long the kernel keeps an address that is not put again: the dead time of the heartbeats,
/// within 2 to 4 s. The kernel counts whole seconds, and one is too close to the renewal.
#[must_use]
pub fn lifetime(dead_time: Duration) -> Lifetime {
    Lifetime::of(dead_time.clamp(Duration::from_secs(2), Duration::from_secs(4)))
}

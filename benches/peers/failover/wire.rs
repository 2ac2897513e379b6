//! Two directors and a client on a bridge, each in a network namespace.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use piranha::runtime::kernel::Namespace;

use crate::Outcome;

/// The client's number on the wire; the directors are 1 and 2.
pub(crate) const CLIENT: u8 = 3;

/// Station N has 10.78.0.N on `eth0`.
pub(crate) struct Wire {
    prefix: String,
}

impl Wire {
    pub(crate) fn new() -> Outcome<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let wire = Self { prefix: format!("fo{}n{number}", std::process::id()) };
        let prefix = &wire.prefix;
        sh(&format!(
            "set -e
             ip netns add {prefix}w
             ip -n {prefix}w link add wire type bridge
             ip -n {prefix}w link set wire up
             for n in 1 2 {CLIENT}; do
                 ip netns add {prefix}s$n
                 ip -n {prefix}s$n link set lo up
                 ip -n {prefix}w link add v$n type veth peer name eth0 netns {prefix}s$n
                 ip -n {prefix}w link set v$n master wire up
                 ip -n {prefix}s$n addr add 10.78.0.$n/16 dev eth0
                 ip -n {prefix}s$n link set eth0 up
                 ip netns exec {prefix}s$n sysctl -qw net.ipv4.neigh.default.gc_thresh1=4096 \
                     net.ipv4.neigh.default.gc_thresh2=8192 net.ipv4.neigh.default.gc_thresh3=16384 || true
             done"
        ))?;
        Ok(wire)
    }

    pub(crate) fn station(&self, number: u8) -> String {
        format!("{}s{number}", self.prefix)
    }

    /// The namespace of the bridge, whose name is `wire`.
    pub(crate) fn bridge(&self) -> String {
        format!("{}w", self.prefix)
    }

    pub(crate) fn namespace(&self, number: u8) -> Outcome<Namespace> {
        Ok(Namespace::open(format!("/run/netns/{}", self.station(number)))?)
    }

    pub(crate) fn namespace_of_bridge(&self) -> Outcome<Namespace> {
        Ok(Namespace::open(format!("/run/netns/{}", self.bridge()))?)
    }

    /// Pulls the cable of station `number`.
    pub(crate) fn cut(&self, number: u8) -> Outcome<()> {
        sh(&format!("ip -n {}w link set v{number} down", self.prefix))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let prefix = &self.prefix;
        // A namespace lives on while a socket is left in it, so its link is taken out first.
        let _best_effort = sh(&format!(
            "for n in 1 2 {CLIENT}; do ip -n {prefix}w link del v$n; ip netns del {prefix}s$n; done
             ip netns del {prefix}w"
        ));
    }
}

fn sh(script: &str) -> Outcome<()> {
    let output = Command::new("sh").args(["-c", script]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("sh: {}", String::from_utf8_lossy(&output.stderr)).into())
}

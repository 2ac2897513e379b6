//! The directors of a scenario: their machines, addresses and configuration.

use std::net::{Ipv4Addr, SocketAddr};

use crate::failover::pulse::{self, Pulse, Version};
use crate::failover::{Heartbeat, Role, VirtualAddress};
use crate::time::Instant;

use super::cluster::NodeId;
use super::original::Original;
use super::scenario::{Pair, Scenario};

/// The machine `scenario` has on `node`.
pub(super) fn standard_machine(
    scenario: &Scenario,
    node: NodeId,
    boot: u64,
    now: Instant,
) -> Box<dyn Heartbeat> {
    let role = [Role::Primary, Role::Backup][node];
    let original = matches!(
        (scenario.pair, role),
        (Pair::OriginalPrimary, Role::Primary) | (Pair::OriginalBackup, Role::Backup)
    );
    if original {
        return Box::new(Original::new(
            now,
            role,
            scenario.keepalive,
            scenario.dead_time,
            scenario.paths,
            vip(),
        ));
    }
    Box::new(Pulse::new(now, config(scenario, node, role, boot)))
}

#[expect(clippy::expect_used, reason = "scenarios are ours, and a wrong one is a bug")]
fn config(scenario: &Scenario, node: NodeId, role: Role, boot: u64) -> pulse::Config {
    let version = match scenario.pair {
        Pair::V2 => Version::V2,
        Pair::V1 | Pair::OriginalBackup | Pair::OriginalPrimary => Version::V1,
    };
    let mut builder = pulse::Config::builder(role)
        .version(version)
        .keepalive(scenario.keepalive)
        .dead_time(scenario.dead_time)
        .failback(scenario.failback)
        .cluster(7)
        .boot(boot)
        .addresses(vip());
    for path in 0..scenario.paths {
        builder = builder.path(address(1 - node, path));
    }
    #[cfg(feature = "auth")]
    if scenario.keyed && version == Version::V2 {
        let key = crate::wire::pulse::Key::new(b"a key for simulations only").expect("a valid key");
        builder = builder.key(key);
    }
    builder.build().expect("a valid configuration")
}

/// Where `node` sends from on `path`.
pub(super) fn address(node: NodeId, path: u8) -> SocketAddr {
    let host = if node == 0 { 1 } else { 2 };
    SocketAddr::from((Ipv4Addr::new(10, 0, path, host), 539))
}

fn vip() -> Vec<VirtualAddress> {
    vec![VirtualAddress::new(Ipv4Addr::new(192, 0, 2, 10).into(), "eth0:1")]
}

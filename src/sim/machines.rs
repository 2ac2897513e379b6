//! The directors of a scenario: their machines, addresses and configuration.

use std::net::{Ipv4Addr, SocketAddr};

use crate::failover::pulse::{self, Pulse, Version};
use crate::failover::record::{Recorder, Sink};
use crate::failover::{Role, VirtualAddress};
use crate::time::Instant;
#[cfg(feature = "auth")]
use crate::wire::pulse::Key;

use super::cluster::NodeId;
use super::node::Player;
use super::original::Original;
use super::scenario::{Pair, Scenario};
#[cfg(feature = "auth")]
use super::settings::KEY_STEPS;
use super::settings::Settings;

/// The machine `scenario` has on `node`.
pub(super) fn standard_machine(
    scenario: &Scenario,
    node: NodeId,
    settings: Settings,
    boot: u64,
    now: Instant,
    sink: Option<Box<dyn Sink>>,
) -> Player {
    let role = [Role::Primary, Role::Backup][node];
    let original = matches!(
        (scenario.pair, role),
        (Pair::OriginalPrimary, Role::Primary) | (Pair::OriginalBackup, Role::Backup)
    );
    if original {
        let (keepalive, dead_time) = (scenario.keepalive, scenario.dead_time);
        let addresses = vips(settings.addresses);
        let machine = Original::new(now, role, keepalive, dead_time, settings.paths, addresses);
        return Player::Other(Box::new(machine));
    }
    let mut builder = pulse::Config::builder(role).version(version(scenario)).cluster(7).boot(boot);
    for path in 0..settings.paths {
        builder = builder.path(address(1 - node, path));
    }
    let machine = Pulse::new(now, settle(scenario, builder, settings));
    Player::Ours(Box::new(match sink {
        Some(sink) => Recorder::recording(machine, sink),
        None => Recorder::new(machine),
    }))
}

/// With what the configuration file says, now and after a reload.
#[expect(clippy::expect_used, reason = "scenarios are ours, and a wrong one is a bug")]
pub(super) fn settle(
    scenario: &Scenario,
    builder: pulse::Builder,
    settings: Settings,
) -> pulse::Config {
    let builder = builder
        .keepalive(scenario.keepalive * settings.slowness)
        .dead_time(scenario.dead_time * settings.slowness)
        .failback(scenario.failback)
        .priority(settings.priority)
        .addresses(vips(settings.addresses));
    #[cfg(feature = "auth")]
    let builder = seal(scenario, builder, settings.keys);
    builder.build().expect("a valid configuration")
}

const fn version(scenario: &Scenario) -> Version {
    match scenario.pair {
        Pair::V2 => Version::V2,
        Pair::V1 | Pair::OriginalBackup | Pair::OriginalPrimary => Version::V1,
    }
}

/// With the keys of this step: one, then the next one too, then in the other order.
#[cfg(feature = "auth")]
fn seal(scenario: &Scenario, builder: pulse::Builder, step: u32) -> pulse::Builder {
    if !scenario.keyed || version(scenario) == Version::V1 {
        return builder;
    }
    let (present, next) = (key(step / KEY_STEPS), key(step / KEY_STEPS + 1));
    match step % KEY_STEPS {
        0 => builder.key(present).accepted_key(None),
        1 => builder.key(present).accepted_key(Some(next)),
        _ => builder.key(next).accepted_key(Some(present)),
    }
}

#[cfg(feature = "auth")]
#[expect(clippy::expect_used, reason = "a key of its length is valid")]
fn key(number: u32) -> Key {
    Key::new(format!("key {number:05} for simulations only").as_bytes()).expect("a valid key")
}

/// Where `node` sends from on `path`.
pub(super) fn address(node: NodeId, path: u8) -> SocketAddr {
    let host = if node == 0 { 1 } else { 2 };
    SocketAddr::from((Ipv4Addr::new(10, 0, path, host), 539))
}

/// How many sets of addresses there are.
pub(super) const ADDRESSES: u64 = 4;

/// One of the sets of addresses, none of which is empty.
fn vips(set: usize) -> Vec<VirtualAddress> {
    let hosts: &[u8] = [&[10][..], &[10, 11], &[11, 12], &[12, 10, 13]][set % 4];
    let vip = |host: &u8| VirtualAddress::new(Ipv4Addr::new(192, 0, 2, *host).into(), "eth0:1");
    hosts.iter().map(vip).collect()
}

//! The tables of the hashing schedulers, as they can be seen through choices: one client (for dh,
//! one destination) for each slot.

#![allow(clippy::expect_used, reason = "a table that cannot be made is a mistake in the case")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use piranha::ipvs::Thresholds;
use piranha::net::{Family, Protocol};
use piranha::scheduler::{Flow, Options};
use siphasher::sip::SipHasher13;

use super::replay::{Case, Event};

/// Slots of mh with Debian's `CONFIG_IP_VS_MH_TAB_INDEX`; sh and dh have 256 buckets.
const SLOTS: u32 = 4093;

/// Weights of the servers, in the order they are added in, and a change afterwards.
struct Recipe(&'static str, &'static [u32], Option<Change>);

#[derive(Clone, Copy)]
enum Change {
    Remove(u8),
    Weight(u8, u32),
}

const RECIPES: [Recipe; 14] = [
    Recipe("mh", &[3, 2, 1], None),
    Recipe("mh", &[1, 1, 1, 1, 1], None),
    Recipe("mh", &[1, 1, 1, 1, 1], Some(Change::Remove(2))),
    Recipe("mh", &[1000, 1, 37], None),
    Recipe("mh", &[5, 0, 3], None),
    Recipe("mh", &[5, 4, 3], Some(Change::Weight(1, 0))),
    Recipe("mh", &[7, 0, 12, 100, 3, 1, 1, 9, 64, 2, 5, 80], Some(Change::Weight(1, 50))),
    Recipe("sh", &[3, 2, 1], None),
    Recipe("sh", &[100, 200, 3], None),
    Recipe("sh", &[2, 0, 3], None),
    Recipe("sh", &[2, 4, 3, 8], Some(Change::Remove(1))),
    Recipe("dh", &[3, 2, 1], None),
    Recipe("dh", &[1, 1, 0, 1, 1], None),
    Recipe("dh", &[1, 1, 1, 1, 1, 1, 1], Some(Change::Remove(3))),
];

/// A name for each table, and a case with one connection for each of its slots, in their order.
///
/// Case `n` has the VIPs of 10.8.16n.0/20 or fd08::n; IPv6 comes behind, without dh, whose
/// destinations would have to be many.
pub(crate) fn tables() -> Vec<(String, Case)> {
    let v4 = RECIPES.iter().map(|recipe| (Family::Ipv4, recipe));
    let firsts = [&RECIPES[0], &RECIPES[7]];
    let v6 = firsts.into_iter().map(|recipe| (Family::Ipv6, recipe));
    let numbered = (0_u8..).zip(v4.chain(v6));
    numbered.map(|(number, (family, recipe))| table(number, family, recipe)).collect()
}

fn table(number: u8, family: Family, recipe: &Recipe) -> (String, Case) {
    let Recipe(scheduler, weights, change) = recipe;
    let server = |index| server(family, index);
    let servers = (0..).zip(*weights);
    let mut events: Vec<_> = servers
        .map(|(index, &weight)| Event::Add(server(index), weight, Thresholds::NONE))
        .collect();
    let (change, what) = match *change {
        None => (None, String::new()),
        Some(Change::Remove(index)) => {
            (Some(Event::Remove(server(index))), format!(" less {}", letter(index)))
        }
        Some(Change::Weight(index, weight)) => (
            Some(Event::Edit(server(index), weight, Thresholds::NONE)),
            format!(" {} to {weight}", letter(index)),
        ),
    };
    events.extend(change);
    events.extend(flows(scheduler, number, family).into_iter().map(Event::Connect));
    let case = Case { scheduler, options: Options::default(), protocol: Protocol::Udp, events };
    let family = if family == Family::Ipv4 { "" } else { " IPv6" };
    let weights = weights.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    (format!("{scheduler}{family} {weights}{what}"), case)
}

pub(crate) fn server(family: Family, index: u8) -> SocketAddr {
    let ip: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::new(10, 2, 0, index + 1).into(),
        Family::Ipv6 => Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, u16::from(index) + 1).into(),
    };
    SocketAddr::new(ip, 80)
}

fn letter(index: u8) -> char {
    char::from(b'a' + index)
}

/// For each slot the first flow of a long row that falls into it.
fn flows(scheduler: &str, number: u8, family: Family) -> Vec<Flow> {
    let slots = if scheduler == "mh" { SLOTS } else { 256 };
    let mut found = BTreeMap::new();
    for n in 0..1 << 17 {
        let flow = Flow {
            source: client(family, n),
            destination: vip(family, number, if scheduler == "dh" { n } else { 1 }),
        };
        let slot = match scheduler {
            "mh" => mh_slot(flow.source.ip()),
            "sh" => bucket(flow.source.ip()),
            _ => bucket(flow.destination.ip()),
        };
        found.entry(slot).or_insert(flow);
        if found.len() == usize::try_from(slots).expect("few") {
            break;
        }
    }
    assert_eq!(found.len(), usize::try_from(slots).expect("few"), "a flow for each slot");
    found.into_values().collect()
}

fn client(family: Family, n: u32) -> SocketAddr {
    let ip: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::from(0xc612_0000 + n).into(),
        Family::Ipv6 => Ipv6Addr::from((0x2001_0db8 << 96) | u128::from(n)).into(),
    };
    SocketAddr::new(ip, 20_000)
}

fn vip(family: Family, number: u8, n: u32) -> SocketAddr {
    let ip: IpAddr = match family {
        Family::Ipv4 => {
            let net = (0x0a08 << 16) | (u32::from(number) << 12);
            Ipv4Addr::from(net + n % (1 << 12)).into()
        }
        Family::Ipv6 => Ipv6Addr::new(0xfd08, 0, 0, 0, 0, 0, 0, u16::from(number) + 1).into(),
    };
    SocketAddr::new(ip, 80)
}

fn word(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let (words, _) = octets.as_chunks::<4>();
            words.iter().fold(0, |all, word| all ^ u32::from_be_bytes(*word))
        }
    }
}

fn bucket(address: IpAddr) -> u32 {
    word(address).wrapping_mul(0x61c8_8647) >> 24
}

fn mh_slot(address: IpAddr) -> u32 {
    let key = 2_654_435_761;
    let hash = SipHasher13::new_with_keys(key, key).hash(&word(address).to_le_bytes());
    u32::try_from(hash & 0xffff_ffff).expect("masked") % SLOTS
}

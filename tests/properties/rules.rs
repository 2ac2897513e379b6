//! The rules of the schedulers, spelled out one server after the other and without cleverness:
//! what [`pool_ops`](crate::pool_ops) compares picks with. Nothing here is shared with the crate.

#![allow(clippy::expect_used, reason = "a property fails by a panic")]

use std::net::{IpAddr, SocketAddr};

use piranha::scheduler::{Flow, Options, ServerId};

use crate::pool_ops::Model;

const DAY: u64 = 24 * 60;
const SLOTS: u32 = 4093;

/// What must be picked.
pub(crate) enum Verdict {
    /// This, or nothing.
    Exactly(Option<ServerId>),
    /// Any server that may take a connection; nothing only if there is none.
    AnyEligible,
}

/// The rules, and what those of lblc and lblcr remember.
#[derive(Default)]
pub(crate) struct Rules {
    /// Address, its servers, when it was last asked for and when its servers last changed.
    entries: Vec<(IpAddr, Vec<ServerId>, u64, u64)>,
    /// Since the scheduler was made.
    minutes: u64,
    /// Where the draws of twos are; not yet begun at first.
    draws: Option<u64>,
}

impl Rules {
    /// `minutes` have passed. What a whole day nobody asked for is forgotten every half hour.
    pub(crate) fn pass(&mut self, minutes: u64) {
        let before = self.minutes;
        self.minutes += minutes;
        if self.minutes / 30 > before / 30 {
            self.entries.retain(|(_, _, last_use, _)| self.minutes - last_use < DAY);
        }
    }

    /// What `name` picks among the servers `list`, the newest first.
    pub(crate) fn verdict(
        &mut self,
        name: &str,
        options: Options,
        flow: &Flow,
        list: &[&Model],
    ) -> Verdict {
        let choice = match name {
            "lc" => cheapest(list, |m| (257 * m.active + m.inactive, 1)),
            "wlc" => wlc(list),
            "sed" => sed(list),
            "nq" => {
                let idle = list.iter().find(|m| m.is_eligible() && m.active == 0);
                idle.map_or_else(|| sed(list), |m| Some(m.id))
            }
            "fo" => heaviest(list, |_| true),
            "ovf" => heaviest(list, |m| m.active <= m.weight),
            "dh" => dh(flow, list),
            "sh" => sh(options, flow, list),
            "mh" => mh(options, flow, list),
            "lblc" => self.lblc(flow, list),
            "lblcr" => self.lblcr(flow, list),
            "twos" => self.twos(options, list),
            _ => return Verdict::AnyEligible,
        };
        Verdict::Exactly(choice)
    }

    fn lblc(&mut self, flow: &Flow, list: &[&Model]) -> Option<ServerId> {
        if let Some(entry) = self.entry(flow) {
            let known = list.iter().find(|m| m.id == entry.1[0]);
            if let Some(m) = known.filter(|m| m.weight > 0 && !overloaded(m, list)) {
                return Some(m.id);
            }
        }
        let chosen = wlc(list)?;
        let now = self.minutes;
        match self.entry(flow) {
            Some(entry) => entry.1 = vec![chosen],
            None => self.entries.push((flow.destination.ip(), vec![chosen], now, now)),
        }
        Some(chosen)
    }

    fn lblcr(&mut self, flow: &Flow, list: &[&Model]) -> Option<ServerId> {
        let now = self.minutes;
        let Some(entry) = self.entry(flow) else {
            let chosen = wlc(list)?;
            self.entries.push((flow.destination.ip(), vec![chosen], now, now));
            return Some(chosen);
        };
        let members = members(&entry.1, list);
        let least = wlc(&members);
        if entry.1.len() > 1
            && now - entry.3 > DAY
            && let Some(most) = most_loaded(&members)
        {
            entry.1.retain(|&id| id != most);
            entry.3 = now;
        }
        let found = members.iter().find(|m| Some(m.id) == least);
        if found.is_some_and(|m| !overloaded(m, list)) {
            return least;
        }
        let chosen = wlc(list)?;
        if !entry.1.contains(&chosen) {
            entry.1.retain(|&id| list.iter().any(|m| m.id == id));
            entry.1.insert(0, chosen);
            entry.3 = now;
        }
        Some(chosen)
    }

    fn twos(&mut self, options: Options, list: &[&Model]) -> Option<ServerId> {
        let eligible: Vec<_> = list.iter().copied().filter(|m| m.is_eligible()).collect();
        let total: u64 = eligible.iter().map(|m| m.weight).sum();
        if total == 0 {
            return None;
        }
        let mut counted_off = || {
            let draws = self.draws.get_or_insert(options.seed);
            let mut left = i128::from(draw(draws, total));
            eligible.iter().copied().find(|m| {
                left -= i128::from(m.weight);
                left <= 0
            })
        };
        let pair = [counted_off()?, counted_off()?];
        wlc(&pair)
    }

    fn entry(&mut self, flow: &Flow) -> Option<&mut (IpAddr, Vec<ServerId>, u64, u64)> {
        let entry = self.entries.iter_mut().find(|entry| entry.0 == flow.destination.ip())?;
        entry.2 = self.minutes;
        Some(entry)
    }
}

/// A number from 0 to `greatest`, by SplitMix64.
fn draw(state: &mut u64, greatest: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let one = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let two = (one ^ (one >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bits = two ^ (two >> 31);
    let scaled = (u128::from(bits) * (u128::from(greatest) + 1)) >> 64;
    u64::try_from(scaled).expect("not above the greatest")
}

fn members<'a>(set: &[ServerId], list: &[&'a Model]) -> Vec<&'a Model> {
    set.iter().filter_map(|&id| list.iter().find(|m| m.id == id).copied()).collect()
}

fn overloaded(m: &Model, list: &[&Model]) -> bool {
    m.active > m.weight && list.iter().any(|other| 2 * other.active < other.weight)
}

/// The first with the least load for its weight.
fn cheapest(list: &[&Model], cost: impl Fn(&Model) -> (u64, u64)) -> Option<ServerId> {
    let mut best: Option<&Model> = None;
    for m in list.iter().filter(|m| m.is_eligible()) {
        let better = best.is_none_or(|best| {
            let ((load, weight), (best_load, best_weight)) = (cost(m), cost(best));
            load * best_weight < best_load * weight
        });
        if better {
            best = Some(m);
        }
    }
    best.map(|m| m.id)
}

fn wlc(list: &[&Model]) -> Option<ServerId> {
    cheapest(list, |m| (257 * m.active + m.inactive, m.weight))
}

fn sed(list: &[&Model]) -> Option<ServerId> {
    cheapest(list, |m| (m.active + 1, m.weight))
}

fn most_loaded(members: &[&Model]) -> Option<ServerId> {
    let mut most: Option<&Model> = None;
    for m in members.iter().filter(|m| m.weight > 0) {
        let load = |m: &Model| 257 * m.active + m.inactive;
        if most.is_none_or(|most| load(m) * most.weight > load(most) * m.weight) {
            most = Some(m);
        }
    }
    most.map(|m| m.id)
}

fn heaviest(list: &[&Model], has_room: impl Fn(&Model) -> bool) -> Option<ServerId> {
    let candidates = list.iter().filter(|m| m.is_eligible() && has_room(m));
    let greatest = candidates.clone().map(|m| m.weight).max()?;
    candidates.clone().find(|m| m.weight == greatest).map(|m| m.id)
}

fn if_eligible(m: &Model) -> Option<ServerId> {
    m.is_eligible().then_some(m.id)
}

fn word(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(v4) => u32::from(v4),
        IpAddr::V6(v6) => {
            let words = v6.octets();
            let (words, _) = words.as_chunks::<4>();
            words.iter().fold(0, |all, word| all ^ u32::from_be_bytes(*word))
        }
    }
}

fn multiplicative(value: u32) -> usize {
    let product = u64::from(value) * 0x61c8_8647 % (1 << 32);
    usize::try_from(product >> 24).expect("a byte")
}

fn dh(flow: &Flow, list: &[&Model]) -> Option<ServerId> {
    let buckets: Vec<_> = list.iter().cycle().take(256).collect();
    if_eligible(buckets.get(multiplicative(word(flow.destination)))?)
}

fn hashed_source(options: Options, flow: &Flow) -> u32 {
    let port = if options.port { flow.source.port() } else { 0 };
    word(flow.source).wrapping_add(u32::from(port))
}

fn sh(options: Options, flow: &Flow, list: &[&Model]) -> Option<ServerId> {
    let mut buckets = Vec::new();
    while buckets.len() < 256 && !list.is_empty() {
        for m in list {
            (0..m.weight.max(1)).for_each(|_| buckets.push(*m));
        }
    }
    let hash = |offset: usize| (multiplicative(hashed_source(options, flow)) + offset) % 256;
    let first = if_eligible(buckets.get(hash(0))?);
    if first.is_some() || !options.fallback {
        return first;
    }
    (0..256).find_map(|offset| if_eligible(buckets[hash((offset + hash(0)) % 256)]))
}

fn mh(options: Options, flow: &Flow, list: &[&Model]) -> Option<ServerId> {
    let table = maglev(list)?;
    let client = hashed_source(options, flow);
    let slot = |offset: u32| sip_hash(2_654_435_761, client.wrapping_add(offset)) % SLOTS;
    let owner = |slot: u32| if_eligible(table[usize::try_from(slot).expect("small")]);
    let first = owner(slot(0));
    if first.is_some() || !options.fallback {
        return first;
    }
    (0..SLOTS).find_map(|offset| owner(slot((offset + slot(0)) % SLOTS)))
}

/// The server of each slot; `None` where no server ever had a weight.
fn maglev<'a>(list: &[&'a Model]) -> Option<Vec<&'a Model>> {
    let greatest = list.iter().map(|m| m.last_weight).max().filter(|&weight| weight > 0)?;
    let divides = |d: &u64| list.iter().all(|m| m.last_weight % d == 0);
    let divisor = (1..=greatest).rev().find(divides)?;
    assert!(greatest / divisor < 64, "no weight of the model needs scaling");
    let mut table = vec![None; usize::try_from(SLOTS).expect("small")];
    let mut next = vec![0_u32; list.len()];
    loop {
        for (m, next) in list.iter().zip(&mut next) {
            let value = word(m.address).wrapping_add(m.address.port().into());
            let offset = sip_hash(2_654_435_761, value) % SLOTS;
            let skip = sip_hash(2_654_446_892, value) % (SLOTS - 1) + 1;
            for _ in 0..m.last_weight / divisor {
                loop {
                    let slot = (u64::from(offset) + u64::from(*next) * u64::from(skip)) % 4093;
                    *next += 1;
                    let slot = &mut table[usize::try_from(slot).expect("small")];
                    if slot.is_none() {
                        *slot = Some(*m);
                        break;
                    }
                    if *next > SLOTS {
                        return table.into_iter().collect();
                    }
                }
            }
        }
    }
}

/// The low half of SipHash-1-3 of four bytes, least significant first.
fn sip_hash(key: u64, value: u32) -> u32 {
    let word = (4 << 56) | u64::from(value);
    let mut v = [
        key ^ 0x736f_6d65_7073_6575,
        key ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        key ^ 0x7465_6462_7974_6573,
    ];
    v[3] ^= word;
    sip_round(&mut v);
    v[0] ^= word;
    v[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut v));
    let hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    u32::try_from(hash & 0xffff_ffff).expect("masked")
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

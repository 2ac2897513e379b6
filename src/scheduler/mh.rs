use super::hashing::fold;
use super::wrr::greatest_common_divisor;
use super::{Flow, Scheduler, Server, Servers};

/// How many slots the table has: the kernel's with Debian's `CONFIG_IP_VS_MH_TAB_INDEX=12`. A
/// prime, so that any step from slot to slot comes by all of them.
const SLOTS: u16 = 4093;

/// Weights are scaled to at most this many bits.
const TURN_BITS: u32 = 6;

/// `mh`, Maglev hashing (Eisenbud and others, NSDI 2016): the server belongs to the client's
/// address, shares are by weight, and few clients move when servers come and go (`ip_vs_mh.c`).
///
/// Each server has a permutation of the 4093 slots, made from its own address and port. From the
/// newest on, each in turn takes as many slots as its weight says, scaled to at most 63, the next
/// of its permutation that are free, until all are taken. Two nodes that added the same servers in
/// the same order so have the same table.
///
/// Without fallback a client whose server is quiesced or overloaded gets no pick even if another
/// could take it. With fallback 4093 slots are tried that differ from client to client, as in the
/// kernel. Some are tried twice, so a server with very few slots may be missed; and where nobody
/// may take a connection a pick costs 4093 hashes.
///
/// A quiesced server keeps its slots, so that its return moves nobody; one that never had another
/// weight has none. Any other change makes the table anew; of servers of equal weight the removal
/// of one moves its own clients and less than one in 25 of the others. Of more servers than slots
/// only the newest 4093 are looked at; the kernel refuses to add them, and
/// [`capacity`](Scheduler::capacity) tells a program that wants to do the same.
#[derive(Clone, Debug, Default)]
pub struct MaglevHashing {
    fallback: bool,
    port: bool,
    /// Positions; empty while no server has a weight.
    table: Vec<u16>,
    /// The weights the table was made of.
    weights: Vec<u32>,
}

impl MaglevHashing {
    /// With the flags `mh-fallback` (search for another server) and `mh-port` (the client's port
    /// counts too, so that its connections spread). The kernel has both off by default.
    #[must_use]
    pub const fn with_flags(fallback: bool, port: bool) -> Self {
        Self { fallback, port, table: Vec::new(), weights: Vec::new() }
    }

    /// The position of the server of each slot: 4093 of them, or none while no server has had a
    /// weight.
    #[must_use]
    pub fn table(&self) -> &[u16] {
        &self.table
    }

    /// What [`pick`](Scheduler::pick) returns, which changes nothing.
    #[must_use]
    pub fn choice(&self, flow: &Flow, servers: &Servers) -> Option<usize> {
        let port = if self.port { flow.source.port() } else { 0 };
        let client = fold(flow.source.ip()).wrapping_add(port.into());
        let hash = slot(client);
        let owner = |slot: u16| {
            let owner = usize::from(*self.table.get(usize::from(slot))?);
            servers.at(owner).is_some_and(Server::is_eligible).then_some(owner)
        };
        owner(hash).or_else(|| {
            let searched = self.fallback && !self.table.is_empty();
            let mut offsets = (hash..SLOTS).chain(0..hash).filter(|_| searched);
            offsets.find_map(|offset| owner(slot(client.wrapping_add(offset.into()))))
        })
    }

    fn fill(&mut self, servers: &Servers) {
        let mut rows = permutations(servers);
        self.table.clear();
        if rows.is_empty() {
            return;
        }
        self.table.resize(usize::from(SLOTS), u16::MAX);
        let mut left = SLOTS;
        while left > 0 {
            for row in &mut rows {
                let turns = row.turns.min(left);
                (0..turns).for_each(|_| row.take_a_slot(&mut self.table));
                left -= turns;
            }
        }
    }
}

impl Scheduler for MaglevHashing {
    fn name(&self) -> &'static str {
        "mh"
    }

    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize> {
        self.choice(flow, servers)
    }

    fn start(&mut self, servers: &Servers) {
        self.weights.clear();
        self.weights.extend(newest(servers).map(|server| server.last_weight().get()));
        self.fill(servers);
    }

    fn on_edited(&mut self, position: usize, servers: &Servers) {
        let weight = servers.at(position).map(|server| server.last_weight().get());
        if self.weights.get(position).is_some_and(|known| Some(*known) != weight) {
            self.start(servers);
        }
    }

    fn capacity(&self) -> usize {
        SLOTS.into()
    }
}

/// The servers the table has room for.
fn newest(servers: &Servers) -> impl Iterator<Item = &Server> {
    servers.as_slice().iter().take(SLOTS.into())
}

/// One server's way through the table.
struct Permutation {
    position: u16,
    slot: u16,
    skip: u16,
    turns: u16,
}

impl Permutation {
    /// Takes the next slot that is free; there must be one.
    fn take_a_slot(&mut self, table: &mut [u16]) {
        while table[usize::from(self.slot)] != u16::MAX {
            self.slot = (self.slot + self.skip) % SLOTS;
        }
        table[usize::from(self.slot)] = self.position;
    }
}

fn permutations(servers: &Servers) -> Vec<Permutation> {
    let weights = || newest(servers).map(|server| server.last_weight().get());
    let divisor = weights().fold(0, greatest_common_divisor).max(1);
    let greatest = weights().max().unwrap_or(0) / divisor;
    let shift = (u32::BITS - greatest.leading_zeros()).saturating_sub(TURN_BITS);
    let turns = |weight: u32| match weight {
        0 => 0,
        _ => u16::try_from((weight / divisor) >> shift).unwrap_or(u16::MAX).max(1),
    };
    let permutation = |(position, server): (u16, &Server)| {
        let address = server.address();
        let value = fold(address.ip()).wrapping_add(address.port().into());
        Permutation {
            position,
            slot: slot(value),
            skip: remainder(hash(2_654_446_892, value), SLOTS - 1) + 1,
            turns: turns(server.last_weight().get()),
        }
    };
    let all = (0..).zip(newest(servers)).map(permutation);
    all.filter(|permutation| permutation.turns > 0).collect()
}

fn slot(value: u32) -> u16 {
    remainder(hash(2_654_435_761, value), SLOTS)
}

fn remainder(value: u32, divisor: u16) -> u16 {
    u16::try_from(value % u32::from(divisor)).unwrap_or(0)
}

/// The kernel's `hsiphash` of one word on 64-bit little-endian machines: the low half of
/// SipHash-1-3 (Aumasson and Bernstein, 2012) of its four bytes, with `key` for both halves of the
/// key. For so short a message a general implementation takes twice as long.
const fn hash(key: u64, value: u32) -> u32 {
    let message = 4 << 56 | value as u64;
    let mut state = SipState {
        a: key ^ 0x736f_6d65_7073_6575,
        b: key ^ 0x646f_7261_6e64_6f6d,
        c: key ^ 0x6c79_6765_6e65_7261,
        d: key ^ 0x7465_6462_7974_6573 ^ message,
    }
    .round();
    state.a ^= message;
    state.c ^= 0xff;
    let SipState { a, b, c, d } = state.round().round().round();
    let [.., w, x, y, z] = (a ^ b ^ c ^ d).to_be_bytes();
    u32::from_be_bytes([w, x, y, z])
}

struct SipState {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

impl SipState {
    const fn round(self) -> Self {
        let Self { a, b, c, d } = self;
        let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
        let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
        let (a, c) = (a.rotate_left(32).wrapping_add(d), c.wrapping_add(b));
        let (d, b) = (d.rotate_left(21) ^ a, b.rotate_left(17) ^ c);
        Self { a, b, c: c.rotate_left(32), d }
    }
}

#[cfg(test)]
mod tests;

use super::{Server, Servers};

/// Makes a scheduler of a type with a field `tournament`: the server with the least `$cost` wins,
/// of equals the newest.
macro_rules! schedule_by_cost {
    ($scheduler:ty, $name:literal, $cost:path) => {
        impl $crate::scheduler::Scheduler for $scheduler {
            fn name(&self) -> &'static str {
                $name
            }

            fn pick(
                &mut self,
                _flow: &$crate::scheduler::Flow,
                _servers: &$crate::scheduler::Servers,
            ) -> Option<usize> {
                self.tournament.winner()
            }

            fn start(&mut self, servers: &$crate::scheduler::Servers) {
                self.tournament.build(servers, $cost);
            }

            fn on_edited(&mut self, position: usize, servers: &$crate::scheduler::Servers) {
                self.on_load(position, servers);
            }

            fn on_load(&mut self, position: usize, servers: &$crate::scheduler::Servers) {
                if let Some(server) = servers.at(position) {
                    self.tournament.update(position, $cost(server));
                }
            }
        }
    };
}

pub(super) use schedule_by_cost;

/// The cheapest of a row of servers, known at all times: a tournament in which each server is a
/// leaf and each node above holds the cheaper of the two below it.
///
/// The winner is at hand; a change plays one path of about log2(n) matches again. Never allocates
/// but in [`build`](Self::build).
#[derive(Clone, Debug, Default)]
pub(super) struct Tournament {
    /// Node 1 is the final, nodes 2i and 2i + 1 play for node i, and the second half is the
    /// servers. Node 0 plays no part.
    nodes: Vec<Contender>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Contender {
    cost: Cost,
    position: usize,
}

/// A load divided by a weight, compared without dividing. Weight 0 is dearer than any other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cost {
    load: u64,
    weight: u32,
}

impl Cost {
    /// The cost of a server that may not be picked at all.
    pub(super) const PROHIBITIVE: Self = Self { load: 1, weight: 0 };

    /// `load` for each unit of `weight`.
    pub(super) const fn new(load: u64, weight: u32) -> Self {
        Self { load, weight }
    }

    /// `load` for each unit of `weight`; prohibitive unless `server` may take a connection.
    pub(super) const fn of(server: &Server, load: u64, weight: u32) -> Self {
        if server.is_eligible() { Self { load, weight } } else { Self::PROHIBITIVE }
    }

    /// The rule of wlc: overhead by weight.
    pub(super) const fn weighted_overhead(server: &Server) -> Self {
        Self::of(server, server.overhead(), server.weight().get())
    }

    pub(super) const fn is_prohibitive(self) -> bool {
        self.weight == 0
    }

    /// In 128 bits: the kernel's 64 overflow where both a load and a weight come near 2^31.
    pub(super) const fn is_below(self, other: Self) -> bool {
        (self.load as u128) * (other.weight as u128) < (other.load as u128) * (self.weight as u128)
    }
}

impl Tournament {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// Plays all matches among `servers`.
    pub(super) fn build(&mut self, servers: &Servers, cost: impl Fn(&Server) -> Cost) {
        let count = servers.len();
        let contender = |(position, server)| Contender { cost: cost(server), position };
        let nobody = Contender { cost: Cost::PROHIBITIVE, position: 0 };
        self.nodes.clear();
        self.nodes.resize(count, nobody);
        let all = servers.as_slice().iter().enumerate();
        self.nodes.extend(all.map(contender));
        for node in (1..count).rev() {
            self.nodes[node] = self.play_for(node);
        }
    }

    /// Plays again what the server at `position` takes part in.
    pub(super) fn update(&mut self, position: usize, cost: Cost) {
        let mut node = self.nodes.len() / 2 + position;
        let mut winner = Contender { cost, position };
        while self.nodes[node] != winner {
            self.nodes[node] = winner;
            node /= 2;
            if node == 0 {
                break;
            }
            winner = self.play_for(node);
        }
    }

    /// The position of the cheapest server, the first of equals; `None` if none has a weight.
    pub(super) fn winner(&self) -> Option<usize> {
        let winner = self.nodes.get(1)?;
        (!winner.cost.is_prohibitive()).then_some(winner.position)
    }

    /// The one behind wins only if it is strictly cheaper. Unless their number is a power of two,
    /// the servers do not stand in the tree from left to right.
    fn play_for(&self, node: usize) -> Contender {
        let (one, other) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        let (before, behind) =
            if one.position < other.position { (one, other) } else { (other, one) };
        if behind.cost.is_below(before.cost) { behind } else { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_load_and_weight_do_not_overflow() {
        let load = 257 * 0xffff_ffff;
        let light = Cost { load, weight: 1 };
        let heavy = Cost { load, weight: 0x7fff_ffff };
        assert!(heavy.is_below(light) && !light.is_below(heavy));
    }

    #[test]
    fn no_weight_is_dearer_than_any_load() {
        let busy = Cost { load: u64::MAX, weight: 1 };
        let idle = Cost { load: 0, weight: 1 };
        for cost in [busy, idle] {
            assert!(cost.is_below(Cost::PROHIBITIVE) && !Cost::PROHIBITIVE.is_below(cost));
        }
        assert!(!Cost::PROHIBITIVE.is_below(Cost::PROHIBITIVE));
    }
}

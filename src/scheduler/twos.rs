use super::tournament::Cost;
use super::{Flow, Scheduler, Server, Servers};

/// `twos`, the power of two choices: two servers drawn by weight, of which the one with less
/// [overhead](Server::overhead) for its weight takes the connection, the first if they are equal
/// (`ip_vs_twos.c`).
///
/// A draw is a number from 0 to the sum of weights, both included, and is counted off along the
/// list; 0 falls to the newest server, which so has one chance more than its weight. Quiesced and
/// overloaded servers are left out of the sum; with no other there is no pick. Servers that come,
/// go or change their weight count from the next pick on.
///
/// The draws come from a small generator (SplitMix64) that begins with a given seed: pools with
/// equal seeds and histories pick alike. Where the kernel multiplies in 32 bits this does in 128,
/// so that great loads and weights are compared rightly.
#[derive(Clone, Debug, Default)]
pub struct PowerOfTwoChoices {
    draws: Draws,
    lots: Lots,
}

impl PowerOfTwoChoices {
    /// With draws that begin with `seed`.
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        Self { draws: Draws(seed), lots: Lots::new() }
    }

    fn update(&mut self, position: usize, servers: &Servers) {
        if let Some(server) = servers.at(position) {
            self.lots.set(position, lots(server));
        }
    }
}

impl Scheduler for PowerOfTwoChoices {
    fn name(&self) -> &'static str {
        "twos"
    }

    fn pick(&mut self, _flow: &Flow, servers: &Servers) -> Option<usize> {
        if self.lots.total == 0 {
            return None;
        }
        let mut draw = || self.lots.owner(self.draws.up_to(self.lots.total));
        let (one, other) = (draw(), draw());
        let cost = |position| servers.at(position).map(Cost::weighted_overhead);
        Some(if cost(other)?.is_below(cost(one)?) { other } else { one })
    }

    fn start(&mut self, servers: &Servers) {
        self.lots.build(servers.as_slice().iter().map(lots));
    }

    fn on_edited(&mut self, position: usize, servers: &Servers) {
        self.update(position, servers);
    }

    fn on_load(&mut self, position: usize, servers: &Servers) {
        self.update(position, servers);
    }
}

const fn lots(server: &Server) -> u32 {
    if server.is_eligible() { server.weight().get() } else { 0 }
}

/// How many lots each server has, with sums over stretches of the list (a Fenwick tree), so that
/// a draw and a change take about log2(n) steps.
#[derive(Clone, Debug, Default)]
struct Lots {
    each: Vec<u32>,
    /// Entry `i`, counted from 1, is the sum of as many servers up to the `i`th as the lowest bit
    /// of `i` says.
    sums: Vec<u64>,
    total: u64,
}

impl Lots {
    const fn new() -> Self {
        Self { each: Vec::new(), sums: Vec::new(), total: 0 }
    }

    fn build(&mut self, lots: impl Iterator<Item = u32>) {
        self.each.clear();
        self.each.extend(lots);
        self.total = self.each.iter().copied().map(u64::from).sum();
        self.sums.clear();
        self.sums.push(0);
        self.sums.extend(self.each.iter().copied().map(u64::from));
        for entry in 1..self.sums.len() {
            let above = entry + lowest_bit(entry);
            if above < self.sums.len() {
                self.sums[above] += self.sums[entry];
            }
        }
    }

    fn set(&mut self, position: usize, lots: u32) {
        let before = std::mem::replace(&mut self.each[position], lots);
        if before == lots {
            return;
        }
        let change = |sum: u64| sum - u64::from(before) + u64::from(lots);
        self.total = change(self.total);
        let mut entry = position + 1;
        while entry < self.sums.len() {
            self.sums[entry] = change(self.sums[entry]);
            entry += lowest_bit(entry);
        }
    }

    /// The position at which counting off `draw` ends: the first with which the sum reaches it.
    fn owner(&self, draw: u64) -> usize {
        let mut left = draw.max(1);
        let mut passed = 0;
        let mut stride = self.sums.len().next_power_of_two() / 2;
        while stride > 0 {
            // Without branches, which a draw makes unpredictable.
            let sum = self.sums.get(passed + stride).copied().unwrap_or(u64::MAX);
            let goes_on = sum < left;
            left -= if goes_on { sum } else { 0 };
            passed += if goes_on { stride } else { 0 };
            stride /= 2;
        }
        passed
    }
}

const fn lowest_bit(entry: usize) -> usize {
    entry & entry.wrapping_neg()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, and every seed is a good one.
#[derive(Clone, Debug, Default)]
struct Draws(u64);

impl Draws {
    const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `greatest`. No number is more likely than another by more than one part
    /// in 2^64 divided by `greatest`.
    fn up_to(&mut self, greatest: u64) -> u64 {
        let scaled = u128::from(self.bits()) * (u128::from(greatest) + 1);
        u64::try_from(scaled >> 64).unwrap_or(greatest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scheduler::tests::{Bench, pool, pool_by};

    fn seeded(seed: u64, weights: &[u32]) -> Bench {
        pool_by(Box::new(PowerOfTwoChoices::with_seed(seed)), weights)
    }

    fn shares(bench: &mut Bench, servers: usize) -> Vec<u32> {
        let mut shares = vec![0; servers];
        bench.picks(10_000).into_iter().for_each(|server| shares[server] += 1);
        shares
    }

    #[test]
    fn equal_seeds_have_equal_picks_and_others_do_not() {
        let picks = |seed| seeded(seed, &[3, 1, 4, 1, 5]).picks(50);
        assert_eq!(picks(7), picks(7));
        assert_ne!(picks(7), picks(8));
    }

    #[test]
    fn among_idle_servers_shares_are_by_weight() {
        let shares = shares(&mut seeded(1, &[300, 100]), 2);
        assert!((7_000..8_000).contains(&shares[0]), "{shares:?}");
    }

    #[test]
    fn of_two_choices_the_less_loaded_takes_it() {
        let mut bench = seeded(1, &[100, 100]);
        bench.load(1, 1, 0);
        let shares = shares(&mut bench, 2);
        assert!((7_000..8_000).contains(&shares[0]), "all but two draws of 1: {shares:?}");
    }

    #[test]
    fn no_weight_and_no_room_draw_no_lot() {
        let mut bench = seeded(1, &[5, 0, 5]);
        bench.limit(2, 5, 1, 0);
        bench.load(2, 0, 1);
        assert_eq!(bench.picks(50), [0; 50]);
        bench.edit(0, 0);
        assert_eq!(bench.pick(), None);
        assert_eq!(pool("twos", &[]).pick(), None);
    }

    #[test]
    fn draws_reach_from_nothing_to_the_sum() {
        let mut draws = Draws(1);
        let mut seen = [false; 4];
        (0..200).for_each(|_| seen[usize::try_from(draws.up_to(3)).unwrap()] = true);
        assert_eq!(seen, [true; 4]);
    }

    /// Where subtracting one server after the other takes a draw to 0 or below.
    fn counted_off(lots: &[u32], draw: u64) -> Option<usize> {
        let mut left = i64::try_from(draw).unwrap();
        lots.iter().position(|&lots| {
            left -= i64::from(lots);
            lots > 0 && left <= 0
        })
    }

    proptest! {
        #[test]
        fn the_tree_finds_whom_counting_off_finds(
            lots in prop::collection::vec(0_u32..5, 1..40),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..5), 0..20),
        ) {
            let (mut lots, mut tree) = (lots, Lots::new());
            tree.build(lots.iter().copied());
            for (position, to) in changes {
                let position = position.index(lots.len());
                lots[position] = to;
                tree.set(position, to);
            }
            prop_assert_eq!(tree.total, lots.iter().copied().map(u64::from).sum::<u64>());
            if tree.total > 0 {
                for draw in 0..=tree.total {
                    prop_assert_eq!(Some(tree.owner(draw)), counted_off(&lots, draw));
                }
            }
        }
    }
}

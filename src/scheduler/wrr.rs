use super::{Flow, Scheduler, Server, Servers};

/// `wrr`: turns in proportion to weights (`ip_vs_wrr.c`).
///
/// A cycle is a number of rounds. In each one, servers whose weight reaches the round's level
/// take a turn; the level falls from round to round by the greatest common divisor of all
/// weights. So weights 8, 4 and 2 have rounds at 7, 5, 3 and 1.
#[derive(Clone, Debug, Default)]
pub struct WeightedRoundRobin {
    /// The server chosen last; `None` stands in front of the first one, like the list head.
    last: Option<usize>,
    /// The weight a server needs to take a turn in this round.
    level: u32,
    /// The level of a cycle's first round; 0 when every weight is 0.
    top: u32,
    /// How far the level falls from one round to the next.
    step: u32,
}

impl WeightedRoundRobin {
    fn measure(&mut self, servers: &Servers) {
        let weights = || servers.as_slice().iter().map(|s| s.weight().get());
        self.last = None;
        self.step = weights().fold(0, greatest_common_divisor).max(1);
        // Not the greatest weight itself: ends at 1 and not at `step`, as the kernel has it.
        self.top = weights().max().map_or(0, |max| max.saturating_sub(self.step - 1));
    }

    /// The first server from `from` on that takes a turn in this round.
    fn find(&self, list: &[Server], from: usize) -> Option<usize> {
        let rest = list.get(from..)?;
        let takes_turn = |s: &Server| s.weight().get() >= self.level && !s.is_overloaded();
        rest.iter().position(takes_turn).map(|offset| from + offset)
    }

    fn find_in_later_rounds(&mut self, list: &[Server]) -> Option<usize> {
        let began = (self.last, self.level);
        self.next_round();
        let chosen = self.find(list, 0).or_else(|| {
            self.skip_empty_rounds(list)?;
            self.find(list, 0)
        });
        if chosen.is_none() {
            (self.last, self.level) = self.after_search_in_vain(began);
        }
        chosen
    }

    fn next_round(&mut self) {
        self.level = match self.level.saturating_sub(self.step) {
            0 => self.top,
            level => level,
        };
    }

    /// Passes over all rounds in which nobody would take a turn. The kernel walks through each,
    /// and a cycle may have two billion.
    fn skip_empty_rounds(&mut self, list: &[Server]) -> Option<()> {
        let eligible = list.iter().filter(|server| server.is_eligible());
        let heaviest = eligible.map(|server| server.weight().get()).max()?;
        let empty = self.level.saturating_sub(heaviest).div_ceil(self.step);
        self.level -= empty * self.step;
        Some(())
    }

    /// Where the kernel then stands: where it began if that was amid a cycle's last round, else at
    /// the start of a cycle.
    const fn after_search_in_vain(
        &self,
        (last, level): (Option<usize>, u32),
    ) -> (Option<usize>, u32) {
        if last.is_some() && level <= self.step { (last, level) } else { (None, self.top) }
    }
}

impl Scheduler for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        "wrr"
    }

    fn pick(&mut self, _flow: &Flow, servers: &Servers) -> Option<usize> {
        if self.top == 0 {
            return None;
        }
        let list = servers.as_slice();
        let from = self.last.map_or(0, |last| last + 1);
        let chosen = self.find(list, from).or_else(|| self.find_in_later_rounds(list))?;
        self.last = Some(chosen);
        Some(chosen)
    }

    fn start(&mut self, servers: &Servers) {
        self.measure(servers);
        self.level = self.top;
    }

    fn on_added(&mut self, servers: &Servers) {
        self.measure(servers);
        if self.level > self.top || self.level == 0 {
            self.level = self.top;
        } else if self.step > 1 {
            self.level = self.level / self.step * self.step + 1;
        }
    }

    fn on_removed(&mut self, _position: usize, servers: &Servers) {
        self.on_added(servers);
    }

    fn on_edited(&mut self, _position: usize, servers: &Servers) {
        self.on_added(servers);
    }
}

/// Of 0 and a number it is that number, so that a fold passes over weight 0; and once a fold came
/// to 1, the rest costs no division.
pub(super) const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 && a != 1 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::scheduler::by_name;
    use crate::scheduler::tests::{Bench, pool};

    /// A pool at the start of a cycle: wrr comes to servers that are there already.
    fn at_the_top(weights: &[u32]) -> Bench {
        let mut bench = pool("rr", weights);
        bench.pool.set_scheduler(by_name("wrr").unwrap());
        bench
    }

    #[test]
    fn weights_8_4_2_take_turns_at_levels_7_5_3_1() {
        let mut bench = at_the_top(&[8, 4, 2]);
        let cycle = [0, 0, 1, 0, 2, 1, 0];
        assert_eq!(bench.picks(7), cycle);
        assert_eq!(bench.picks(7), cycle);
    }

    #[test]
    fn servers_added_one_by_one_begin_in_the_last_round() {
        let mut bench = pool("wrr", &[8, 4, 2]);
        assert_eq!(bench.picks(7), [2, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn equal_weights_are_round_robin() {
        let mut bench = pool("wrr", &[5, 5, 5]);
        assert_eq!(bench.picks(6), [2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn removing_a_server_starts_its_round_again() {
        let mut bench = at_the_top(&[8, 4, 2]);
        assert_eq!(bench.picks(3), [0, 0, 1]);
        bench.remove(1);
        assert_eq!(bench.picks(8), [0, 2, 0, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn adding_a_server_starts_the_round_again_at_the_same_level() {
        let mut bench = at_the_top(&[3, 1]);
        assert_eq!(bench.picks(2), [0, 0]);
        bench.add(2);
        assert_eq!(bench.picks(5), [2, 0, 2, 1, 0]);
    }

    #[test]
    fn a_level_between_the_steps_of_new_weights_falls_to_the_next_one() {
        let mut bench = at_the_top(&[5, 4]);
        assert_eq!(bench.picks(4), [0, 1, 0, 1]);
        bench.edit(0, 8);
        assert_eq!(bench.picks(5), [1, 0, 0, 1, 0]);
    }

    #[test]
    fn a_level_above_all_new_weights_falls_to_the_top() {
        let mut bench = at_the_top(&[9, 1]);
        assert_eq!(bench.picks(1), [0]);
        bench.edit(0, 3);
        assert_eq!(bench.picks(4), [0, 0, 1, 0]);
    }

    #[test]
    fn a_pool_that_was_all_quiesced_takes_turns_again() {
        let mut bench = pool("wrr", &[0, 0]);
        assert_eq!(bench.pick(), None);
        bench.edit(0, 2);
        bench.edit(1, 1);
        assert_eq!(bench.picks(3), [1, 0, 0]);
    }

    /// Two servers that a single connection overloads, after `picks` picks and a search in vain.
    fn overloaded_once(picks: &[usize]) -> Bench {
        let mut bench = at_the_top(&[2, 1]);
        bench.limit(0, 2, 1, 0);
        bench.limit(1, 1, 1, 0);
        assert_eq!(bench.picks(picks.len()), picks);
        (0..2).for_each(|server| bench.load(server, 1, 0));
        assert_eq!(bench.pick(), None);
        (0..2).for_each(|server| bench.close(server));
        bench
    }

    #[test]
    fn a_search_in_vain_above_the_last_round_ends_the_cycle() {
        let mut bench = overloaded_once(&[0]);
        assert_eq!(bench.picks(3), [0, 1, 0]);
    }

    #[test]
    fn a_search_in_vain_amid_the_last_round_keeps_its_place() {
        let mut bench = overloaded_once(&[0, 1]);
        assert_eq!(bench.picks(4), [0, 0, 1, 0]);
    }

    #[test]
    fn a_search_past_an_overloaded_giant_does_not_walk_its_two_billion_rounds() {
        let mut bench = pool("wrr", &[1, 0x7fff_ffff]);
        bench.limit(1, 0x7fff_ffff, 1, 0);
        bench.load(1, 1, 0);
        assert_eq!(bench.picks(100), [0; 100]);
        bench.edit(0, 0);
        assert_eq!(bench.pick(), None);
    }

    /// The same rules spelled out: every visit of a whole cycle, one after the other.
    #[derive(Default)]
    struct Walk {
        last: Option<usize>,
        level: u32,
        top: u32,
        step: u32,
    }

    impl Walk {
        fn changed(&mut self, weights: &[u32]) {
            let max = weights.iter().copied().max().unwrap_or(0);
            let divides = |d: &u32| weights.iter().all(|weight| weight % d == 0);
            self.step = (1..=max.max(1)).rev().find(divides).unwrap();
            self.top = if max == 0 { 0 } else { max - self.step + 1 };
            self.last = None;
            self.level = match self.level {
                1.. if self.level <= self.top && self.step > 1 => {
                    self.level - self.level % self.step + 1
                }
                1.. if self.level <= self.top => self.level,
                _ => self.top,
            };
        }

        /// Levels of a whole cycle, from the present one round to it again.
        fn levels(&self) -> Vec<u32> {
            let step = usize::try_from(self.step).unwrap();
            let down_from = |level| (1..=level).rev().step_by(step);
            let above = down_from(self.top).filter(|&level| level >= self.level);
            down_from(self.level).chain(above).collect()
        }

        fn pick(&mut self, servers: &[(u32, bool)]) -> Option<usize> {
            let next = self.last.map_or(0, |last| last + 1);
            let visits: Vec<_> = self
                .levels()
                .into_iter()
                .flat_map(|level| (0..servers.len()).map(move |position| (level, position)))
                .skip(next)
                .collect();
            let takes_turn = |&&(level, position): &&(u32, usize)| {
                let (weight, overloaded) = servers[position];
                !overloaded && weight >= level
            };
            match visits.iter().find(takes_turn) {
                Some(&(level, position)) => (self.level, self.last) = (level, Some(position)),
                None if next > 0 && self.level <= self.step => return None,
                None => {
                    (self.level, self.last) = (self.top, None);
                    return None;
                }
            }
            self.last
        }
    }

    proptest! {
        #[test]
        fn skipping_empty_rounds_changes_no_pick(
            weights in prop::collection::vec(0_u32..40, 1..6),
            steps in prop::collection::vec((0_usize..6, 0_u32..60), 1..200),
        ) {
            let mut weights = weights;
            let mut bench = pool("wrr", &weights);
            (0..weights.len()).for_each(|server| bench.limit(server, weights[server], 1, 0));
            let mut overloaded = vec![false; weights.len()];
            let mut walk = Walk::default();
            let newest_first = |weights: &[u32], overloaded: &[bool]| -> Vec<_> {
                weights.iter().copied().zip(overloaded.iter().copied()).rev().collect()
            };
            // The bench saw the servers come one by one; so must the walk.
            for count in 1..=weights.len() {
                walk.changed(&weights[..count]);
            }
            for (server, what) in steps {
                let server = server % weights.len();
                match what {
                    0..4 => {
                        weights[server] = what * 6;
                        bench.limit(server, weights[server], 1, 0);
                        walk.changed(&weights);
                    }
                    4..20 if overloaded[server] => {
                        bench.close(server);
                        overloaded[server] = false;
                    }
                    4..20 => {
                        bench.load(server, 1, 0);
                        overloaded[server] = true;
                    }
                    _ => {
                        let expected = walk.pick(&newest_first(&weights, &overloaded));
                        let expected = expected.map(|position| weights.len() - 1 - position);
                        prop_assert_eq!(bench.pick(), expected);
                    }
                }
            }
        }
    }
}

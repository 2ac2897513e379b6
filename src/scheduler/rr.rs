use super::{Flow, Scheduler, Server, Servers};

/// `rr`: each eligible server in turn, whatever its weight (`ip_vs_rr.c`).
#[derive(Clone, Debug, Default)]
pub struct RoundRobin {
    /// The server chosen last; `None` stands in front of the first one, like the list head.
    last: Option<usize>,
}

impl Scheduler for RoundRobin {
    fn name(&self) -> &'static str {
        "rr"
    }

    fn pick(&mut self, _flow: &Flow, servers: &Servers) -> Option<usize> {
        let list = servers.as_slice();
        let from = self.last.map_or(0, |last| last + 1);
        let (before, after) = list.split_at_checked(from)?;
        let chosen = after
            .iter()
            .position(Server::is_eligible)
            .map(|offset| from + offset)
            .or_else(|| before.iter().position(Server::is_eligible))?;
        self.last = Some(chosen);
        Some(chosen)
    }

    fn start(&mut self, _servers: &Servers) {
        self.last = None;
    }

    fn on_added(&mut self, _servers: &Servers) {
        self.last = self.last.map(|last| last + 1);
    }

    fn on_removed(&mut self, position: usize, _servers: &Servers) {
        self.last = match self.last {
            Some(last) if position <= last => last.checked_sub(1),
            last => last,
        };
    }

    fn on_edited(&mut self, _position: usize, _servers: &Servers) {}
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::{Bench, pool};

    #[test]
    fn turns_start_with_the_newest_and_go_round() {
        let mut bench = pool("rr", &[1, 5, 1]);
        assert_eq!(bench.picks(7), [2, 1, 0, 2, 1, 0, 2]);
    }

    #[test]
    fn a_server_added_in_the_middle_of_a_turn_waits_for_the_next_one() {
        let mut bench = pool("rr", &[1, 1, 1]);
        assert_eq!(bench.picks(2), [2, 1]);
        bench.add(1);
        assert_eq!(bench.picks(5), [0, 3, 2, 1, 0]);
    }

    #[test]
    fn removing_the_server_chosen_last_moves_the_turn_to_its_predecessor() {
        let mut bench = pool("rr", &[1, 1, 1, 1]);
        assert_eq!(bench.picks(2), [3, 2]);
        bench.remove(2);
        assert_eq!(bench.picks(4), [1, 0, 3, 1]);
    }

    #[test]
    fn removing_the_first_server_when_it_was_chosen_last_starts_a_new_turn() {
        let mut bench = pool("rr", &[1, 1, 1]);
        assert_eq!(bench.picks(1), [2]);
        bench.remove(2);
        assert_eq!(bench.picks(3), [1, 0, 1]);
    }

    #[test]
    fn removing_a_server_before_or_behind_the_turn_does_not_move_it() {
        let mut bench = pool("rr", &[1, 1, 1, 1]);
        assert_eq!(bench.picks(2), [3, 2]);
        bench.remove(3);
        assert_eq!(bench.picks(1), [1]);
        bench.remove(0);
        assert_eq!(bench.picks(2), [2, 1]);
    }

    #[test]
    fn a_turn_in_vain_leaves_the_place_in_it() {
        let mut bench = pool("rr", &[1, 1, 1]);
        assert_eq!(bench.picks(1), [2]);
        for server in 0..3 {
            bench.edit(server, 0);
        }
        assert_eq!(bench.pick(), None);
        for server in 0..3 {
            bench.edit(server, 1);
        }
        assert_eq!(bench.picks(2), [1, 0]);
    }

    #[test]
    fn a_single_server_takes_every_turn() {
        let mut bench = pool("rr", &[1]);
        assert_eq!(bench.picks(3), [0, 0, 0]);
    }

    #[test]
    fn an_empty_pool_has_no_turn() {
        let mut bench: Bench = pool("rr", &[]);
        assert_eq!(bench.pick(), None);
    }
}

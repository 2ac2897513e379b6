use super::Server;
use super::tournament::{Cost, Tournament, schedule_by_cost};

/// `fo`, weighted failover: the heaviest server that may take a connection, and only that; of
/// equals the newest (`ip_vs_fo.c`).
///
/// Weights are ranks: the next one takes over when the heaviest is quiesced, overloaded or
/// removed, and hands back when it returns. Load does not matter below the upper threshold.
#[derive(Clone, Debug, Default)]
pub struct WeightedFailover {
    tournament: Tournament,
}

schedule_by_cost!(WeightedFailover, "fo", cost);

/// One load for all, so that the greatest weight is the least cost.
pub(super) const fn cost(server: &Server) -> Cost {
    Cost::of(server, 1, server.weight().get())
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn the_heaviest_takes_all_and_the_newest_of_equals() {
        let mut bench = pool("fo", &[5, 9, 9, 1]);
        assert_eq!(bench.picks_opened(5), [2; 5]);
    }

    #[test]
    fn the_next_takes_over_and_hands_back() {
        let mut bench = pool("fo", &[1, 2, 3]);
        bench.limit(2, 3, 1, 0);
        assert_eq!(bench.picks_opened(2), [2, 1], "overloaded");
        bench.edit(1, 0);
        assert_eq!(bench.pick(), Some(0), "quiesced");
        bench.close(2);
        assert_eq!(bench.pick(), Some(2));
        bench.remove(2);
        assert_eq!(bench.pick(), Some(0));
        bench.edit(0, 0);
        assert_eq!(bench.pick(), None);
    }

    #[test]
    fn the_greatest_weights_are_told_apart() {
        let mut bench = pool("fo", &[0x7fff_ffff, 0x7fff_fffe]);
        assert_eq!(bench.pick(), Some(0));
    }
}

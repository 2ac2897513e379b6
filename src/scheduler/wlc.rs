use super::tournament::{Cost, Tournament, schedule_by_cost};

/// `wlc`: the server with the least [overhead](super::Server::overhead) for its weight; of equals
/// the newest (`ip_vs_wlc.c`).
#[derive(Clone, Debug, Default)]
pub struct WeightedLeastConnection {
    tournament: Tournament,
}

schedule_by_cost!(WeightedLeastConnection, "wlc", Cost::weighted_overhead);

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn an_idle_pool_fills_newest_first_and_then_by_weight() {
        let mut bench = pool("wlc", &[3, 1]);
        assert_eq!(bench.picks_opened(5), [1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_quiesced_server_never_wins_however_idle() {
        let mut bench = pool("wlc", &[1, 0]);
        bench.load(0, 1000, 0);
        assert_eq!(bench.pick(), Some(0));
    }
}

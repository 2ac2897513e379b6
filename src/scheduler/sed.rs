use super::Server;
use super::tournament::{Cost, Tournament, schedule_by_cost};

/// `sed`, shortest expected delay: the server with the least `(active + 1) / weight`; of equals
/// the newest (`ip_vs_sed.c`).
///
/// The one added is the connection to be placed, so an idle pool fills by weight, where
/// [wlc](super::WeightedLeastConnection) takes every idle server for equal. Inactive connections
/// do not count: of UDP, which has no others, all goes to the heaviest server.
///
/// Quiesced and overloaded servers are passed over; with no other there is no pick. Servers that
/// come, go or change their weight count from the next pick on: there is no round to keep.
#[derive(Clone, Debug, Default)]
pub struct ShortestExpectedDelay {
    tournament: Tournament,
}

schedule_by_cost!(ShortestExpectedDelay, "sed", cost);

pub(super) const fn cost(server: &Server) -> Cost {
    Cost::of(server, server.load().active as u64 + 1, server.weight().get())
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn an_idle_pool_fills_by_weight_from_the_first_connection_on() {
        let mut bench = pool("sed", &[3, 1, 2]);
        assert_eq!(bench.picks_opened(9), [0, 2, 0, 2, 1, 0, 0, 2, 0]);
    }

    #[test]
    fn inactive_connections_do_not_count() {
        let mut bench = pool("sed", &[2, 1]);
        bench.load(0, 0, 1000);
        assert_eq!(bench.pick(), Some(0));
    }

    #[test]
    fn of_equals_the_newest_is_picked() {
        let mut bench = pool("sed", &[1, 2, 1]);
        bench.load(1, 1, 0);
        assert_eq!(bench.pick(), Some(2), "1/1, 2/2 and 1/1");
    }

    #[test]
    fn an_overloaded_or_quiesced_server_is_passed_over() {
        let mut bench = pool("sed", &[1, 9, 5]);
        bench.limit(1, 9, 1, 0);
        bench.load(1, 0, 1);
        bench.edit(2, 0);
        assert_eq!(bench.pick(), Some(0));
    }
}

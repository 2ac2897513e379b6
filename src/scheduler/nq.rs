use super::tournament::{Cost, Tournament, schedule_by_cost};
use super::{Server, sed};

/// `nq`, never queue: the newest server without an active connection, whatever its weight; while
/// all are busy, as [sed](super::ShortestExpectedDelay) picks (`ip_vs_nq.c`).
///
/// Inactive connections do not count: of UDP, which has no others, all goes to the newest server.
///
/// Quiesced and overloaded servers are passed over, idle or not; with no other there is no pick.
/// Servers that come, go or change their weight count from the next pick on.
#[derive(Clone, Debug, Default)]
pub struct NeverQueue {
    tournament: Tournament,
}

schedule_by_cost!(NeverQueue, "nq", cost);

/// Nothing for an idle server, and more than nothing for any other: idle ones tie and come first.
const fn cost(server: &Server) -> Cost {
    match server.load().active {
        0 => Cost::of(server, 0, 1),
        _ => sed::cost(server),
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn each_idle_server_gets_a_connection_before_weights_matter() {
        let mut bench = pool("nq", &[9, 1, 3]);
        assert_eq!(bench.picks_opened(6), [2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn connections_that_are_never_active_all_go_to_the_newest() {
        let mut bench = pool("nq", &[9, 1]);
        bench.load(1, 0, 50);
        assert_eq!(bench.pick(), Some(1));
    }

    #[test]
    fn an_idle_server_that_may_not_take_a_connection_does_not_win() {
        let mut bench = pool("nq", &[1, 1, 1]);
        bench.load(0, 5, 0);
        bench.edit(1, 0);
        bench.limit(2, 1, 1, 0);
        bench.load(2, 0, 1);
        assert_eq!(bench.pick(), Some(0));
    }
}

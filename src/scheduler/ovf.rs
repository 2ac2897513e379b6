use super::tournament::{Cost, Tournament, schedule_by_cost};
use super::{Server, fo};

/// `ovf`, weighted overflow: the heaviest server that is not full; of equals the newest
/// (`ip_vs_ovf.c`).
///
/// A weight is rank and size in one: a server is full when it has more active connections than
/// its weight, so it takes one more than that before the next gets any. When all are full, or
/// quiesced, or overloaded, there is no pick: a sum of weights plus the number of servers is all
/// the pool takes at a time. UDP has no active connections and so never overflows.
///
/// A server whose weight is lowered below its connections is full until enough of them ended.
#[derive(Clone, Debug, Default)]
pub struct WeightedOverflow {
    tournament: Tournament,
}

schedule_by_cost!(WeightedOverflow, "ovf", cost);

const fn cost(server: &Server) -> Cost {
    let full = server.load().active > server.weight().get();
    if full { Cost::PROHIBITIVE } else { fo::cost(server) }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn each_server_takes_its_weight_and_one_before_the_next_gets_any() {
        let mut bench = pool("ovf", &[1, 2, 1]);
        assert_eq!(bench.picks_opened(7), [1, 1, 1, 2, 2, 0, 0]);
        assert_eq!(bench.pick(), None, "all are full");
        bench.close(1);
        assert_eq!(bench.pick(), Some(1));
    }

    #[test]
    fn connections_that_are_never_active_do_not_overflow() {
        let mut bench = pool("ovf", &[1, 2]);
        bench.load(1, 0, 100);
        assert_eq!(bench.pick(), Some(1));
    }

    #[test]
    fn a_lowered_weight_makes_a_server_full() {
        let mut bench = pool("ovf", &[1, 5]);
        bench.load(1, 3, 0);
        assert_eq!(bench.pick(), Some(1));
        bench.edit(1, 2);
        assert_eq!(bench.pick(), Some(0));
    }

    #[test]
    fn the_threshold_holds_below_the_weight() {
        let mut bench = pool("ovf", &[1, 5]);
        bench.limit(1, 5, 2, 0);
        assert_eq!(bench.picks_opened(3), [1, 1, 0]);
    }
}

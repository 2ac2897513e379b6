use super::Server;
use super::tournament::{Cost, Tournament, schedule_by_cost};

/// `lc`: the server with the least [overhead](Server::overhead), whatever its weight; of equals
/// the newest (`ip_vs_lc.c`).
#[derive(Clone, Debug, Default)]
pub struct LeastConnection {
    tournament: Tournament,
}

schedule_by_cost!(LeastConnection, "lc", cost);

/// Weights do not matter, so all are 1.
const fn cost(server: &Server) -> Cost {
    Cost::of(server, server.overhead(), 1)
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::pool;

    #[test]
    fn an_active_connection_costs_as_much_as_257_inactive_ones() {
        let mut bench = pool("lc", &[1, 1]);
        bench.load(0, 1, 0);
        bench.load(1, 0, 256);
        assert_eq!(bench.pick(), Some(1));
        bench.load(1, 0, 2);
        assert_eq!(bench.pick(), Some(0));
    }

    #[test]
    fn of_equals_the_newest_is_picked() {
        let mut bench = pool("lc", &[1, 1, 1]);
        assert_eq!(bench.pick(), Some(2));
        bench.load(2, 1, 0);
        assert_eq!(bench.pick(), Some(1));
    }

    #[test]
    fn weight_matters_only_when_it_is_0() {
        let mut bench = pool("lc", &[1, 100, 0]);
        assert_eq!(bench.pick(), Some(1));
        bench.load(1, 1, 0);
        assert_eq!(bench.pick(), Some(0));
    }
}

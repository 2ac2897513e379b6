use super::tournament::{Cost, Tournament};
use super::{Flow, Scheduler, Server, Servers};

/// `lc`: the server with the least [overhead](Server::overhead), whatever its weight; of equals
/// the newest (`ip_vs_lc.c`).
#[derive(Clone, Debug, Default)]
pub struct LeastConnection {
    tournament: Tournament,
}

impl LeastConnection {
    fn play_again(&mut self, position: usize, servers: &Servers) {
        if let Some(server) = servers.at(position) {
            self.tournament.update(position, cost(server));
        }
    }
}

impl Scheduler for LeastConnection {
    fn name(&self) -> &'static str {
        "lc"
    }

    fn pick(&mut self, _flow: &Flow, _servers: &Servers) -> Option<usize> {
        self.tournament.winner()
    }

    fn start(&mut self, servers: &Servers) {
        self.tournament.build(servers, cost);
    }

    fn on_edited(&mut self, position: usize, servers: &Servers) {
        self.play_again(position, servers);
    }

    fn on_load(&mut self, position: usize, servers: &Servers) {
        self.play_again(position, servers);
    }
}

const fn cost(server: &Server) -> Cost {
    Cost::of(server, 1)
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

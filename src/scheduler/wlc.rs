use super::tournament::{Cost, Tournament};
use super::{Flow, Scheduler, Server, Servers};

/// `wlc`: the server with the least [overhead](Server::overhead) for its weight; of equals the
/// newest (`ip_vs_wlc.c`).
#[derive(Clone, Debug, Default)]
pub struct WeightedLeastConnection {
    tournament: Tournament,
}

impl WeightedLeastConnection {
    fn play_again(&mut self, position: usize, servers: &Servers) {
        if let Some(server) = servers.at(position) {
            self.tournament.update(position, cost(server));
        }
    }
}

impl Scheduler for WeightedLeastConnection {
    fn name(&self) -> &'static str {
        "wlc"
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
    Cost::of(server, server.weight().get())
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::{Bench, pool};

    fn pick_and_open(bench: &mut Bench, count: usize) -> Vec<usize> {
        let pick = |_| {
            let server = bench.pick().unwrap();
            bench.load(server, 1, 0);
            server
        };
        (0..count).map(pick).collect()
    }

    #[test]
    fn an_idle_pool_fills_newest_first_and_then_by_weight() {
        let mut bench = pool("wlc", &[3, 1]);
        assert_eq!(pick_and_open(&mut bench, 5), [1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_quiesced_server_never_wins_however_idle() {
        let mut bench = pool("wlc", &[1, 0]);
        bench.load(0, 1000, 0);
        assert_eq!(bench.pick(), Some(0));
    }
}

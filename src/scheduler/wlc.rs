use super::{Flow, Scheduler, Server, Servers};

/// `wlc`: the server with the least [overhead](Server::overhead) for its weight; of equals the
/// newest (`ip_vs_wlc.c`).
#[derive(Clone, Debug, Default)]
pub struct WeightedLeastConnection;

impl Scheduler for WeightedLeastConnection {
    fn name(&self) -> &'static str {
        "wlc"
    }

    fn pick(&mut self, _flow: &Flow, servers: &Servers) -> Option<usize> {
        let list = servers.as_slice().iter().enumerate();
        list.filter(|(_, server)| server.is_eligible())
            .map(|(position, server)| (position, Cost::of(server)))
            .reduce(|least, other| {
                if other.1.is_below(least.1) {
                    other
                } else {
                    least
                }
            })
            .map(|(position, _)| position)
    }

    fn start(&mut self, _servers: &Servers) {}
}

/// Overhead divided by weight, compared without dividing.
#[derive(Clone, Copy)]
struct Cost {
    overhead: u64,
    weight: u32,
}

impl Cost {
    const fn of(server: &Server) -> Self {
        Self {
            overhead: server.overhead(),
            weight: server.weight().get(),
        }
    }

    /// In 128 bits: the kernel's 64 overflow where both a load and a weight come near 2^31.
    const fn is_below(self, other: Self) -> bool {
        (self.overhead as u128) * (other.weight as u128)
            < (other.overhead as u128) * (self.weight as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::Cost;
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

    #[test]
    fn the_greatest_load_and_weight_do_not_overflow() {
        let full = Cost {
            overhead: 257 * 0xffff_ffff,
            weight: 1,
        };
        let heavy = Cost {
            overhead: 257 * 0xffff_ffff,
            weight: 0x7fff_ffff,
        };
        assert!(heavy.is_below(full) && !full.is_below(heavy));
    }
}

//! A scheduler of one's own.
//!
//! "The better of two": each client has two candidates, chosen by a hash of its address, and takes
//! the one with fewer connections for its weight. Most clients so keep their server, as with a
//! plain hash, and yet no server can be swamped by a few busy clients.
//!
//! ```text
//! cargo run --example custom_scheduler
//! ```

use std::net::{IpAddr, SocketAddr};

use piranha::ipvs::Thresholds;
use piranha::net::{OutOfRange, Weight};
use piranha::scheduler::{Flow, Pool, Scheduler, Server, Servers};

/// Keeps nothing between picks, so it needs none of the hooks that follow changes of the pool.
struct BetterOfTwo;

impl Scheduler for BetterOfTwo {
    fn name(&self) -> &'static str {
        "better-of-two"
    }

    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize> {
        let hash = hash(flow.source.ip());
        let one = candidate(hash, servers)?;
        let other = candidate(hash.rotate_left(32), servers)?;
        let cost = |position: usize| servers.at(position).map_or(u64::MAX, cost);
        Some(if cost(other) < cost(one) { other } else { one })
    }

    fn start(&mut self, _servers: &Servers) {}
}

/// The first server at or behind the hash's place that may take a connection.
fn candidate(hash: u64, servers: &Servers) -> Option<usize> {
    let place = usize::try_from(hash & 0xffff_ffff).ok()?;
    let start = place.checked_rem(servers.len())?;
    let mut round = (start..servers.len()).chain(0..start);
    round.find(|&position| servers.at(position).is_some_and(Server::is_eligible))
}

fn cost(server: &Server) -> u64 {
    server.overhead() * 1000 / u64::from(server.weight().get().max(1))
}

/// A fixed hash (FNV-1a), the same on every node and in every run.
fn hash(address: IpAddr) -> u64 {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// 200 clients, each with one connection, among four servers, of which the last is quiesced.
fn spread() -> Result<Pool, OutOfRange> {
    let mut pool = Pool::new(Box::new(BetterOfTwo));
    for (last_octet, weight) in [(1, 1), (2, 1), (3, 2), (4, 0)] {
        let address = SocketAddr::from(([10, 0, 0, last_octet], 80));
        pool.add(address, Weight::new(weight)?, Thresholds::NONE);
    }

    for client in 0..200_u8 {
        let flow =
            Flow { source: SocketAddr::from(([198, 51, 100, client], 40_000)), ..Flow::default() };
        if let Some(server) = pool.pick(&flow) {
            pool.open(server);
        }
    }
    Ok(pool)
}

fn main() -> Result<(), OutOfRange> {
    let pool = spread()?;
    println!("200 clients by {}:", pool.scheduler());
    for server in pool.servers().as_slice() {
        println!(
            "{}  weight {}  {:3} connections",
            server.address(),
            server.weight(),
            server.load().active
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavy_server_gets_most_and_the_quiesced_one_nothing() {
        let pool = spread().unwrap();
        let loads: Vec<_> = pool.servers().as_slice().iter().map(|s| s.load().active).collect();
        assert_eq!(loads.iter().sum::<u32>(), 200);
        assert_eq!(loads[0], 0, "the newest is quiesced: {loads:?}");
        assert!(loads[1] > loads[2] && loads[1] > loads[3], "{loads:?}");
    }
}

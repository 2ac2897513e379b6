//! A TCP balancer inside a program: two servers, one of which is drained while clients keep coming.
//!
//! ```text
//! cargo run --example relay_in_my_program
//! ```
//!
//! Everything is on loopback, at an address of its own, and needs no privilege.
#![allow(clippy::disallowed_methods, reason = "an example does its own input and output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use piranha::ipvs::{Backend, Destination, Op, Service, ServiceKey};
use piranha::net::Weight;
use piranha::runtime::relay::{Relay, RelayConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that tells its name and hangs up.
async fn serve(name: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(name.as_bytes()).await;
        }
    });
    Ok(address)
}

/// How many of `clients` each server answered.
async fn ask(service: SocketAddr, clients: usize) -> std::io::Result<BTreeMap<String, usize>> {
    let mut answers = BTreeMap::new();
    for _ in 0..clients {
        let mut answer = String::new();
        TcpStream::connect(service).await?.read_to_string(&mut answer).await?;
        *answers.entry(answer).or_default() += 1;
    }
    Ok(answers)
}

async fn apply(relay: &mut Relay, ops: &[Op]) -> Result<(), Box<dyn Error>> {
    for applied in relay.apply(ops).await? {
        applied?;
    }
    Ok(())
}

/// An address of loopback that nobody else is likely to use.
fn own_address() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 90, high, low.clamp(1, 254))
}

/// What the clients got before and after one server was drained.
async fn run() -> Result<[BTreeMap<String, usize>; 2], Box<dyn Error>> {
    let vip = SocketAddr::from((own_address(), 8090));
    let (one, two) = (serve("one").await?, serve("two").await?);
    let key = ServiceKey::tcp(vip);

    let mut relay = Relay::new(RelayConfig::default())?;
    let round_robin = Service::new(key).with_scheduler("rr".parse()?);
    let ops = [
        Op::AddService(round_robin),
        Op::AddDestination(key, Destination::new(one)),
        Op::AddDestination(key, Destination::new(two)),
    ];
    apply(&mut relay, &ops).await?;
    // The table is ready; from here on it listens.
    relay.acquire(vip.ip()).await?;
    let before = ask(vip, 10).await?;

    // Weight 0: no new connections, and those it has go on.
    let drained = Destination::new(two).with_weight(Weight::ZERO);
    apply(&mut relay, &[Op::EditDestination(key, drained)]).await?;
    let after = ask(vip, 10).await?;

    relay.release(vip.ip()).await;
    Ok([before, after])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [before, after] = run().await?;
    println!("with both: {before:?}\nwith two drained: {after:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn clients_are_spread_and_a_drained_server_gets_no_new_ones() {
        let answers = tokio::time::timeout(std::time::Duration::from_secs(60), run()).await;
        let [before, after] = answers.unwrap().unwrap();
        assert_eq!(before, BTreeMap::from([("one".to_owned(), 5), ("two".to_owned(), 5)]));
        assert_eq!(after, BTreeMap::from([("one".to_owned(), 10)]));
    }
}

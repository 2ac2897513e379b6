//! Health checks in a program of one's own: a pool of servers, of which it uses those that are fit.
//!
//! `cargo run --example embed_health_check`
//!
//! Three servers on loopback; each answers `PING` with `PONG`. One dies and comes back, and another
//! is drained by hand. The program, here a few lines that print, keeps a list of whom to ask.
#![allow(clippy::disallowed_methods, reason = "an example does its own input and output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use piranha::health::{CheckSpec, Expect, MonitorConfig, Output, Override, SlowStart};
use piranha::net::{Protocol, Weight};
use piranha::runtime::checks::{Method, Pool, build};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Whom to ask, and how much of the work each gets.
type Fit = BTreeMap<&'static str, Weight>;

type Outputs = mpsc::Receiver<(&'static str, Output)>;

async fn serve(address: SocketAddr) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 6];
            if stream.read_exact(&mut question).await.is_ok() && &question == b"PING\r\n" {
                let _ = stream.write_all(b"PONG\r\n").await;
            }
        }
    });
    Ok((address, server))
}

/// Takes what the checks say into the list until `enough` holds of it.
async fn follow(outputs: &mut Outputs, fit: &mut Fit, enough: impl Fn(&Fit) -> bool) {
    while !enough(fit) {
        match outputs.recv().await {
            Some((name, Output::Weight(Some(weight)))) if !weight.is_quiesced() => {
                fit.insert(name, weight);
            }
            Some((name, Output::Weight(_))) => drop(fit.remove(name)),
            Some((name, Output::Changed { from, to, reason })) => {
                println!("{name}: {from} -> {to}: {reason}");
            }
            Some(_) => {}
            None => return,
        }
    }
    println!("to be asked: {:?}", fit.keys().collect::<Vec<_>>());
}

/// Returns whom the program asked at each turn.
async fn run() -> Result<Vec<Vec<&'static str>>, Box<dyn Error>> {
    let spec = CheckSpec::SendExpect {
        send: b"PING\r\n".to_vec(),
        expect: Expect::Prefix(b"PONG".to_vec()),
    };
    let check = Method::Check(build(&spec, Protocol::Tcp)?.into());
    let config = MonitorConfig::new(Duration::from_millis(100), Duration::from_millis(100))?
        .with_fall(2)?
        .with_fast_interval(Some(Duration::from_millis(20)))?
        .with_slow_start(SlowStart::Off);

    let (sender, mut outputs) = mpsc::channel(64);
    let pool = Pool::spawn(sender)?;
    let (mut servers, mut seats) = (BTreeMap::new(), BTreeMap::new());
    for name in ["one", "two", "three"] {
        let (address, server) = serve("127.0.0.1:0".parse()?).await?;
        servers.insert(name, (address, server));
        seats.insert(name, pool.watch(name, address, check.clone(), config));
    }

    let (mut fit, mut turns) = (Fit::new(), Vec::new());
    follow(&mut outputs, &mut fit, |fit| fit.len() == 3).await;
    turns.push(fit.keys().copied().collect());

    let (address, server) = servers.remove("two").ok_or("it was started")?;
    server.abort();
    follow(&mut outputs, &mut fit, |fit| !fit.contains_key("two")).await;
    turns.push(fit.keys().copied().collect());

    let _again = serve(address).await?;
    follow(&mut outputs, &mut fit, |fit| fit.contains_key("two")).await;

    seats["three"].set_override(Override::Drain);
    follow(&mut outputs, &mut fit, |fit| !fit.contains_key("three")).await;
    turns.push(fit.keys().copied().collect());
    println!("three, drained, is still {}", seats["three"].status().health);
    Ok(turns)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_program_asks_those_that_are_fit_and_nobody_else() {
        let turns = tokio::time::timeout(Duration::from_secs(20), run()).await;
        let turns = turns.expect("in time").expect("loopback works");
        assert_eq!(turns, [vec!["one", "three", "two"], vec!["one", "three"], vec!["one", "two"]]);
    }
}

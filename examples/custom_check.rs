//! A health check of one's own, driven by the monitor that the daemons use.
//!
//! `cargo run --example custom_check`
//!
//! The check asks an echo server to repeat a word. The server is part of the example: it answers,
//! is stopped, and is started again.
#![allow(clippy::disallowed_methods, reason = "an example does its own input and output")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use piranha::health::{Check, Failure, MonitorConfig, Output, async_trait};
use piranha::runtime::checks::Runner;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Passes if the server repeats `word`.
struct Echo {
    word: &'static str,
}

#[async_trait]
impl Check for Echo {
    async fn probe(&self, target: SocketAddr, _limit: Duration) -> Result<(), Failure> {
        let broken = |error: std::io::Error| Failure::Other(format!("no echo: {error}"));
        let mut stream = TcpStream::connect(target).await.map_err(broken)?;
        stream.write_all(self.word.as_bytes()).await.map_err(broken)?;
        let mut answer = vec![0; self.word.len()];
        stream.read_exact(&mut answer).await.map_err(broken)?;
        if answer == self.word.as_bytes() {
            Ok(())
        } else {
            Err(Failure::Other("the echo is another word".to_owned()))
        }
    }
}

async fn serve(address: SocketAddr) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut reader, mut writer) = stream.split();
            let _ = copy(&mut reader, &mut writer).await;
        }
    });
    Ok((address, server))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (address, mut server) = serve("127.0.0.1:0".parse()?).await?;
    let config = MonitorConfig::new(Duration::from_millis(100), Duration::from_millis(50))?
        .with_rise(3)?
        .with_fall(2)?;
    let (sender, mut events) = mpsc::channel(16);
    let check = Arc::new(Echo { word: "piranha" });
    let runner = Runner::spawn("echo", address, check, config, sender);

    let mut turns = 0;
    while let Some((name, event)) = events.recv().await {
        match event {
            Output::Changed { from, to, reason } => println!("{name}: {from} -> {to}: {reason}"),
            Output::Weight(None) => {
                println!("{name}: out of the table");
                server = serve(address).await?.1;
            }
            Output::Weight(Some(weight)) => {
                println!("{name}: in the table with weight {weight}");
                server.abort();
                turns += 1;
                if turns == 2 {
                    break;
                }
            }
            _ => {}
        }
    }
    println!("{:?}", runner.status().counters);
    Ok(())
}

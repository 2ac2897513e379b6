//! A pair of directors with real traffic, on any Linux, without privilege: run it and read along.
//!
//! Two directors, three web servers and an FTP server run as processes of their own (this program
//! in other roles) on loopback addresses, with the `lvs.cf` files beside this one. The story kills
//! and drains servers, kills the active director in the middle of the traffic, lets it come back,
//! hands the service over, and ends with what the clients saw. The exit code is 0 only if every
//! promise held.
#![allow(
    clippy::disallowed_methods,
    reason = "an example is a driver: it has clocks, sockets and processes"
)]

mod cluster;
mod content;
mod director;
mod files;
mod ftp_client;
mod ftp_server;
mod ftp_wire;
mod http_client;
mod ledger;
mod process;
mod report;
mod serve;
mod slots;
mod stall;
mod story;
mod timeline;
mod units;
mod web_server;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::{Parser, Subcommand};

use cluster::Cluster;
use files::Files;
use timeline::Timeline;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A pair of directors with real traffic: a story with a table at its end.
#[derive(Debug, Parser)]
#[command(name = "two_node")]
struct Arguments {
    /// Start the cluster and leave it to your own clients until Ctrl-C.
    #[arg(long)]
    hold: bool,
    /// Serve the GUI of both directors over the cluster, with traffic, until Ctrl-C; failures are
    /// typed by name.
    #[arg(long, conflicts_with_all = ["hold", "servers", "json"])]
    serve: bool,
    /// Start only the real servers, for directors of your own, until Ctrl-C.
    #[arg(long, conflicts_with = "hold")]
    servers: bool,
    /// Print the timeline and the table as JSON lines.
    #[arg(long)]
    json: bool,
    /// Let the cluster's timers and the story run this many times as fast.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What the children of the story do.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Web { listen: SocketAddr, name: String },
    #[command(hide = true)]
    Ftp { listen: SocketAddr, name: String, bytes_per_second: u64 },
    #[command(hide = true)]
    Director { config: PathBuf, control: Option<PathBuf> },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(role) => play(role).map(|()| true),
        None => tell(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("two_node: {error}");
            ExitCode::from(2)
        }
    }
}

fn play(role: &Role) -> Result<()> {
    process::tie_to_parent()?;
    match role {
        Role::Web { listen, name } => Ok(web_server::run(*listen, name)?),
        Role::Ftp { listen, name, bytes_per_second } => {
            let bytes_per_second = Some(*bytes_per_second).filter(|&rate| rate > 0);
            Ok(ftp_server::run(
                *listen,
                ftp_server::Settings { name: name.clone(), bytes_per_second },
            )?)
        }
        Role::Director { config, control } => director::run(config, control.as_deref()),
    }
}

/// Runs the story; `false` if a promise was broken.
fn tell(arguments: &Arguments) -> Result<bool> {
    let timeline = Arc::new(Timeline::new(arguments.json));
    let files = Files::write(arguments.speed)?;
    let cluster = Cluster::new(Arc::clone(&timeline), files, arguments.serve)?;
    let is_told = !(arguments.hold || arguments.servers || arguments.serve);
    cluster.start_servers(if is_told { story::FTP_RATE } else { 0 })?;
    if arguments.servers {
        return hold(&cluster, arguments.json);
    }
    cluster.start_directors()?;
    if arguments.hold {
        cluster.wait_until_ready()?;
        return hold(&cluster, arguments.json);
    }
    if arguments.serve {
        cluster.wait_until_ready()?;
        return serve::serve(&cluster);
    }
    let report = story::tell(&cluster, arguments.speed)?;
    cluster.stop();
    timeline.close(&report);
    Ok(report.held())
}

/// Waits for the interrupt, which ends this program and its children.
fn hold(cluster: &Cluster, json: bool) -> Result<bool> {
    if !json {
        println!("\n{}\n", cluster.invitation());
    }
    loop {
        thread::park();
    }
}

fn speed(text: &str) -> std::result::Result<f64, String> {
    let factor: f64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
    if (0.1..=4.0).contains(&factor) { Ok(factor) } else { Err("allowed is 0.1 to 4".to_owned()) }
}

fn other(reason: impl Into<String>) -> Box<dyn Error> {
    io::Error::other(reason.into()).into()
}

//! The GUI of both directors over the live cluster, with traffic, and failures by name.

use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use piranha::runtime::web::{Options, Server};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::files::DIRECTORS;
use crate::http_client::{Load, Settings};
use crate::ledger::Ledger;
use crate::{Result, other};

/// Where the first director's pages are, unless somebody else is there; the other one's are next to it.
const PORT: u16 = 3637;

/// What can be done, and how it is said.
const HELP: &str = "Type a failure, and watch both pages:\n\n    \
    s2 dies          s2 returns          a real server is killed, and started again\n    \
    s1 hangs         s1 wakes            it takes connections and does not answer\n    \
    lb1 dies         lb1 returns         a director is killed, and started again\n    \
    lb1 hangs        lb1 wakes           it neither beats nor balances, and comes back to itself\n    \
    lb1 hands over                       it passes the service on\n\n\
    The same with s1 to s3 and lb2; Ctrl-C ends everything.\n";

/// Serves both directors' pages, keeps clients coming, and plays failures until the interrupt.
pub(crate) fn serve(cluster: &Cluster) -> Result<bool> {
    let runtime = Runtime::new()?;
    let (_stop, stopped) = watch::channel(false);
    println!();
    for (port, name) in (PORT..).zip(DIRECTORS) {
        let server = runtime.block_on(bind(cluster, name, port))?;
        let token = server.setup_token()?.unwrap_or_default();
        println!("{name}   https://{}/setup   token {token}", server.address());
        runtime.spawn(server.run(stopped.clone()));
    }
    println!("\nThe certificates are self-made. {HELP}");
    let settings = Settings {
        vip: cluster.web_vip(),
        clients: 4,
        pace: Duration::from_millis(25),
        path: "/bytes/2000".to_owned(),
        timeout: Duration::from_secs(2),
    };
    let _clients = Load::start(&settings, &Arc::new(Ledger::new()))?;
    for line in std::io::stdin().lock().lines() {
        match play(cluster, line?.trim()) {
            Ok(()) => {}
            Err(error) => println!("{error}\n\n{HELP}"),
        }
    }
    // Nobody is there to type; the pages go on.
    loop {
        thread::park();
    }
}

/// The pages of one director, on its port or any free one.
async fn bind(cluster: &Cluster, name: &str, port: u16) -> Result<Server> {
    let directory = cluster.files.directory();
    let state = directory.join(format!("{name}.web"));
    let mut options = Options::new(state, cluster.files.control(name));
    options.node = Some(name.to_owned());
    options.listen = SocketAddr::from(([127, 0, 0, 1], port));
    if let Ok(server) = Server::bind(&options).await {
        return Ok(server);
    }
    options.listen.set_port(0);
    Ok(Server::bind(&options).await?)
}

fn play(cluster: &Cluster, line: &str) -> Result<()> {
    let Some((name, what)) = line.split_once(' ') else {
        return if line.is_empty() { Ok(()) } else { Err(unknown(line)) };
    };
    let is_director = DIRECTORS.contains(&name);
    if !is_director && !cluster.files.web().servers.iter().any(|server| server.name == name) {
        return Err(unknown(line));
    }
    let signal = |signal| cluster.signal(name, signal, "somebody typed it").map(drop);
    match what.trim() {
        "dies" => signal(Signal::KILL),
        "hangs" => signal(Signal::STOP),
        "wakes" => signal(Signal::CONT),
        "returns" if is_director => cluster.start_director(name),
        "returns" => cluster.start_web(name),
        "hands over" if is_director => signal(Signal::USR1),
        _ => Err(unknown(line)),
    }
}

fn unknown(line: &str) -> Box<dyn std::error::Error> {
    other(format!("there is no {line:?}"))
}

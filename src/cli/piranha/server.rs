//! `piranha server` and `piranha override`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::place::{Place, refused};
use super::table::Screen;
use super::{print, print_json, show, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Daemon, Operated, OperatedServer, Operation, Servers};
use crate::control::status::Balancing;
use crate::control::{Client, Timestamp, Word};
use crate::net::Weight;
use crate::runtime::control::now;

/// The exit code where a drain was not over in time.
const STILL_CONNECTED: u8 = 5;

/// How often a drain that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The commands about real servers.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the servers of all services, or of one.
    List {
        #[command(flatten)]
        place: Place,
        /// The service.
        service: Option<String>,
    },
    /// Show one server.
    Show {
        #[command(flatten)]
        place: Place,
        /// SERVICE/SERVER, or SERVER in all its services.
        target: String,
    },
    /// Take back what was said of a server: lvs.cf and its checks decide again.
    Ready(Change),
    /// Send no new connections to a server; those it has go on.
    ///
    /// With --wait: 0 when the last connection has ended, 5 when some are left after that time.
    Drain {
        #[command(flatten)]
        change: Change,
        /// Disable it after this time, whatever connections are left.
        #[arg(long, value_name = "TIME", value_parser = span::parse)]
        deadline: Option<Duration>,
        /// Wait until its last connection has ended, at most for TIME.
        #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
              default_missing_value = "1h", value_parser = span::parse)]
        wait: Option<Duration>,
    },
    /// Take a server out of the table.
    Disable(Change),
    /// Give a server another weight.
    Weight {
        #[command(flatten)]
        change: Change,
        /// The weight, 0 to 2147483647.
        weight: u32,
    },
}

/// What all changes have in common.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    place: Place,
    /// SERVICE/SERVER, or SERVER in all its services; by name, address, or address and port.
    target: String,
    /// Why, for the log and for who looks at it later.
    #[arg(short, long)]
    reason: Option<String>,
    #[command(flatten)]
    lasting: Lasting,
    /// Write it into lvs.cf instead: a weight, or `active = 0` for a disabled server.
    #[arg(long, conflicts_with_all = ["lasting", "until"])]
    save: bool,
    /// Even if it leaves a service without a server.
    #[arg(long)]
    force: bool,
}

/// How long a word holds.
#[derive(Debug, Args)]
pub(super) struct Lasting {
    /// Only for this time.
    #[arg(long = "for", value_name = "TIME", value_parser = span::parse)]
    lasting: Option<Duration>,
    /// Only until then: 2026-11-22T18:30, or 18:30 for the next time that it is; in UTC.
    #[arg(long, value_name = "WHEN", value_parser = span::parse_moment, conflicts_with = "lasting")]
    until: Option<span::Moment>,
}

impl Lasting {
    pub(super) fn until(&self) -> Option<Timestamp> {
        let until = self.until.map(|moment| moment.after(now()));
        until.or_else(|| self.lasting.map(|lasting| now().after(lasting)))
    }
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
                Self::List { place, service } => list(&place, service.as_deref()).await,
                Self::Show { place, target } => list(&place, Some(&target)).await,
                Self::Ready(change) => change.make(Word::Ready).await.map(|_| 0),
                Self::Disable(change) => change.make(Word::Disable).await.map(|_| 0),
                Self::Weight { change, weight } => {
                    let weight = Weight::new(weight).map_err(Failure::from)?;
                    change.make(Word::Weight(weight)).await.map(|_| 0)
                }
                Self::Drain { change, deadline, wait: limit } => {
                    let deadline = deadline.map(|after| now().after(after));
                    let servers = change.make(Word::Drain { deadline }).await?.servers;
                    match limit {
                        Some(limit) => wait(&change.place, &servers, limit).await,
                        None => Ok(0),
                    }
                }
            }
        })
    }
}

impl Change {
    async fn make(&self, word: Word) -> Result<Operated, Failure> {
        let mut operation = Operation::new(&self.target, word);
        operation.reason.clone_from(&self.reason);
        operation.until = self.lasting.until();
        (operation.save, operation.force) = (self.save, self.force);
        operate(&self.place, operation).await
    }
}

/// Has `lvs` do it, and says what it concerned.
pub(super) async fn operate(place: &Place, operation: Operation) -> Result<Operated, Failure> {
    let word = operation.word.to_string();
    let mut lvs = place.connect(Daemon::Lvs).await?;
    let operated = lvs.operate(operation).await.map_err(refused)?;
    tell(place, &operated, &word)?;
    Ok(operated)
}

/// Counts the connections that are left down to none.
pub(super) async fn wait(
    place: &Place,
    servers: &[OperatedServer],
    limit: Duration,
) -> Result<u8, Failure> {
    let mut lvs = place.connect(Daemon::Lvs).await?;
    let give_up = tokio::time::Instant::now() + limit;
    let mut told = None;
    loop {
        let left = connections(&mut lvs, servers).await?;
        if told != Some(left) && !place.json {
            print(format!("{left} connections left\n"))?;
        }
        told = Some(left);
        if left == 0 {
            return Ok(0);
        }
        if tokio::time::Instant::now() >= give_up {
            return Ok(STILL_CONNECTED);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The connections that these servers have together.
async fn connections(lvs: &mut Client, servers: &[OperatedServer]) -> Result<u64, Failure> {
    let known = lvs.balancing(Servers::All, None).await.map_err(refused)?;
    let meant = |service: &str, server: &str| {
        servers.iter().any(|one| one.service == service && one.server == server)
    };
    let all = known.services.iter().flat_map(|service| {
        service.servers.iter().flatten().map(move |server| (&service.name, server))
    });
    let left = all.filter(|(service, server)| meant(service, &server.name));
    Ok(left.filter_map(|(_, s)| Some(u64::from(s.traffic?.load.total()))).sum())
}

fn tell(place: &Place, operated: &Operated, what: &str) -> Result<(), Failure> {
    if place.json {
        return print_json(&serde_json::to_value(operated)?);
    }
    let line = |server: &OperatedServer| {
        let connections = server.connections.map(|n| format!(", {n} connections"));
        let OperatedServer { service, server, .. } = server;
        format!("{service}/{server}: {what}{}\n", connections.unwrap_or_default())
    };
    print(operated.servers.iter().map(line).collect::<String>())?;
    if !operated.servers.is_empty() && !operated.replicated {
        eprintln!("on this node; the partner is not told yet: see `piranha pair status`");
    }
    Ok(())
}

async fn list(place: &Place, wanted: Option<&str>) -> Result<u8, Failure> {
    let mut lvs = place.balancing(Servers::All).await?;
    if let Some(wanted) = wanted {
        keep(&mut lvs, wanted)?;
    }
    if place.json {
        print_json(&serde_json::to_value(&lvs.services)?)?;
    } else {
        print(show::server_list(&lvs, Screen::of_stdout()))?;
    }
    Ok(0)
}

/// Keeps the service called `wanted`, or the servers that are.
fn keep(lvs: &mut Balancing, wanted: &str) -> Result<(), Failure> {
    if let Ok(name) = service_called(lvs, wanted) {
        lvs.services.retain(|service| service.name == name);
        return Ok(());
    }
    let (service, server) = match wanted.split_once('/') {
        Some((service, server)) => (Some(service_called(lvs, service)?), server),
        None => (None, wanted),
    };
    lvs.services.retain(|one| service.as_ref().is_none_or(|service| one.name == *service));
    for service in &mut lvs.services {
        let servers = service.servers.get_or_insert_default();
        let exact = servers.iter().any(|one| one.name == server);
        servers.retain(|one| {
            let address =
                one.address.to_string() == server || one.address.ip().to_string() == server;
            one.name == server || address || (!exact && one.name.starts_with(server))
        });
    }
    lvs.services.retain(|service| service.servers.as_ref().is_some_and(|s| !s.is_empty()));
    if lvs.services.is_empty() {
        return Err(Failure::new(format!("there is no service and no server `{wanted}`")));
    }
    Ok(())
}

/// The service of this name, which may be shortened as long as it means one.
pub(super) fn service_called(lvs: &Balancing, name: &str) -> Result<String, Failure> {
    let names = lvs.services.iter().map(|service| &service.name);
    if let Some(exact) = names.clone().find(|one| *one == name) {
        return Ok(exact.clone());
    }
    let begin: Vec<_> = names.filter(|one| one.starts_with(name)).cloned().collect();
    match begin.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(format!("there is no service `{name}`"))),
        several => Err(Failure::new(format!("`{name}` could be {}", several.join(" or ")))),
    }
}

/// The commands about what operators say of servers.
#[derive(Debug, Subcommand)]
pub(super) enum Overrides {
    /// List what operators say of servers.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take back what was said of one server, or of all.
    Clear {
        #[command(flatten)]
        place: Place,
        /// SERVICE/SERVER, SERVICE/* for what is said of the service as a whole, or SERVER in all its
        /// services; all without.
        target: Option<String>,
    },
}

impl Overrides {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
                Self::List { place } => {
                    let said = place.balancing(Servers::None).await?.overrides;
                    if place.json {
                        print_json(&serde_json::to_value(&said)?)?;
                    } else {
                        print(show::override_list(&said, now(), Screen::of_stdout()))?;
                    }
                }
                Self::Clear { place, target } => {
                    let mut lvs = place.connect(Daemon::Lvs).await?;
                    let cleared = lvs.clear_overrides(target.as_deref()).await.map_err(refused)?;
                    tell(&place, &cleared, "ready")?;
                }
            }
            Ok(0)
        })
    }
}

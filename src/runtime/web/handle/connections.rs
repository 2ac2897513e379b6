//! Who is connected, and the table of the data plane as ipvsadm has it.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::config::off;
use super::page::{framed, render};
use super::{Answer, Context, told};
use crate::control::Age;
use crate::control::protocol::{Daemon, TableStatus};
use crate::control::status::{Balancing, ServiceStatus};
use crate::ipvs::Load;
use crate::runtime::clock;
use crate::runtime::web::app::refused;
use crate::runtime::web::watch::Snapshot;
use crate::time::Instant;
use crate::web::connections::{Connections, gather};
use crate::web::listing;
use crate::web::page::{ConnectionsPage, Listing, ServerLoads};
use crate::web::problem::Problem;

/// The kernel's connections, which anybody may read.
const TABLE: &str = "/proc/thread-self/net/ip_vs_conn_sync";

/// Where the kernel says which version its IPVS has.
const SERVICES: &str = "/proc/thread-self/net/ip_vs";

/// The most of the table that is read: about a hundred thousand connections.
const MOST: u64 = 8 << 20;

/// What was read serves all who ask within this time.
const YOUNG: Duration = Duration::from_secs(2);

/// The beginning of the kernel's table of connections.
#[derive(Debug)]
pub(in crate::runtime::web) struct Seen {
    text: String,
    whole: bool,
    taken: Instant,
}

/// The last that was read; one reads, the others wait for it.
pub(in crate::runtime::web) type Last = tokio::sync::Mutex<Option<Arc<Seen>>>;

pub(super) async fn told_of_service(context: &Context) -> Answer {
    let (snapshot, service) = known(context).await?;
    let balancing = balancing(&snapshot)?;
    let found = connections(context, balancing, &service).await;
    let servers: Vec<_> = loads(&service).iter().map(told_load).collect();
    let mut answer = json!({
        "servers": servers,
        "traffic_age_ms": balancing.traffic_age,
        "connections": null,
        "unknown": null,
    });
    match found {
        Ok((found, age)) => {
            answer["connections"] = json!(found);
            answer["connections"]["age_ms"] = json!(age);
        }
        Err(why) => answer["unknown"] = why.into(),
    }
    told(context, &answer)
}

pub(super) async fn page(context: &Context) -> Answer {
    let name = context.parameters.get("service");
    let (snapshot, frame) = framed(context, &format!("Connections of {name}"), "services").await?;
    let (_, service) = known(context).await?;
    let balancing = balancing(&snapshot)?;
    let found = connections(context, balancing, &service).await;
    let (age, loads) = (balancing.traffic_age, loads(&service));
    render(&ConnectionsPage::new(frame, (&service.name, service.key), (loads, age), found), None)
}

pub(super) async fn listing(context: &Context) -> Answer {
    let (text, age) = table(context).await?;
    told(context, &json!({ "text": text, "traffic_age_ms": age }))
}

pub(super) async fn listing_page(context: &Context) -> Answer {
    let (_, frame) = framed(context, "As ipvsadm", "services").await?;
    let (text, age) = table(context).await?;
    render(&Listing { frame, text, age }, None)
}

async fn table(context: &Context) -> Result<(String, Option<Age>), Problem> {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let told: TableStatus = lvs.table().await.map_err(refused)?;
    let snapshot = context.app.watch.latest().await;
    let plane = snapshot.as_ref().and_then(|snapshot| snapshot.status.lvs.known());
    let is_kernel = plane.is_some_and(|lvs| lvs.data_plane.name == "kernel");
    let age = told.traffic_age;
    off(move || {
        let head = if is_kernel { head().unwrap_or_default() } else { String::new() };
        (head + &listing::listing(&told), age)
    })
    .await
}

/// The first line of what ipvsadm prints is that of the kernel's own list.
fn head() -> io::Result<String> {
    let mut text = String::new();
    File::open(SERVICES)?.take(200).read_to_string(&mut text)?;
    Ok(text.lines().next().map(|line| format!("{line}\n")).unwrap_or_default())
}

/// The service that is asked about, as it was at the last look.
async fn known(context: &Context) -> Result<(Arc<Snapshot>, ServiceStatus), Problem> {
    let snapshot = context.app.watch.latest().await;
    let snapshot = snapshot.ok_or_else(|| Problem::unreachable("the server stops"))?;
    let wanted = context.parameters.get("service");
    let service = balancing(&snapshot)?.services.iter().find(|service| service.name == wanted);
    let service = service.cloned().ok_or_else(Problem::not_found)?;
    Ok((snapshot, service))
}

fn balancing(snapshot: &Snapshot) -> Result<&Balancing, Problem> {
    snapshot.status.lvs.known().ok_or_else(|| Problem::unreachable("`lvs` does not answer"))
}

/// What the kernel has of this service, and how old that is; or why nothing is known.
async fn connections(
    context: &Context,
    balancing: &Balancing,
    service: &ServiceStatus,
) -> Result<(Connections, Age), String> {
    match balancing.data_plane.name.as_str() {
        "kernel" => {}
        "relay" => return Err("the relay counts connections and keeps no list of them".to_owned()),
        plane => return Err(format!("the data plane `{plane}` has no list of connections")),
    }
    let seen = seen(context).await?;
    let (key, servers) = (service.key, addresses(service));
    let age = Age(clock::now() - seen.taken);
    let found = off(move || gather(&seen.text, seen.whole, key, &servers)).await;
    Ok((found.map_err(|problem| problem.title)?, age))
}

async fn seen(context: &Context) -> Result<Arc<Seen>, String> {
    let mut last = context.app.connections.lock().await;
    if let Some(seen) = last.as_ref().filter(|seen| clock::now() - seen.taken < YOUNG) {
        return Ok(Arc::clone(seen));
    }
    let read = off(read).await.map_err(|problem| problem.title)?;
    let seen = Arc::new(read.map_err(|error| format!("cannot read {TABLE}: {error}"))?);
    *last = Some(Arc::clone(&seen));
    Ok(seen)
}

fn read() -> io::Result<Seen> {
    let mut bytes = Vec::new();
    File::open(TABLE)?.take(MOST).read_to_end(&mut bytes)?;
    let whole = (bytes.len() as u64) < MOST;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Seen { text, whole, taken: clock::now() })
}

fn addresses(service: &ServiceStatus) -> Vec<SocketAddr> {
    service.servers.iter().flatten().map(|server| server.address).collect()
}

fn loads(service: &ServiceStatus) -> ServerLoads {
    let load = |server: &crate::control::status::ServerStatus| {
        let load: Option<Load> = server.traffic.map(|traffic| traffic.load);
        (server.name.clone(), server.address, load)
    };
    service.servers.iter().flatten().map(load).collect()
}

fn told_load((name, address, load): &(String, SocketAddr, Option<Load>)) -> Value {
    json!({ "name": name, "address": address, "load": load })
}

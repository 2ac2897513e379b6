//! A director inside a program whose administration is a few routes of axum: its status, and the
//! draining of servers.
//!
//! ```text
//! cargo run --example axum_admin
//! curl http://127.0.0.1:8099/status
//! curl --request POST 'http://127.0.0.1:8099/servers/web/one/drain?reason=new+disk'
//! curl --request DELETE http://127.0.0.1:8099/servers/web/one/drain
//! ```
//!
//! Two servers, the service in front of them and the administration are on loopback, and nothing
//! needs privilege. The crate's own API (`piranha serve`, docs/api.md) has accounts, roles and an
//! audit trail; this is for a program that has those already.
#![allow(clippy::disallowed_methods, reason = "an example does its own input and output")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use piranha::control::Word;
use piranha::control::protocol::{Operated, Operation, Problem, ProblemCode, Scope, Servers};
use piranha::control::status::Balancing;
use piranha::control::supervision::{Report, Request};
use piranha::failover::ActionId;
use piranha::runtime::director::{Director, Order};
use piranha::runtime::heartbeat::Link;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

type Orders = mpsc::Sender<Order>;

/// The administration of the director that takes these orders.
fn administration(orders: Orders) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/servers/{service}/{server}/drain", post(drain).delete(ready))
        .with_state(orders)
}

async fn status(State(orders): State<Orders>) -> Result<Json<Balancing>, Refusal> {
    let all = |answer| Order::Status { scope: Scope::of(Servers::All), answer };
    Ok(Json(ask(&orders, all).await?))
}

#[derive(Deserialize)]
struct Why {
    reason: Option<String>,
}

async fn drain(
    State(orders): State<Orders>,
    Path((service, server)): Path<(String, String)>,
    Query(why): Query<Why>,
) -> Result<Json<Operated>, Refusal> {
    let drained = Word::Drain { deadline: None };
    say(&orders, format!("{service}/{server}"), drained, why.reason).await
}

async fn ready(
    State(orders): State<Orders>,
    Path((service, server)): Path<(String, String)>,
) -> Result<Json<Operated>, Refusal> {
    say(&orders, format!("{service}/{server}"), Word::Ready, None).await
}

async fn say(
    orders: &Orders,
    target: String,
    word: Word,
    reason: Option<String>,
) -> Result<Json<Operated>, Refusal> {
    let mut operation = Operation::new(target, word);
    operation.reason = reason;
    // A program with users would name the one who asks.
    let author = "the administration".to_owned();
    let operated = ask(orders, |answer| Order::Operate { author, operation, answer }).await?;
    Ok(Json(operated?))
}

/// Has the director answer an order.
async fn ask<T>(
    orders: &Orders,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Refusal> {
    let (answer, answered) = oneshot::channel();
    // The director has ended where the one or the other fails.
    orders.send(order(answer)).await.map_err(|_unsent| Refusal::ended())?;
    answered.await.map_err(|_dropped| Refusal::ended())
}

/// Why something was not done, as an answer of HTTP.
struct Refusal(Problem);

impl Refusal {
    fn ended() -> Self {
        Self(Problem::new(ProblemCode::State, "the director has ended", "start it again"))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            ProblemCode::NoSuchObject => StatusCode::NOT_FOUND,
            ProblemCode::LastServer | ProblemCode::State => StatusCode::CONFLICT,
            ProblemCode::BadRequest => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// A director of one service, and what ends with it.
struct Embedded {
    vip: SocketAddr,
    orders: Orders,
    _link: Link,
    _files: tempfile::TempDir,
}

impl Embedded {
    /// Starts it with the service up.
    async fn start() -> Result<Self, Box<dyn Error>> {
        let vip = SocketAddr::from((own_address(), 8099));
        let files = tempfile::tempdir()?;
        let path = files.path().join("lvs.cf");
        std::fs::write(&path, configuration(vip, serve("one").await?, serve("two").await?))?;
        let director = Director::start(path, Arc::new(|event| eprintln!("{event}"))).await?;
        let orders = director.control();
        let mut link = director.spawn();
        let Some(Report::Configured(terms)) = link.reports.recv().await else {
            return Err("the director did not get ready".into());
        };
        // One of a pair would leave this to a heartbeat: see `two_node`.
        let up = Request::Acquire { id: ActionId(1), addresses: terms.addresses };
        link.requests.send(up).map_err(|_unsent| "the director has ended")?;
        loop {
            match link.reports.recv().await.ok_or("the director has ended")? {
                Report::Done { result, .. } => break result?,
                _ => continue,
            }
        }
        Ok(Self { vip, orders, _link: link, _files: files })
    }
}

fn configuration(vip: SocketAddr, one: SocketAddr, two: SocketAddr) -> String {
    let server = |name: &str, at: SocketAddr| {
        format!("server {name} {{\naddress = {}\nport = {}\nactive = 1\n}}\n", at.ip(), at.port())
    };
    format!(
        "role = primary\nprimary = 127.0.0.1\ndataplane = relay\nvirtual web {{\nactive = 1\n\
         address = {} lo\nport = {}\nscheduler = rr\ncheck = connect\ntimeout = 1\nrise = 1\n{}{}}}\n",
        vip.ip(),
        vip.port(),
        server("one", one),
        server("two", two)
    )
}

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

/// An address of loopback that nobody else is likely to use.
fn own_address() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 91, high, low.clamp(1, 254))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let director = Embedded::start().await?;
    let listener = TcpListener::bind("127.0.0.1:8099").await?;
    println!(
        "the service is {}, its administration http://{}",
        director.vip,
        listener.local_addr()?
    );
    axum::serve(listener, administration(director.orders.clone())).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    /// The status and the body of an answer.
    async fn request(at: SocketAddr, method: &str, path: &str) -> (String, serde_json::Value) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), serde_json::from_str(body).unwrap())
    }

    /// Who answers the next four clients of the service, each once.
    async fn answering(vip: SocketAddr) -> Vec<String> {
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let mut name = String::new();
            let mut client = TcpStream::connect(vip).await.unwrap();
            client.read_to_string(&mut name).await.unwrap();
            names.insert(name);
        }
        names.into_iter().collect()
    }

    async fn operate() {
        let director = Embedded::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let served = axum::serve(listener, administration(director.orders.clone()));
        tokio::spawn(served.into_future());
        let up = |status: &serde_json::Value| {
            let servers = status["services"][0]["servers"].as_array().unwrap();
            servers.iter().filter(|server| server["state"] == "up").count()
        };
        while up(&request(at, "GET", "/status").await.1) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(answering(director.vip).await, ["one", "two"]);

        let (code, done) = request(at, "POST", "/servers/web/one/drain?reason=disk").await;
        assert_eq!((code.as_str(), done["servers"].as_array().unwrap().len()), ("200", 1));
        assert_eq!(answering(director.vip).await, ["two"]);
        let status = request(at, "GET", "/status").await.1;
        assert_eq!(status["overrides"][0]["reason"], "disk", "{status}");
        let (code, problem) = request(at, "POST", "/servers/web/two/drain").await;
        assert_eq!((code.as_str(), &problem["code"]), ("409", &"last_server".into()));
        assert_eq!(request(at, "POST", "/servers/web/three/drain").await.0, "404");

        assert_eq!(request(at, "DELETE", "/servers/web/one/drain").await.0, "200");
        assert_eq!(answering(director.vip).await, ["one", "two"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_administration_tells_the_status_and_drains_a_server() {
        tokio::time::timeout(Duration::from_secs(60), operate()).await.expect("in time");
    }
}

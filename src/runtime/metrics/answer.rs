use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::control::metrics::{Format, render};
use crate::control::protocol::Scope;
use crate::control::status::{Failover, Grade, Reason, Status};
use crate::runtime::{clock, control};
use crate::time::Instant;

/// What was asked of the daemons so recently is not asked again.
const FRESH: Duration = Duration::from_secs(1);

/// So many services are named for what is wrong with them; others are counted.
const SERVICES: usize = 100;

const TEXT: &str = "text/plain; charset=utf-8";

/// What clients are told, and where it comes from.
pub(super) struct Source {
    directory: PathBuf,
    text: Recent<Arc<str>>,
    open_metrics: Recent<Arc<str>>,
    status: Recent<Arc<Status>>,
}

/// The last of something that takes time to make; while it is made, others wait for it.
struct Recent<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Recent<T> {
    fn none() -> Self {
        Self(Mutex::new(None))
    }

    async fn get(&self, make: impl Future<Output = T>) -> T {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, value)) if clock::now() - *at < FRESH => value.clone(),
            _ => {
                let value = make.await;
                *last = Some((clock::now(), value.clone()));
                value
            }
        }
    }
}

impl Source {
    pub(super) fn new(directory: PathBuf) -> Self {
        let (text, open_metrics) = (Recent::none(), Recent::none());
        Self { directory, text, open_metrics, status: Recent::none() }
    }

    pub(super) async fn answer(&self, path: &str, format: Format) -> Answer {
        match path {
            "/metrics" => Answer::new(200, format.content_type(), self.exposition(format).await),
            "/healthz" => health(&*self.status().await),
            "/readyz" => readiness(&*self.status().await),
            "/" => Answer::text(200, "/metrics\n/healthz\n/readyz\n"),
            _ => Answer::text(404, "there are /metrics, /healthz and /readyz\n"),
        }
    }

    async fn exposition(&self, format: Format) -> Arc<str> {
        let recent = match format {
            Format::Text => &self.text,
            Format::OpenMetrics => &self.open_metrics,
        };
        let make = async { render(&control::scene(&self.directory).await, format).into() };
        recent.get(make).await
    }

    async fn status(&self) -> Arc<Status> {
        let scope = Scope::overview().at_most(SERVICES);
        let make = async { control::status_of(&self.directory, scope).await.into() };
        self.status.get(make).await
    }
}

/// Is this pair healthy.
fn health(status: &Status) -> Answer {
    let verdict = &status.verdict;
    let bad = matches!(verdict.health, Grade::Critical | Grade::Unknown);
    let reasons = verdict.reasons.iter().filter(|reason| reason.grade > Grade::Ok);
    let text = format!("{}: {}\n{}", status.node, verdict.health, list(reasons));
    Answer::text(if bad { 503 } else { 200 }, text)
}

/// Would a failover succeed.
fn readiness(status: &Status) -> Answer {
    let verdict = &status.verdict;
    let (code, sentence) = match verdict.failover {
        Failover::WouldSucceed => (200, "a failover would succeed"),
        Failover::WouldFail => (503, "a failover would fail"),
        Failover::NoPartner => (503, "there is no partner to fail over to"),
        Failover::Unknown => (503, "nobody can tell whether a failover would succeed"),
    };
    let text = format!("{}: {sentence}\n{}", status.node, list(verdict.against_failover()));
    Answer::text(code, text)
}

fn list<'a>(reasons: impl Iterator<Item = &'a Reason>) -> String {
    reasons.map(|reason| format!("{}: {}\n", reason.grade, reason.message)).collect()
}

/// An answer of HTTP/1.1.
pub(super) struct Answer {
    code: u16,
    content_type: &'static str,
    body: Arc<str>,
}

impl Answer {
    fn new(code: u16, content_type: &'static str, body: impl Into<Arc<str>>) -> Self {
        Self { code, content_type, body: body.into() }
    }

    fn text(code: u16, body: impl Into<Arc<str>>) -> Self {
        Self::new(code, TEXT, body)
    }

    pub(super) fn other_method() -> Self {
        Self::text(405, "only GET and HEAD: nothing can be changed here\n")
    }

    pub(super) fn too_long() -> Self {
        Self::text(431, "the request is longer than 8 KiB or has more than 64 fields\n")
    }

    pub(super) fn bad() -> Self {
        Self::text(400, "this is no HTTP request\n")
    }

    /// The status line and the fields.
    pub(super) fn head(&self) -> String {
        let phrase = match self.code {
            200 => "OK",
            404 => "Not Found",
            405 => "Method Not Allowed\r\nAllow: GET, HEAD",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Bad Request",
        };
        format!(
            "HTTP/1.1 {} {phrase}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.code,
            self.content_type,
            self.body.len()
        )
    }

    pub(super) fn body(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::health::{AgentReport, Failure, Load, LoadSource, Stage};
use crate::runtime::checks::{account, network, program};
use crate::runtime::clock;

/// The most time that one measurement has.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A load.
    Load(Load),
    /// What an agent says.
    Report(AgentReport),
}

/// A task that measures one server again and again. Dropping it ends the task, the measurement
/// under way, and the program that measures.
#[derive(Debug)]
pub struct Gauge(AbortHandle);

impl Gauge {
    /// Measures `server` with `source` each `interval`, the first time after `offset`, and sends
    /// every result with `key`. There is never more than one measurement at a time; it has as
    /// long as the interval, and ten seconds at most.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers and I/O.
    #[must_use = "dropping it ends the measuring"]
    pub fn spawn<K: Clone + Send + 'static>(
        key: K,
        source: LoadSource,
        server: IpAddr,
        (offset, interval): (Duration, Duration),
        readings: mpsc::Sender<(K, Result<Reading, Failure>)>,
    ) -> Self {
        let task = tokio::spawn(async move {
            let mut due = clock::now() + offset;
            loop {
                clock::sleep_until(due).await;
                let reading = measure(&source, server, interval.min(PATIENCE)).await;
                if readings.send((key.clone(), reading)).await.is_err() {
                    return;
                }
                due = clock::now().max(due + interval);
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Measures `server` once, within `limit`.
///
/// # Errors
/// Why nothing was measured. It says nothing about the server's health.
pub async fn measure(
    source: &LoadSource,
    server: IpAddr,
    limit: Duration,
) -> Result<Reading, Failure> {
    match source {
        LoadSource::Agent(port) => {
            ask(SocketAddr::new(server, *port), limit).await.map(Reading::Report)
        }
        LoadSource::Command(_) => {
            let user = source.user().map(account::find).transpose();
            let account = user.map_err(|error| Failure::Inconclusive(error.to_string()))?;
            let output = program::output(source.arguments_for(server), account, limit).await?;
            let load = Load::in_output(&output);
            load.map(Reading::Load).map_err(|error| Failure::Other(error.to_string()))
        }
    }
}

/// Asks the agent at `agent` once, within `limit`: a connection on which it says one line.
///
/// # Errors
/// Why it said nothing that counts.
pub async fn ask(agent: SocketAddr, limit: Duration) -> Result<AgentReport, Failure> {
    let timed_out = Failure::TimedOut { stage: Stage::Check, after: limit };
    let line = timeout(limit, listen(agent)).await.unwrap_or(Err(timed_out))?;
    AgentReport::decode(&line).map_err(|error| Failure::Other(error.to_string()))
}

/// What the agent says up to the end of a line, of the connection, or of what is looked at.
async fn listen(agent: SocketAddr) -> Result<Vec<u8>, Failure> {
    let network = |error| network::failure(&error);
    let stream = TcpStream::connect(agent).await.map_err(network)?;
    let mut stream = stream.take(AgentReport::MAX_LINE as u64 + 1);
    let mut line = Vec::new();
    let ends = |line: &[u8]| line.contains(&b'\r') || line.contains(&b'\n');
    while !ends(&line) && stream.read_buf(&mut line).await.map_err(network)? > 0 {}
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// An agent that says `text` once, and keeps the connection open if it is to `linger`.
    fn agent(address: &str, text: Vec<u8>, linger: bool) -> SocketAddr {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(&text);
            if linger {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
        });
        address
    }

    #[tokio::test]
    async fn an_agent_is_understood_over_both_families_and_need_not_close() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let closing = agent(address, b"75% up".to_vec(), false);
            assert_eq!(ask(closing, LIMIT).await.unwrap().percent, Some(75));
            let lingering = agent(address, b"0% #full\r\n".to_vec(), true);
            assert_eq!(ask(lingering, LIMIT).await.unwrap().reason.as_deref(), Some("full"));
        }
    }

    #[tokio::test]
    async fn what_is_no_line_of_an_agent_is_an_error_within_bounds() {
        let endless = agent("127.0.0.1:0", vec![b'u'; 10 << 20], false);
        let error = ask(endless, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("longer than 512"), "{error}");
        let silent = agent("127.0.0.1:0", Vec::new(), true);
        let error = ask(silent, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, Failure::TimedOut { .. }), "{error}");
        let empty = agent("127.0.0.1:0", Vec::new(), false);
        let error = ask(empty, LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), "it said nothing");
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(ask(gone, LIMIT).await, Err(Failure::Refused));
    }

    #[tokio::test]
    async fn a_command_measures_and_its_failure_is_told() {
        let server = IpAddr::from([127, 0, 0, 1]);
        let measured = async |command: &str| {
            let source = LoadSource::from_directive(command, "echo load average: 0.5 from", 1);
            measure(&source.unwrap(), server, LIMIT).await
        };
        let load = |value| Ok(Reading::Load(Load::new(value).unwrap()));
        assert_eq!(measured("uptime").await, load(0.5));
        assert_eq!(measured("echo %h 3 42").await, load(42.0));
        assert!(matches!(measured("false").await, Err(Failure::Program { .. })));
        assert!(matches!(measured("true").await, Err(Failure::Other(_))));
        assert!(matches!(measured("/nonexistent/load").await, Err(Failure::Inconclusive(_))));
    }

    #[tokio::test]
    async fn a_command_runs_as_its_own_user_without_new_privileges() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let script = directory.path().join("load");
        // Fails where it might get privileges; else its number is the load.
        fs::write(&script, "grep -q NoNewPrivs:.1 /proc/self/status && id -u").unwrap();
        let own = rustix::process::getuid();
        let user = if own.is_root() { 65534 } else { own.as_raw() };
        let measured = async |user: String| {
            let command = format!("sh {}", script.display());
            let source = LoadSource::from_directive(&command, "", 1).unwrap();
            let server = IpAddr::from([127, 0, 0, 1]);
            measure(&source.with_user(Some(user)), server, LIMIT).await
        };
        let expected = Load::new(f64::from(user)).unwrap();
        assert_eq!(measured(user.to_string()).await, Ok(Reading::Load(expected)));
        let unknown = measured("no-such-user".to_owned()).await;
        assert!(matches!(unknown, Err(Failure::Inconclusive(_))), "{unknown:?}");
    }

    #[tokio::test]
    async fn a_gauge_goes_on_after_a_failure_and_ends_when_dropped() {
        let (sender, mut readings) = mpsc::channel(1);
        let source = LoadSource::from_directive("false", "", 1).unwrap();
        let timing = (Duration::ZERO, Duration::from_millis(10));
        let gauge = Gauge::spawn((), source, IpAddr::from([127, 0, 0, 1]), timing, sender);
        for _ in 0..2 {
            let ((), reading) = readings.recv().await.unwrap();
            assert!(reading.is_err());
        }
        drop(gauge);
        while readings.recv().await.is_some() {}
    }
}

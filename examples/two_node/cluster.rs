//! The cluster: its processes, and what they said so far.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use piranha::config::Virtual;
use piranha::control::Event;
use piranha::failover::{State, Transition};
use piranha::health::Health;
use rustix::process::{Pid, Signal};

use crate::files::{DIRECTORS, Files};
use crate::process::{Cast, Stream};
use crate::timeline::Timeline;
use crate::{Result, other};

/// How long anything awaited may take on the slowest machine before the story is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything that runs.
pub(crate) struct Cluster {
    cast: Cast,
    timeline: Arc<Timeline>,
    pub(crate) files: Files,
    /// Whether the directors have control sockets.
    serves: bool,
    said: Arc<Said>,
}

/// What the directors said, in the order it arrived.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<(String, Event)>>,
    more: Condvar,
}

/// A place in what was said; what comes later is news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Mark {
    /// Before anything was said.
    pub(crate) fn start() -> Self {
        Self(0)
    }
}

impl Cluster {
    /// An empty cluster whose processes will tell `timeline` what happens to them; with control
    /// sockets where it `serves`.
    pub(crate) fn new(timeline: Arc<Timeline>, files: Files, serves: bool) -> Result<Self> {
        let said = Arc::<Said>::default();
        let (listener, printer) = (Arc::clone(&said), Arc::clone(&timeline));
        let cast = Cast::new(move |name, stream, line| {
            listen(&printer, &listener, name, stream, line);
        })?;
        let directory = files.directory().to_owned();
        cast.stop_on_interrupt(move || {
            // Files left behind are a nuisance, not a reason to stay.
            let _ = std::fs::remove_dir_all(directory);
        })?;
        Ok(Self { cast, timeline, files, serves, said })
    }

    /// Starts all real servers; the FTP server sends at most `ftp_rate` bytes a second on each
    /// data connection, 0 for as fast as it goes.
    pub(crate) fn start_servers(&self, ftp_rate: u64) -> Result<()> {
        for server in &self.files.web().servers {
            self.start_web(&server.name)?;
        }
        for server in &self.files.ftp().servers {
            let (listen, rate) = (server.address.to_string(), ftp_rate.to_string());
            self.start(&server.name, &["ftp", &listen, &server.name, &rate])?;
        }
        Ok(())
    }

    /// Starts one web server, again if it was killed.
    pub(crate) fn start_web(&self, name: &str) -> Result<()> {
        let listen = self.address(name)?.to_string();
        self.start(name, &["web", &listen, name])
    }

    /// Starts both directors.
    pub(crate) fn start_directors(&self) -> Result<()> {
        DIRECTORS.iter().try_for_each(|name| self.start_director(name))
    }

    /// Starts one director, again if it was killed.
    pub(crate) fn start_director(&self, name: &str) -> Result<()> {
        let config = self.files.path(name).display().to_string();
        let control = self.files.control(name).display().to_string();
        let arguments = ["director", &config, &control];
        self.start(name, if self.serves { &arguments } else { &arguments[..2] })
    }

    /// Sends a signal to a member, and says so.
    pub(crate) fn signal(&self, name: &str, signal: Signal, why: &str) -> Result<Instant> {
        let words = match signal {
            Signal::KILL => "SIGKILL",
            Signal::HUP => "SIGHUP",
            Signal::USR1 => "SIGUSR1",
            Signal::STOP => "SIGSTOP",
            Signal::CONT => "SIGCONT",
            _ => "a signal",
        };
        self.timeline.event(name, "story", &format!("gets {words}"), why);
        let now = Instant::now();
        if signal == Signal::KILL {
            self.cast.kill(name)?;
            self.cast.wait(name, PATIENCE)?;
        } else {
            self.cast.signal(name, signal)?;
        }
        Ok(now)
    }

    /// The present place in what the directors say.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.said().len())
    }

    /// Waits until `node` has said, after `mark`, something that `matches`.
    pub(crate) fn wait(
        &self,
        mark: Mark,
        node: &str,
        what: &str,
        matches: impl Fn(&Event) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.said();
        loop {
            let news = said.get(mark.0..).unwrap_or_default();
            if news.iter().any(|(name, event)| name == node && matches(event)) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(other(format!("{node} did not say within {PATIENCE:?}: {what}")));
            }
            let woken = self.said.more.wait_timeout(said, left);
            said = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `node` has come to `state` after `mark`.
    pub(crate) fn wait_for_state(&self, mark: Mark, node: &str, state: State) -> Result<()> {
        self.wait(
            mark,
            node,
            &state.to_string(),
            |event| matches!(event, Event::Transition(Transition { to, .. }) if *to == state),
        )
    }

    /// Waits until `director` has found a real server in this health after `mark`.
    pub(crate) fn wait_for_health(
        &self,
        mark: Mark,
        director: &str,
        name: &str,
        health: Health,
    ) -> Result<()> {
        self.wait(mark, director, &format!("{name} is {health}"), |event| {
            matches!(event, Event::Health { server, to, .. } if server == name && *to == health)
        })
    }

    /// Waits until both directors know all servers and the primary has the service.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let start = Mark::start();
        self.wait_for_state(start, DIRECTORS[0], State::Active)?;
        for director in DIRECTORS {
            for server in self.files.server_names() {
                self.wait_for_health(start, director, &server, Health::Up)?;
            }
        }
        Ok(())
    }

    /// How often `node` changed its state after `mark`.
    pub(crate) fn transitions(&self, mark: Mark, node: &str) -> usize {
        let said = self.said();
        let news = said.get(mark.0..).unwrap_or_default();
        news.iter()
            .filter(|(name, event)| name == node && matches!(event, Event::Transition(_)))
            .count()
    }

    /// Puts a line of the story itself on the timeline.
    pub(crate) fn tell(&self, what: &str, why: &str) {
        self.timeline.event("-", "story", what, why);
    }

    /// The web service's VIP and port.
    pub(crate) fn web_vip(&self) -> SocketAddr {
        vip(self.files.web())
    }

    /// The FTP service's VIP and port.
    pub(crate) fn ftp_vip(&self) -> SocketAddr {
        vip(self.files.ftp())
    }

    /// What a user may do with a cluster that is held.
    pub(crate) fn invitation(&self) -> String {
        let (web, ftp) = (self.web_vip(), self.ftp_vip());
        let members =
            DIRECTORS.iter().map(|name| (*name).to_owned()).chain(self.files.server_names());
        let pids = members.filter_map(|name| {
            let pid = self.cast.pid(&name).map(Pid::as_raw_pid)?;
            Some(format!("    {name:<4} {pid}\n"))
        });
        format!(
            "The service is at {web} (web) and {ftp} (FTP). Try:\n\n    \
             curl http://{web}/\n    curl ftp://{ftp}/file-1000000.bin | wc -c\n\n\
             kill -9 a process, or kill -USR1 the active director to hand over:\n\n{}\n\
             The configuration files are in {}; kill -HUP a director to have its own read again.\n\
             Ctrl-C ends everything.",
            pids.collect::<String>(),
            self.files.directory().display(),
        )
    }

    /// Ends every process.
    pub(crate) fn stop(&self) {
        self.cast.stop();
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let pid = self.cast.start(name, arguments)?;
        self.timeline.event(name, "story", &format!("starts, pid {}", pid.as_raw_pid()), "");
        Ok(())
    }

    fn address(&self, server: &str) -> Result<SocketAddr> {
        let mut servers = self.files.web().servers.iter();
        let server = servers.find(|known| known.name == server);
        Ok(server.ok_or_else(|| other("no such server"))?.address)
    }

    fn said(&self) -> MutexGuard<'_, Vec<(String, Event)>> {
        self.said.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn vip(service: &Virtual) -> SocketAddr {
    SocketAddr::new(service.address, service.port)
}

/// Takes a line of a child: an event of a director, or anything else, which is shown as it is.
fn listen(timeline: &Timeline, said: &Said, name: &str, stream: Stream, line: &str) {
    let event = match stream {
        Stream::Out => serde_json::from_str::<Event>(line).ok(),
        Stream::Error => None,
    };
    let Some(event) = event else {
        return timeline.event(name, "output", line, "");
    };
    let why = event.why().unwrap_or_default();
    timeline.event(name, event.subsystem(), &event.to_string(), &why);
    let mut lines = said.lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push((name.to_owned(), event));
    said.more.notify_all();
}

//! What a service manager is told: sd_notify(3), as far as a daemon needs it.
//!
//! Without `NOTIFY_SOCKET` there is no [`Manager`], and nothing is told to anybody.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use super::clock;
use crate::time::Instant;

/// What a manager that started this process left in its environment; none of it is meant for the
/// processes this one starts.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// So many signs of life in the time a manager waits for one.
const SIGNS: u32 = 4;

/// The longest status line that is told, in bytes.
const MAX_STATUS: usize = 512;

/// The service manager that started this process. Clones speak to the same one.
///
/// Nothing that is told waits: a manager that takes no more misses it.
#[derive(Clone, Debug)]
pub struct Manager(Arc<Socket>);

#[derive(Debug)]
struct Socket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// The one that `NOTIFY_SOCKET` names, if there is one.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let name = env::var_os(VARIABLES[0]).filter(|name| !name.is_empty())?;
        match Self::at(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                tracing::warn!(%error, "cannot speak to the service manager at NOTIFY_SOCKET");
                None
            }
        }
    }

    /// The one that listens at `name`: a path, or `@` and a name in the abstract space.
    ///
    /// # Errors
    /// A name that can be none, or the operating system's.
    pub fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(Socket { socket, address })))
    }

    /// The daemon does what it is for, for the first time or after [`reloading`](Self::reloading).
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again, since now.
    pub fn reloading(&self) {
        let now = clock::monotonic_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// The daemon has begun to stop.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// What the daemon does, in one line.
    pub fn status(&self, line: &str) {
        let line = line.lines().next().unwrap_or_default();
        let end = (0..=MAX_STATUS.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        self.tell(&format!("STATUS={}", &line[..end.unwrap_or_default()]));
    }

    fn tell(&self, state: &str) {
        // Who is not there, or takes no more, misses it.
        let _missed = self.0.socket.send_to_addr(state.as_bytes(), &self.0.address);
    }
}

/// Shows a manager that the loop it is part of still turns (`WatchdogSec=` of a unit).
#[derive(Debug)]
pub struct Watchdog {
    manager: Manager,
    interval: Duration,
    next: Instant,
}

impl Watchdog {
    /// The one this process is asked for, if it is.
    #[must_use]
    pub fn from_environment(manager: &Manager) -> Option<Self> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let own = std::process::id().to_string();
        if variable(VARIABLES[2]).is_some_and(|pid| pid != own) {
            return None;
        }
        let micros = variable(VARIABLES[1])?.parse().ok().filter(|micros| *micros > 0)?;
        Some(Self::new(manager.clone(), Duration::from_micros(micros)))
    }

    /// Shows it often enough for a manager that waits for `limit`.
    #[must_use]
    pub fn new(manager: Manager, limit: Duration) -> Self {
        Self { manager, interval: limit / SIGNS, next: Instant::ZERO }
    }

    /// Gives a sign of life if it is time to. Never blocks, and allocates nothing.
    pub fn feed(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now + self.interval;
            self.manager.tell("WATCHDOG=1");
        }
    }

    /// When the next sign is due.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager, and what it listens on.
    fn listener() -> (tempfile::TempDir, UnixDatagram, Manager) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let manager = Manager::at(path.as_os_str()).unwrap();
        (directory, socket, manager)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_reload_names_the_moment_it_began() {
        let (_directory, socket, manager) = listener();
        let before = clock::monotonic_micros();
        manager.reloading();
        let said = heard(&socket);
        let micros = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let micros: u64 = micros.parse().unwrap();
        assert!((before..=clock::monotonic_micros()).contains(&micros));
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        let (_directory, socket, manager) = listener();
        manager.status("ACTIVE\nREADY=1");
        assert_eq!(heard(&socket), "STATUS=ACTIVE");
        manager.status(&"ü".repeat(600));
        assert_eq!(heard(&socket), format!("STATUS={}", "ü".repeat(256)));
    }

    #[test]
    fn a_watchdog_is_fed_more_often_than_it_bites_and_not_more() {
        let (_directory, socket, manager) = listener();
        let mut watchdog = Watchdog::new(manager, Duration::from_secs(10));
        let at = |millis: u64| Instant::from_millis(1_000_000 + millis);
        for millis in (0..10_000).step_by(100) {
            watchdog.feed(at(millis));
        }
        assert_eq!(watchdog.due(), at(10_000));
        socket.set_nonblocking(true).unwrap();
        let mut signs = 0;
        while socket.recv(&mut [0; 64]).is_ok() {
            signs += 1;
        }
        assert_eq!(signs, 4);
    }

    #[test]
    fn a_manager_that_is_gone_or_takes_no_more_holds_nobody_up() {
        let (directory, socket, manager) = listener();
        for _ in 0..5000 {
            manager.ready();
        }
        drop((socket, directory));
        manager.ready();
        assert!(Manager::at(OsStr::new("relative")).is_err());
        let name = format!("@piranha-test-{}", std::process::id());
        Manager::at(OsStr::new(&name)).unwrap().ready();
    }
}

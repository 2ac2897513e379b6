//! What the checks share: time limits by stage, and the meaning of the system's errors.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::health::{Failure, Stage};

/// The time of one probe, spent stage by stage.
pub(in crate::runtime) struct Budget {
    deadline: Instant,
    limit: Duration,
}

impl Budget {
    /// Ends a little before `limit`, so that the check can still say what it was waiting for
    /// before the monitor gives it up.
    pub(in crate::runtime) fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + Self::margin(limit), limit }
    }

    /// What a check may use of `limit`.
    pub(in crate::runtime) fn margin(limit: Duration) -> Duration {
        limit - (limit / 20).min(Duration::from_millis(5))
    }

    pub(in crate::runtime) async fn spend<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Failure> {
        self.spend_on(stage, async { work.await.map_err(|error| failure(&error)) }).await
    }

    /// As [`spend`](Self::spend), for work that knows why it failed.
    pub(in crate::runtime) async fn spend_on<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout_at(self.deadline, work).await {
            Ok(done) => done,
            Err(_elapsed) => Err(Failure::TimedOut { stage, after: self.limit }),
        }
    }
}

/// Makes closing `stream` a reset, so that no TIME-WAIT entry stays on the director: ten thousand
/// servers checked each five seconds would hold 120,000 of them.
///
/// Only for a connection from which nothing more is wanted and on which nothing is still to be
/// delivered, since a reset discards what was sent.
pub(in crate::runtime) fn close_at_once(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    // A socket that refuses the option closes the ordinary way, which is all right too.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

pub(in crate::runtime) fn failure(error: &io::Error) -> Failure {
    let out_of_resources = matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    );
    match error.kind() {
        _ if out_of_resources => Failure::Inconclusive(error.to_string()),
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Failure::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Failure::Unreachable,
        _ => Failure::Network(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_descriptors_says_nothing_about_the_server() {
        let meaning = |errno: Errno| failure(&io::Error::from(errno));
        assert!(matches!(meaning(Errno::MFILE), Failure::Inconclusive(_)));
        assert!(matches!(meaning(Errno::NOBUFS), Failure::Inconclusive(_)));
        assert_eq!(meaning(Errno::HOSTUNREACH), Failure::Unreachable);
        assert_eq!(meaning(Errno::CONNREFUSED), Failure::Refused);
        assert_eq!(meaning(Errno::ACCESS).to_string(), "Permission denied (os error 13)");
    }
}

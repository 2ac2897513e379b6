//! One check at once, for an operator who wants to see what it says.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::watch::{Probe, ServerKey};
use super::ways::Ways;
use crate::config::{Config, RealServer, Virtual};
use crate::control::protocol::CheckResult;
use crate::control::{TargetError, find_servers};
use crate::health::Check;
use crate::runtime::checks::{CheckError, Transcript};
use crate::runtime::{clock, nanny};

/// The most that one may take, whatever lvs.cf allows: somebody is waiting.
const LONGEST: Duration = Duration::from_secs(60);

/// A check of one server that is to be run once, by the settings of its service. It tells no
/// monitor: nothing follows from its result.
pub struct Trial {
    service: String,
    server: String,
    target: SocketAddr,
    limit: Duration,
    probe: Probe,
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trial({}/{})", self.service, self.server)
    }
}

impl Trial {
    /// The trials of the servers that `target` means in `config`, see
    /// [`find_servers`]; straight to the server, also where `check_through` is set.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn of(config: &Config, target: &str) -> Result<Vec<Self>, TargetError> {
        Self::along(config, &Ways::default(), target)
    }

    /// The same, along `ways` where there are any.
    pub(super) fn along(
        config: &Config,
        ways: &Ways,
        target: &str,
    ) -> Result<Vec<Self>, TargetError> {
        let found = find_servers(config, target)?;
        Ok(found.into_iter().map(|(v, server)| Self::new(v, server, ways)).collect())
    }

    fn new(v: &Virtual, server: &RealServer, ways: &Ways) -> Self {
        let way = ways.to(ServerKey { service: v.key(), address: server.address });
        Self {
            service: v.name.clone(),
            server: server.name.clone(),
            target: server.address,
            limit: v.timeout.min(LONGEST),
            probe: Probe::of(v, way),
        }
    }

    /// Runs the check to its end or its time limit. Files that it needs are read now.
    pub async fn run(self) -> CheckResult {
        let transcript = Transcript::default();
        let mut result = CheckResult::new(self.service, self.server, self.target);
        self.probe.kind().clone_into(&mut result.kind);
        let begun = clock::now();
        result.failure = match self.probe.build_explained(&transcript) {
            Ok(check) => outcome(self.target, check, self.limit).await,
            Err(error) => Some(describe(&error)),
        };
        result.took_us = micros(clock::now() - begun);
        result.transcript = transcript.lines().iter().map(ToString::to_string).collect();
        result
    }
}

async fn outcome(target: SocketAddr, check: Arc<dyn Check>, limit: Duration) -> Option<String> {
    nanny::once(target, check.as_ref(), limit).await.err().map(|failure| failure.to_string())
}

fn describe(error: &CheckError) -> String {
    format!("the check cannot be made: {error}")
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

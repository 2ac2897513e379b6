//! Gathers what [`control::doctor`](crate::control::doctor) judges. It looks and asks, and changes
//! nothing: the most it does is ask the neighbours once who has the addresses, and have the checks
//! over TLS connect.

mod daemons;
mod files;
mod machine;
mod network;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::configuration::{self, Accepted};
use crate::config::Config;
use crate::control::Timestamp;
use crate::control::doctor::{Facts, Finding, judge, no_configuration, worst};
use crate::control::status::Grade;

/// What was seen of this machine, and what follows from it.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// The name of the node.
    pub node: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// The worst of the findings.
    pub grade: Grade,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What was seen.
    pub facts: Facts,
}

/// Examines this machine as a director of the configuration at `config`, whose daemons have their
/// sockets in `control`. What may not be looked at without privilege is said to be not looked at.
pub async fn examine(config: &Path, control: &Path) -> Examination {
    let (facts, findings) = match configuration::read(config) {
        Ok(accepted) => {
            let facts = gather(config, &accepted, control).await;
            let findings = judge(&accepted.config, &facts);
            (facts, findings)
        }
        Err(error) => (Facts::default(), vec![no_configuration(&error.to_string())]),
    };
    Examination {
        node: super::control::node_name(),
        at: super::control::now(),
        grade: worst(&findings),
        findings,
        facts,
    }
}

/// The files of secrets that a configuration names.
#[must_use]
pub fn secrets(config: &Config) -> Vec<PathBuf> {
    files::secrets(config)
}

async fn gather(path: &Path, accepted: &Accepted, control: &Path) -> Facts {
    let config = &accepted.config;
    let mut facts = Facts::default();
    machine::look(&mut facts);
    network::look(config, &mut facts).await;
    files::look(path, accepted, control, &mut facts);
    daemons::ask(config, control, &mut facts).await;
    facts
}

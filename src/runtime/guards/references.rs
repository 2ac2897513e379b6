//! Addresses outside that answer, or do not.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Observation, Report};
use crate::failover::guard::Spec;
use crate::health::CheckSpec;
use crate::net::Protocol;
use crate::runtime::{checks, clock};

/// Asks `address` again and again, and reports when it falls silent for the patience of `spec`,
/// and when it answers again.
pub(super) async fn watch(address: IpAddr, spec: Spec, report: Report) {
    let Ok(ping) = checks::build(&CheckSpec::Ping, Protocol::Udp) else {
        return;
    };
    let (interval, patience) = (spec.reference_interval(), spec.reference_patience());
    let target = SocketAddr::new(address, 0);
    let mut heard = clock::now();
    let mut told = None;
    loop {
        let begun = clock::now();
        let answered = tokio::time::timeout(interval, ping.probe(target, interval)).await;
        let now = clock::now();
        if matches!(answered, Ok(Ok(()))) {
            heard = now;
        }
        let answers = heard == now || now - heard < patience;
        if told != Some(answers) {
            told = Some(answers);
            let _ = report.send(Observation::Reference(address, answers));
        }
        pause(begun + interval, heard + patience).await;
    }
}

/// Until the next question is due, or a silence has lasted.
async fn pause(next: crate::time::Instant, silent: crate::time::Instant) {
    let now = clock::now();
    let silent = if silent > now { silent } else { next };
    clock::sleep_until(next.min(silent).max(now + Duration::from_millis(1))).await;
}

//! What the daemons say, and what their checks see of certificates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::files::tls;
use crate::config::Config;
use crate::control::doctor::{Certificate, Facts};
use crate::control::protocol::{Daemon, Scope};
use crate::control::status::Reading;
use crate::control::{Client, ClientError, Record};
use crate::health::{CheckSpec, TlsSpec};
use crate::net::Protocol;
use crate::runtime::checks::{self, Dialer, Transcript};
use crate::runtime::control::{partner_directory, status_of};
use crate::runtime::director::Trial;
use crate::runtime::nanny;

/// Certificates that are looked at, the first servers' in lvs.cf.
const CERTIFICATES: usize = 16;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where `piranha serve` listens unless it is told otherwise.
const GUI: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3637);

/// How long it may take to shake hands.
const GUI_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn ask(config: &Config, control: &Path, facts: &mut Facts) {
    let version = env!("CARGO_PKG_VERSION");
    facts.versions.insert("piranha".to_owned(), version.to_owned());
    let known = status_of(control, Scope::overview().at_most(0)).await;
    if let Reading::Known(pulse) = &known.pulse {
        facts.versions.insert("pulse".to_owned(), pulse.process.version.clone());
        facts.state = Some(pulse.state);
        facts.hears_partner = pulse.partner.as_ref().map(|_| pulse.hears_partner());
        facts.refused.clone_from(&pulse.rejected);
    }
    if let Reading::Known(lvs) = &known.lvs {
        facts.versions.insert("lvs".to_owned(), lvs.process.version.clone());
    }
    ask_partner(control, facts).await;
    for daemon in [Daemon::Pulse, Daemon::Lvs] {
        let past = async { Client::connect(control, daemon).await?.events(0).await };
        let step = past.await.ok().and_then(|past| set_back(&past.events));
        facts.set_back = facts.set_back.max(step);
    }
    facts.certificates.extend(certificate_of_gui().await);
    if tokio::time::timeout(PATIENCE, certificates(config, facts)).await.is_err() {
        facts.unseen.push(("all certificates".to_owned(), format!("it took over {PATIENCE:?}")));
    }
}

/// Where the nodes are paired, the other one can be asked from here.
async fn ask_partner(control: &Path, facts: &mut Facts) {
    let control = partner_directory(control);
    for daemon in [Daemon::Pulse, Daemon::Lvs] {
        match Client::connect(&control, daemon).await {
            Ok(client) => {
                let version = client.hello().version.clone();
                facts.partner_versions.insert(daemon.to_string(), version);
            }
            Err(ClientError::Version { theirs, .. }) => facts.partner_protocol = Some(theirs),
            // Not paired, or out of reach: `piranha status` says so.
            Err(_) => {}
        }
    }
}

/// The largest step back between two events, which are in the order in which they happened.
fn set_back(events: &[Record]) -> Option<Duration> {
    let steps = events.windows(2).map(|pair| pair[0].at.since(pair[1].at));
    steps.max().filter(|step| !step.is_zero())
}

/// What one check of each server over TLS sees.
async fn certificates(config: &Config, facts: &mut Facts) {
    let services = config.active_virtuals().filter_map(|v| Some((v, tls(&v.check)?)));
    let servers = services.flat_map(|(v, tls)| v.active_servers().map(move |one| (v, one, tls)));
    for (v, server, tls) in servers.take(CERTIFICATES) {
        let name = format!("{}/{}", v.name, server.name);
        let warning = tls.expiry_warning.as_secs() / 86400;
        for trial in Trial::of(config, &name).unwrap_or_default() {
            let days = expires_in(&trial.run().await.transcript);
            facts.certificates.extend(days.map(|days| Certificate::new(&name, days, warning)));
        }
    }
}

/// The certificate of the GUI of this node, where that listens on its usual port.
async fn certificate_of_gui() -> Option<Certificate> {
    let tls = TlsSpec { verify: false, ..TlsSpec::default() };
    let warning = tls.expiry_warning.as_secs() / 86400;
    let transcript = Transcript::default();
    let dialer = Dialer::default().with_transcript(transcript.clone());
    let check = checks::build_with(&CheckSpec::Tls(tls), Protocol::Tcp, &dialer).ok()?;
    // Where nobody listens there is nothing to renew.
    let _nobody = nanny::once(GUI, check.as_ref(), GUI_PATIENCE).await;
    let lines: Vec<_> = transcript.lines().iter().map(ToString::to_string).collect();
    Some(Certificate::new(format!("the GUI at {GUI}"), expires_in(&lines)?, warning))
}

/// What the record of a check says of the certificate.
fn expires_in(transcript: &[String]) -> Option<u64> {
    transcript.iter().find_map(|line| {
        let (_, rest) = line.split_once("certificate expires in ")?;
        rest.split(' ').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Event, Timestamp};

    #[test]
    fn a_clock_that_was_set_back_shows_in_the_order_of_events() {
        let events = |at: &[u64]| {
            let event = |&at: &u64| Record {
                number: 0,
                at: Timestamp(at),
                event: Event::Warning { text: String::new() },
            };
            at.iter().map(event).collect::<Vec<_>>()
        };
        assert_eq!(set_back(&events(&[1000, 2000, 9000])), None);
        assert_eq!(set_back(&events(&[9000, 2000, 3000])), Some(Duration::from_secs(7)));
        assert_eq!(set_back(&[]), None);
    }

    #[test]
    fn the_days_of_a_certificate_are_in_the_record_of_its_check() {
        assert_eq!(expires_in(&[]), None);
        let line = "0.1s * TLSv1_3, key x, certificate expires in 12 days".to_owned();
        assert_eq!(expires_in(&[line]), Some(12));
    }
}

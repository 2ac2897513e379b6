//! What neighbours are told of addresses, and what they claim.

use std::net::IpAddr;
use std::time::Duration;

use super::Keeper;
use crate::control::Event;
use crate::failover::VirtualAddress;
use crate::runtime::addresses::devices;
use crate::runtime::addresses::rival::Lookout;
use crate::runtime::clock;
use crate::wire::arp::Form;
use crate::wire::ethernet::MacAddr;
use crate::wire::rtnetlink::Link;

/// The time between two defences of an address (RFC 5227 section 1.1): two stations that both
/// defend at once would not end.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// The pause after other stations could not be heard, as while a link goes away.
const DEAF: Duration = Duration::from_millis(100);

impl Keeper {
    /// Asks whether somebody else has what is new. Nobody waits for the answer: after the death of
    /// the partner an address has to be up and known now, and whoever has it too is told of as a
    /// rival.
    pub(super) fn probe(&mut self) {
        let unprobed = std::mem::take(&mut self.unprobed);
        let Some(speaker) = &self.speaker else { return };
        for address in unprobed.iter().filter(|new| self.held.contains_key(&new.address)) {
            let link = devices::find(&self.links, address);
            // Unanswered questions are of no consequence, nor are those that could not be asked.
            let _ = link.map(|link| speaker.probe(link, address.address));
        }
    }

    /// Defends what is held against stations that say they have it (RFC 5227 section 2.4, c). Which
    /// of two directors keeps the service is settled by heartbeats, not here.
    pub(super) fn on_claims(&mut self, claims: &[(IpAddr, MacAddr)]) {
        let now = clock::now();
        for (address, hardware) in claims {
            let is_own = |link: &Link| link.hardware() == Some(*hardware);
            let recently = self.defended.get(address).is_some_and(|at| now < *at + DEFEND_INTERVAL);
            let Some(held) = self.held.get(address).filter(|_| !recently) else { continue };
            if self.is_reconsidering() || self.links.values().any(is_own) {
                continue;
            }
            let address = held.wanted.clone();
            self.announcer.announce(now, std::slice::from_ref(&address));
            self.defended.insert(address.address, now);
            self.tell(Event::AddressConflict { address, hardware: *hardware });
        }
        self.speak();
    }

    pub(super) fn speak(&mut self) {
        if self.is_reconsidering() {
            return;
        }
        let due: Vec<_> = std::iter::from_fn(|| self.announcer.poll_output()).collect();
        // Every address once before one a second time: the last of many waits for all before it.
        for address in &due {
            if self.say(address, Form::Request) {
                self.announced.add(address.address);
            }
        }
        for address in &due {
            self.say(address, Form::Reply);
        }
    }

    /// Whether neighbours were told.
    fn say(&self, address: &VirtualAddress, form: Form) -> bool {
        let link = devices::find(&self.links, address);
        let (Some(link), Some(speaker)) = (link, &self.speaker) else { return false };
        // A full queue or a link that is down: the next announcement is for that.
        let said = speaker.announce(link, address.address, form);
        if let Err(error) = &said {
            tracing::debug!("cannot announce {address}: {error}");
        }
        // A link without neighbours was told nothing.
        said.is_ok() && link.hardware().is_some()
    }
}

/// What other stations claim. Where that cannot be heard nothing is.
pub(super) async fn claims(lookout: &mut Option<Lookout>) -> Vec<(IpAddr, MacAddr)> {
    match lookout {
        Some(lookout) => match lookout.next().await {
            Ok(claims) => claims,
            Err(error) => {
                tracing::debug!("cannot hear other stations: {error}");
                clock::sleep_until(clock::now() + DEAF).await;
                Vec::new()
            }
        },
        None => std::future::pending().await,
    }
}

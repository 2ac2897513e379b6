//! Whom this node takes for its partner, and for how long it offers a code.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store;
use crate::control::Timestamp;
use crate::control::peer::Code;
use crate::health::Pin;
use crate::time::Instant;

/// How long a code is offered.
pub(super) const OFFERED_FOR: Duration = Duration::from_secs(600);

/// How often a code may be tried.
const ATTEMPTS: u32 = 5;

/// The partner.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Partner {
    pub(super) node: String,
    /// Its key, and the one it is about to go over to.
    pub(super) keys: Vec<Pin>,
    pub(super) address: SocketAddr,
    pub(super) since: Timestamp,
}

/// A code that is offered.
#[derive(Debug)]
struct Offered {
    code: Code,
    until: Instant,
    until_by_calendar: Timestamp,
    attempts: u32,
}

/// The partner, kept on the disk, and the offer, which ends with this program.
#[derive(Debug)]
pub(super) struct Trust {
    path: PathBuf,
    partner: Mutex<Option<Partner>>,
    offered: Mutex<Option<Offered>>,
}

impl Trust {
    /// What is known in `directory`.
    pub(super) fn load(directory: &Path) -> io::Result<Self> {
        let path = directory.join("partner.json");
        let partner = store::read_json(&path)?;
        Ok(Self { path, partner: Mutex::new(partner), offered: Mutex::default() })
    }

    pub(super) fn partner(&self) -> Option<Partner> {
        self.lock_partner().clone()
    }

    /// Whether this is the partner's key.
    pub(super) fn is_partner(&self, key: Pin) -> bool {
        self.lock_partner().as_ref().is_some_and(|partner| partner.keys.contains(&key))
    }

    /// Whether a node with this key may finish its handshake: the partner, or anybody while a code
    /// is offered.
    pub(super) fn admits(&self, key: Pin, now: Instant) -> bool {
        self.is_partner(key) || self.is_offering(now)
    }

    /// Takes somebody for the partner, in place of whoever was, and ends the offer.
    pub(super) fn set_partner(&self, partner: Partner) -> io::Result<()> {
        let mut known = self.lock_partner();
        store::write_json(&self.path, &partner)?;
        *known = Some(partner);
        *self.lock_offered() = None;
        Ok(())
    }

    /// Forgets the partner; returns who it was.
    pub(super) fn forget(&self) -> io::Result<Option<Partner>> {
        let mut known = self.lock_partner();
        store::remove(&self.path)?;
        Ok(known.take())
    }

    /// Knows the partner by a second key too, which it is about to go over to.
    pub(super) fn expect_key(&self, key: Pin) -> io::Result<()> {
        self.change(|partner| {
            partner.keys.truncate(1);
            partner.keys.push(key);
        })
    }

    /// The partner has shown this key: those before it are no longer its.
    pub(super) fn saw_key(&self, key: Pin) -> io::Result<()> {
        let newer =
            |partner: &Partner| partner.keys.iter().position(|known| *known == key) > Some(0);
        if !self.lock_partner().as_ref().is_some_and(newer) {
            return Ok(());
        }
        self.change(|partner| partner.keys = vec![key])
    }

    /// Offers `code` from `now` on, in place of the one before.
    pub(super) fn offer(&self, code: Code, now: Instant, calendar: Timestamp) -> Timestamp {
        let until_by_calendar = calendar.after(OFFERED_FOR);
        let until = now + OFFERED_FOR;
        *self.lock_offered() = Some(Offered { code, until, until_by_calendar, attempts: ATTEMPTS });
        until_by_calendar
    }

    /// When the offer ends, if there is one.
    pub(super) fn offered_until(&self, now: Instant) -> Option<Timestamp> {
        let offered = self.lock_offered();
        offered.as_ref().filter(|offered| now < offered.until).map(|o| o.until_by_calendar)
    }

    fn is_offering(&self, now: Instant) -> bool {
        self.offered_until(now).is_some()
    }

    /// The code, for one attempt to prove it, which is counted; the last one ends the offer.
    pub(super) fn take_attempt(&self, now: Instant) -> Option<Code> {
        let mut place = self.lock_offered();
        let offered = place.as_mut().filter(|offered| now < offered.until)?;
        offered.attempts = offered.attempts.checked_sub(1)?;
        let code = offered.code.clone();
        if offered.attempts == 0 {
            *place = None;
        }
        Some(code)
    }

    fn change(&self, change: impl FnOnce(&mut Partner)) -> io::Result<()> {
        let mut known = self.lock_partner();
        let Some(mut partner) = known.clone() else { return Ok(()) };
        change(&mut partner);
        store::write_json(&self.path, &partner)?;
        *known = Some(partner);
        Ok(())
    }

    fn lock_partner(&self) -> MutexGuard<'_, Option<Partner>> {
        self.partner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_offered(&self) -> MutexGuard<'_, Option<Offered>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn trust() -> (tempfile::TempDir, Trust) {
        let directory = tempfile::tempdir().unwrap();
        let trust = Trust::load(directory.path()).unwrap();
        (directory, trust)
    }

    fn partner(key: u8) -> Partner {
        let address = ([127, 0, 0, 1], 3638).into();
        let keys = vec![Pin::new([key; 32])];
        Partner { node: "lb2".to_owned(), keys, address, since: Timestamp(1) }
    }

    #[test]
    fn a_code_may_be_tried_five_times_and_not_after_its_time() {
        let (_directory, trust) = trust();
        assert!(trust.take_attempt(NOW).is_none() && !trust.admits(Pin::new([1; 32]), NOW));
        trust.offer(Code::new([1; 10]), NOW, Timestamp(0));
        assert!(trust.admits(Pin::new([1; 32]), NOW));
        for _ in 0..5 {
            assert!(trust.take_attempt(NOW).is_some());
        }
        assert!(trust.take_attempt(NOW).is_none() && !trust.admits(Pin::new([1; 32]), NOW));
        trust.offer(Code::new([2; 10]), NOW, Timestamp(0));
        assert!(trust.take_attempt(NOW + OFFERED_FOR).is_none());
        assert!(!trust.admits(Pin::new([1; 32]), NOW + OFFERED_FOR));
    }

    #[test]
    fn a_partner_ends_the_offer_and_outlives_this_program() {
        let (directory, trust) = trust();
        trust.offer(Code::new([1; 10]), NOW, Timestamp(0));
        trust.set_partner(partner(1)).unwrap();
        assert!(trust.offered_until(NOW).is_none() && !trust.admits(Pin::new([9; 32]), NOW));
        let again = Trust::load(directory.path()).unwrap();
        assert_eq!(again.partner(), Some(partner(1)));
        again.forget().unwrap();
        assert_eq!(Trust::load(directory.path()).unwrap().partner(), None);
    }

    #[test]
    fn while_the_partner_changes_its_key_both_are_its_and_then_only_the_new_one() {
        let (directory, trust) = trust();
        let (old, next) = (Pin::new([1; 32]), Pin::new([2; 32]));
        trust.set_partner(partner(1)).unwrap();
        trust.expect_key(next).unwrap();
        trust.saw_key(old).unwrap();
        assert!(trust.is_partner(old) && trust.is_partner(next));
        trust.saw_key(next).unwrap();
        assert!(!trust.is_partner(old) && trust.is_partner(next));
        let again = Trust::load(directory.path()).unwrap();
        assert!(!again.is_partner(old) && again.is_partner(next));
    }
}

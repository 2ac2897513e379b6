//! Who is logged in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::secret::{Digest, Secret};
use crate::control::Timestamp;
use crate::time::Instant;

/// A session that nobody uses for this long ends.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);

/// A session ends after this time, used or not.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);

/// For so long after the password was entered what concerns the whole pair is done without asking
/// for it again.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);

/// Sessions of one user; the one unused for longest makes room.
const MOST_OF_ONE: usize = 16;

/// Sessions of all users.
const MOST: usize = 1024;

/// A user who is logged in from one browser.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The name of the account.
    pub(crate) user: String,
    /// The account as it was: a session of an account that changed is over.
    pub(crate) stamp: Digest,
    pub(crate) address: IpAddr,
    /// What the browser calls itself, cut to a bound.
    pub(crate) agent: String,
    /// When it began, for people.
    pub(crate) since: Timestamp,
    begun: Instant,
    used: Instant,
    confirmed: Instant,
}

impl Session {
    /// A session of `user` that begins now.
    pub(crate) fn new(
        user: &str,
        stamp: Digest,
        address: IpAddr,
        agent: &str,
        (now, since): (Instant, Timestamp),
    ) -> Self {
        let agent = agent.chars().take(200).collect();
        let user = user.to_owned();
        Self { user, stamp, address, agent, since, begun: now, used: now, confirmed: now }
    }

    /// For how long nobody used it.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        now - self.used
    }

    /// Whether the password was entered a short while ago.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now - self.confirmed <= FRESH
    }

    fn is_over(&self, now: Instant) -> bool {
        now - self.used > IDLE || now - self.begun > ABSOLUTE
    }
}

/// All sessions, by the digest of their secrets.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<Digest, Session>,
}

impl Sessions {
    /// Begins a session, in place of `old` where the browser had one: its secret is worth nothing
    /// any more.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        secret: &Secret,
        session: Session,
        old: Option<&Secret>,
    ) {
        self.expire(now);
        if let Some(old) = old {
            self.end(old);
        }
        self.make_room(&session.user);
        self.sessions.insert(secret.digest(), session);
    }

    /// The session of `secret`, which is in use now. `passive` is what a page does by itself: that
    /// does not keep a session alive.
    pub(crate) fn get(&mut self, now: Instant, secret: &Secret, passive: bool) -> Option<&Session> {
        let digest = secret.digest();
        if self.sessions.get(&digest)?.is_over(now) {
            self.sessions.remove(&digest);
        }
        let session = self.sessions.get_mut(&digest)?;
        if !passive {
            session.used = now;
        }
        Some(session)
    }

    /// The password was entered again.
    pub(crate) fn confirm(&mut self, now: Instant, secret: &Secret) {
        if let Some(session) = self.sessions.get_mut(&secret.digest()) {
            session.confirmed = now;
        }
    }

    /// Ends the session of `secret`.
    pub(crate) fn end(&mut self, secret: &Secret) {
        self.sessions.remove(&secret.digest());
    }

    /// Ends the session that is shown as `name`; returns whose it was.
    pub(crate) fn revoke(&mut self, name: &str) -> Option<String> {
        let digest = *self.sessions.keys().find(|digest| digest.name() == name)?;
        self.sessions.remove(&digest).map(|session| session.user)
    }

    /// All that are not over, with their names.
    pub(crate) fn list(&mut self, now: Instant) -> impl Iterator<Item = (String, &Session)> {
        self.expire(now);
        self.sessions.iter().map(|(digest, session)| (digest.name(), session))
    }

    fn expire(&mut self, now: Instant) {
        self.sessions.retain(|_, session| !session.is_over(now));
    }

    fn make_room(&mut self, user: &str) {
        while self.sessions.values().filter(|session| session.user == user).count() >= MOST_OF_ONE {
            self.forget_oldest(|session| session.user == user);
        }
        while self.sessions.len() >= MOST {
            self.forget_oldest(|_| true);
        }
    }

    fn forget_oldest(&mut self, of: impl Fn(&Session) -> bool) {
        let candidates = self.sessions.iter().filter(|(_, session)| of(session));
        let oldest = candidates.min_by_key(|(_, session)| session.used).map(|(digest, _)| *digest);
        if let Some(digest) = oldest {
            self.sessions.remove(&digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn secret(number: u16) -> Secret {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Secret::new(bytes)
    }

    fn session(user: &str, now: Instant) -> Session {
        let address = IpAddr::from([192, 0, 2, 1]);
        Session::new(user, secret(0).digest(), address, "test", (now, Timestamp(0)))
    }

    fn begin(sessions: &mut Sessions, user: &str, number: u16, now: Instant) {
        sessions.begin(now, &secret(number), session(user, now), None);
    }

    #[test]
    fn a_session_ends_unused_and_also_when_used_for_too_long() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, "alice", 1, at(0));
        assert!(sessions.get(at(1800), &secret(1), false).is_some());
        assert!(sessions.get(at(3601), &secret(1), false).is_none());
        begin(&mut sessions, "alice", 2, at(0));
        for seconds in (0..=43_200).step_by(600) {
            assert!(sessions.get(at(seconds), &secret(2), false).is_some(), "{seconds}");
        }
        assert!(sessions.get(at(43_201), &secret(2), false).is_none());
        assert!(sessions.get(at(0), &secret(2), false).is_none(), "it is gone for good");
    }

    #[test]
    fn what_a_page_does_by_itself_keeps_no_session_alive() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, "alice", 1, at(0));
        for seconds in (0..=1800).step_by(60) {
            assert!(sessions.get(at(seconds), &secret(1), true).is_some());
        }
        assert!(sessions.get(at(1801), &secret(1), true).is_none());
    }

    #[test]
    fn a_new_login_makes_the_old_secret_worthless() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, "alice", 1, at(0));
        sessions.begin(at(1), &secret(2), session("alice", at(1)), Some(&secret(1)));
        assert!(sessions.get(at(1), &secret(1), false).is_none());
        assert!(sessions.get(at(1), &secret(2), false).is_some());
        let name = secret(2).digest().name();
        assert_eq!(sessions.revoke(&name).as_deref(), Some("alice"));
        assert!(sessions.get(at(1), &secret(2), false).is_none());
    }

    #[test]
    fn one_user_cannot_push_another_out() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, "alice", 0, at(0));
        for number in 1..500 {
            begin(&mut sessions, "mallory", number, at(u64::from(number)));
        }
        assert!(sessions.get(at(500), &secret(0), false).is_some());
        assert_eq!(sessions.list(at(500)).count(), 1 + MOST_OF_ONE);
    }

    #[test]
    fn a_password_is_fresh_for_a_while_and_again_when_it_was_repeated() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, "alice", 1, at(0));
        let mut fresh = |seconds| {
            sessions.get(at(seconds), &secret(1), false).is_some_and(|s| s.is_fresh(at(seconds)))
        };
        assert!(fresh(300));
        assert!(!fresh(301));
        sessions.confirm(at(302), &secret(1));
        assert!(sessions.get(at(302), &secret(1), false).is_some_and(|s| s.is_fresh(at(602))));
    }
}

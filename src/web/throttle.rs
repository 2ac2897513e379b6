//! Who has to wait before the next attempt to log in.
//!
//! Failures are counted by account, whether there is one of that name or not, and by address, so
//! that neither one password tried on many accounts nor many on one goes fast. The answer to a
//! throttled attempt is the same for a name that exists and one that does not.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::time::Instant;

/// Failures without a consequence: people mistype.
const FREE: u32 = 3;

/// The longest wait for an account: a stranger must not keep its owner out for long.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(30);

/// The longest wait for an address.
const ADDRESS_LIMIT: Duration = Duration::from_secs(300);

/// After this time without a failure the count begins anew.
const FORGIVEN: Duration = Duration::from_secs(900);

/// Accounts and addresses that are remembered; beyond that, those quiet for longest are forgotten.
const MOST: usize = 4096;

/// Counts failures and says how long to wait.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: BTreeMap<Subject, Failures>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Subject {
    Account(String),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// How long `account` from `address` has to wait at `now`; `None` for not at all.
    pub(crate) fn wait(&self, now: Instant, account: &str, address: IpAddr) -> Option<Duration> {
        let waits = subjects(account, address).into_iter().filter_map(|(subject, limit)| {
            let failures = self.failures.get(&subject)?;
            let left = delay(failures.count, limit).saturating_sub(now - failures.last);
            (!left.is_zero()).then_some(left)
        });
        waits.max()
    }

    /// An attempt begins: it counts as failed until [`succeeded`](Self::succeeded), so that many
    /// at once do not all go before the first has failed.
    pub(crate) fn attempted(&mut self, now: Instant, account: &str, address: IpAddr) {
        for (subject, _) in subjects(account, address) {
            let failures = self.failures.entry(subject).or_insert(Failures { count: 0, last: now });
            let forgiven = now - failures.last > FORGIVEN;
            failures.count = if forgiven { 1 } else { failures.count.saturating_add(1) };
            failures.last = now;
        }
        self.make_room();
    }

    /// The attempt had the right password. The address keeps its other failures: one account of
    /// one's own must not clear the way to others.
    pub(crate) fn succeeded(&mut self, account: &str, address: IpAddr) {
        for (subject, _) in subjects(account, address) {
            if matches!(subject, Subject::Account(_)) {
                self.failures.remove(&subject);
            } else if let Some(failures) = self.failures.get_mut(&subject) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }

    fn make_room(&mut self) {
        while self.failures.len() > MOST {
            let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last);
            let Some(subject) = oldest.map(|(subject, _)| subject.clone()) else { return };
            self.failures.remove(&subject);
        }
    }
}

fn subjects(account: &str, address: IpAddr) -> [(Subject, Duration); 2] {
    // A name that is too long for an account is one subject, whatever it is.
    let account = account.get(..account.len().min(64)).unwrap_or_default().to_owned();
    [
        (Subject::Account(account), ACCOUNT_LIMIT),
        (Subject::Address(network(address)), ADDRESS_LIMIT),
    ]
}

/// Who has one IPv6 address has a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// 1, 2, 4, ... seconds from the first failure that counts.
fn delay(count: u32, limit: Duration) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(16)).min(limit),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let mut throttle = Throttle::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            throttle.attempted(at(0), "alice", ADDRESS);
            waits.push(throttle.wait(at(0), "alice", ADDRESS).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64]);
        let elsewhere = "198.51.100.9".parse().unwrap();
        assert_eq!(throttle.wait(at(0), "alice", elsewhere), Some(ACCOUNT_LIMIT));
        assert_eq!(throttle.wait(at(0), "bob", elsewhere), None);
        assert_eq!(throttle.wait(at(64), "alice", ADDRESS), None);
    }

    #[test]
    fn an_own_account_does_not_clear_the_way_to_others() {
        let mut throttle = Throttle::default();
        for _ in 0..20 {
            throttle.attempted(at(0), "alice", ADDRESS);
            throttle.attempted(at(0), "mallory", ADDRESS);
            throttle.succeeded("mallory", ADDRESS);
        }
        assert_eq!(throttle.wait(at(0), "alice", ADDRESS), Some(ADDRESS_LIMIT));
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let mut throttle = Throttle::default();
        for last in 0..20 {
            let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
            throttle.attempted(at(0), &format!("user{last}"), address);
        }
        assert!(throttle.wait(at(0), "user99", "2001:db8::ffff".parse().unwrap()).is_some());
        assert!(throttle.wait(at(0), "user99", "2001:db8:0:1::1".parse().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_tried_memory_is_bounded_and_no_wait_exceeds_its_limit(
            attempts in prop::collection::vec((0_u64..100_000, ".{0,200}", any::<u32>()), 0..200),
        ) {
            let mut throttle = Throttle::default();
            for (seconds, account, address) in attempts {
                let address = IpAddr::from(address.to_be_bytes());
                throttle.attempted(at(seconds), &account, address);
                let wait = throttle.wait(at(seconds), &account, address);
                prop_assert!(wait.is_none_or(|wait| wait <= ADDRESS_LIMIT));
            }
            prop_assert!(throttle.failures.len() <= MOST);
        }
    }
}

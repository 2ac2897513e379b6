//! The datagrams of the pulse protocol, both versions (`docs/pulse-protocol.md`).
//!
//! Version 1 is Piranha 0.8.6's: four bytes, a magic number in the sender's own byte order,
//! nothing else. Version 2 has one fixed layout of [`Heartbeat::LEN`] bytes, every number
//! big-endian:
//!
//! ```text
//!    0       1       2       3       4       5       6       7
//! +-------+-------+-------+-------+-------+-------+-------+-------+
//! |  'P'     'U'     'L'     'S'  | ver=2 | flags | role  | state |   0
//! +-------+-------+-------+-------+-------+-------+-------+-------+
//! |                           cluster id                          |   8
//! +---------------------------------------------------------------+
//! |                        sender's boot id                       |  16
//! +---------------------------------------------------------------+
//! |                        sender's counter                       |  24
//! +---------------------------------------------------------------+
//! |                 echo: receiver's boot id                      |  32
//! +---------------------------------------------------------------+
//! |                 echo: receiver's counter last heard           |  40
//! +---------------------------------------------------------------+
//! |                     configuration digest                      |  48
//! +-------------------------------+-------+-------+-------+-------+
//! |   sender's interval (ms)      | prio  | path  | step  |   0   |  56
//! +-------------------------------+-------+-------+-------+-------+
//! |                         hand-over id                          |  64
//! +---------------------------------------------------------------+
//! |                tag: HMAC-SHA-256 of bytes 0 to 71             |  72
//! |                            (32 bytes)                         |
//! +---------------------------------------------------------------+ 104
//! ```
//!
//! Flags: bit 0, the tag is an HMAC (clear: the tag is zero); bit 1, the echo is present (clear:
//! both echo fields are zero); bit 2, a guard of the sender fails, or it is in maintenance. All
//! other bits are zero.

mod auth;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::{Role, State};

pub use auth::{Key, KeyError};

/// What a version 1 datagram can say (reference values: Piranha 0.8.6, four bytes in host order).
#[allow(clippy::exhaustive_enums, reason = "the original protocol is not going to grow")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Magic {
    /// LVS: the sender is active.
    Running,
    /// LVS: the sender is not active.
    Stopped,
}

impl Magic {
    /// Bytes in a version 1 datagram.
    pub const LEN: usize = 4;

    const RUNNING: u32 = 0xbdad_dbda;
    const STOPPED: u32 = 0xadbd_dabd;
    // FOS running, FOS stopped, FOS "I take over", hold, held: a peer that runs Piranha's other
    // service.
    const FAILOVER_SERVICES: [u32; 5] =
        [0xbeef_babe, 0xdead_beef, 0xdead_dada, 0xdeaf_babe, 0xdeaf_dada];

    /// The datagram, in this machine's byte order as 0.8.6 sends it.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        match self {
            Self::Running => Self::RUNNING.to_ne_bytes(),
            Self::Stopped => Self::STOPPED.to_ne_bytes(),
        }
    }

    /// Reads a datagram. Stricter than 0.8.6, which judged a longer one by its first four bytes.
    ///
    /// # Errors
    /// [`DecodeError`] with the reason; a machine of the other byte order is a bad magic, as it
    /// was for 0.8.6.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes = exact::<{ Self::LEN }>(bytes)?;
        match u32::from_ne_bytes(*bytes) {
            Self::RUNNING => Ok(Self::Running),
            Self::STOPPED => Ok(Self::Stopped),
            other if Self::FAILOVER_SERVICES.contains(&other) => Err(DecodeError::OtherService),
            _ => Err(DecodeError::BadMagic),
        }
    }
}

/// A version 2 datagram.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heartbeat {
    /// Which cluster this is about.
    pub cluster: u64,
    /// The sender's run: drawn at random when its process started, never zero in practice.
    pub boot: u64,
    /// One more than in the sender's datagram before, on whichever path that went.
    pub counter: u64,
    /// The newest datagram the sender accepted, which proves that this one is no older.
    pub echo: Option<Echo>,
    /// The heartbeat path this was sent on.
    pub path: u8,
    /// The sender's configured role.
    pub role: Role,
    /// The sender's state.
    pub state: State,
    /// Decides between two directors of the same role; the higher wins.
    pub priority: u8,
    /// How often the sender speaks. Whole milliseconds on the wire.
    pub interval: Duration,
    /// Digest of the sender's configuration, to tell whether both run the same one.
    pub digest: [u8; 8],
    /// Where the sender is in a hand-over.
    pub step: Step,
    /// Whether the sender had better not hold the service: one of its guards fails, or it is in
    /// maintenance.
    pub unfit: bool,
}

impl Heartbeat {
    /// The part of an authenticated datagram that is sealed, and its tag, whether it fits or not.
    pub(crate) fn split_tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let sealed = bytes.len() == Self::LEN && bytes.starts_with(&Self::MAGIC);
        (sealed && bytes[5] & Self::AUTHENTICATED != 0).then(|| bytes.split_at(Self::SIGNED))
    }
}

/// Names one datagram of the receiver's.
#[allow(clippy::exhaustive_structs, reason = "a pair of numbers on the wire")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    /// The receiver's boot id.
    pub boot: u64,
    /// Its counter.
    pub counter: u64,
}

/// The steps of a hand-over. The number names one attempt and is chosen by the director that
/// hands over.
#[allow(clippy::exhaustive_enums, reason = "a new step is a new version of the protocol")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Step {
    /// No hand-over is under way.
    None,
    /// "Will you take the service?" Sent by the active director.
    Offer(u64),
    /// "I will." Nothing has changed yet.
    Accept(u64),
    /// "I cannot."
    Refuse(u64),
    /// "My addresses are down; it is yours."
    Released(u64),
    /// "Please offer it to me." Sent by a primary that is configured to fail back.
    Request,
}

impl Heartbeat {
    /// Bytes in a version 2 datagram; there is only this size.
    pub const LEN: usize = 104;

    const SIGNED: usize = 72;
    const MAGIC: [u8; 4] = *b"PULS";
    const VERSION: u8 = 2;
    const AUTHENTICATED: u8 = 1;
    const ECHO: u8 = 2;
    const UNFIT: u8 = 4;

    /// The datagram, sealed with `key` or, without one, marked as unauthenticated.
    ///
    /// An interval that is not a whole number of milliseconds is rounded up.
    #[must_use]
    pub fn encode(&self, key: Option<&Key>) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (step, id) = self.step.to_wire();
        let echo = self.echo.unwrap_or(Echo { boot: 0, counter: 0 });
        bytes[..4].copy_from_slice(&Self::MAGIC);
        bytes[4] = Self::VERSION;
        bytes[5] = self.flags(key);
        bytes[6] = role_to_wire(self.role);
        bytes[7] = state_to_wire(self.state);
        bytes[8..16].copy_from_slice(&self.cluster.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.boot.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.counter.to_be_bytes());
        bytes[32..40].copy_from_slice(&echo.boot.to_be_bytes());
        bytes[40..48].copy_from_slice(&echo.counter.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.digest);
        bytes[56..60].copy_from_slice(&interval_to_wire(self.interval).to_be_bytes());
        bytes[60] = self.priority;
        bytes[61] = self.path;
        bytes[62] = step;
        bytes[64..72].copy_from_slice(&id.to_be_bytes());
        if let Some(key) = key {
            let tag = key.tag(&bytes[..Self::SIGNED]);
            bytes[Self::SIGNED..].copy_from_slice(&tag);
        }
        bytes
    }

    const fn flags(&self, key: Option<&Key>) -> u8 {
        let authenticated = if key.is_some() { Self::AUTHENTICATED } else { 0 };
        let echo = if self.echo.is_some() { Self::ECHO } else { 0 };
        let unfit = if self.unfit { Self::UNFIT } else { 0 };
        authenticated | echo | unfit
    }
}

/// A version 2 datagram of the right size, magic and version whose tag was not verified yet:
/// nothing of it may be believed.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a>(&'a [u8; Heartbeat::LEN]);

impl<'a> Sealed<'a> {
    /// Checks size, magic and version.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Oversized`], [`DecodeError::BadMagic`] or
    /// [`DecodeError::Version`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let bytes = exact::<{ Heartbeat::LEN }>(bytes)?;
        if bytes[..4] != Heartbeat::MAGIC {
            return Err(DecodeError::BadMagic);
        }
        if bytes[4] != Heartbeat::VERSION {
            return Err(DecodeError::Version);
        }
        Ok(Self(bytes))
    }

    /// The cluster the datagram claims to be about: enough to count a neighbour's traffic as
    /// such before its tag fails.
    #[must_use]
    pub fn cluster(&self) -> u64 {
        self.number(8)
    }

    /// Verifies the tag in constant time and reads the fields.
    ///
    /// # Errors
    /// [`DecodeError::Unauthenticated`] for a plain datagram where `key` is given,
    /// [`DecodeError::KeyMissing`] for an authenticated one where it is not,
    /// [`DecodeError::BadTag`], or [`DecodeError::BadField`] for values the layout does not have.
    pub fn open(&self, key: Option<&Key>) -> Result<Heartbeat, DecodeError> {
        let (signed, tag) = self.0.split_at(Heartbeat::SIGNED);
        match (key, self.0[5] & Heartbeat::AUTHENTICATED != 0) {
            (Some(key), true) if key.verify(signed, tag) => {}
            (Some(_), true) => return Err(DecodeError::BadTag),
            (Some(_), false) => return Err(DecodeError::Unauthenticated),
            (None, true) => return Err(DecodeError::KeyMissing),
            (None, false) if tag.iter().all(|byte| *byte == 0) => {}
            (None, false) => return Err(DecodeError::BadField),
        }
        self.fields().ok_or(DecodeError::BadField)
    }

    fn fields(&self) -> Option<Heartbeat> {
        let known_flags = Heartbeat::AUTHENTICATED | Heartbeat::ECHO | Heartbeat::UNFIT;
        if self.0[5] & !known_flags != 0 || self.0[63] != 0 {
            return None;
        }
        let [a, b, c, d] = [self.0[56], self.0[57], self.0[58], self.0[59]];
        Some(Heartbeat {
            cluster: self.cluster(),
            boot: self.number(16),
            counter: self.number(24),
            echo: self.echo()?,
            path: self.0[61],
            role: role_from_wire(self.0[6])?,
            state: state_from_wire(self.0[7])?,
            priority: self.0[60],
            interval: interval_from_wire(u32::from_be_bytes([a, b, c, d]))?,
            digest: self.number(48).to_be_bytes(),
            step: Step::from_wire(self.0[62], self.number(64))?,
            unfit: self.0[5] & Heartbeat::UNFIT != 0,
        })
    }

    /// The echo, `Some(None)` where the flag says there is none; `None` for a contradiction.
    #[expect(clippy::option_option, reason = "malformed, absent and present differ")]
    fn echo(&self) -> Option<Option<Echo>> {
        let echo = Echo { boot: self.number(32), counter: self.number(40) };
        if self.0[5] & Heartbeat::ECHO != 0 {
            Some(Some(echo))
        } else if echo.boot == 0 && echo.counter == 0 {
            Some(None)
        } else {
            None
        }
    }

    /// The big-endian number at `offset`.
    fn number(&self, offset: usize) -> u64 {
        let bytes = &self.0[offset..offset + 8];
        bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Step {
    const fn to_wire(self) -> (u8, u64) {
        match self {
            Self::None => (0, 0),
            Self::Offer(id) => (1, id),
            Self::Accept(id) => (2, id),
            Self::Refuse(id) => (3, id),
            Self::Released(id) => (4, id),
            Self::Request => (5, 0),
        }
    }

    const fn from_wire(step: u8, id: u64) -> Option<Self> {
        match (step, id) {
            (0, 0) => Some(Self::None),
            (1, id) => Some(Self::Offer(id)),
            (2, id) => Some(Self::Accept(id)),
            (3, id) => Some(Self::Refuse(id)),
            (4, id) => Some(Self::Released(id)),
            (5, 0) => Some(Self::Request),
            _ => None,
        }
    }
}

/// Why bytes are not a datagram of the protocol. They change nothing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the version's one size.
    #[error("shorter than a heartbeat")]
    Truncated,
    /// Longer than the version's one size.
    #[error("longer than a heartbeat")]
    Oversized,
    /// Does not begin as a heartbeat does.
    #[error("not a heartbeat")]
    BadMagic,
    /// Another version of the protocol.
    #[error("another version of the protocol")]
    Version,
    /// Version 1: the peer runs Piranha's failover services (`service = fos`), not LVS.
    #[error("the sender runs another service")]
    OtherService,
    /// No tag, but this node has a key.
    #[error("not authenticated, and this node demands it")]
    Unauthenticated,
    /// A tag, but this node has no key.
    #[error("authenticated, and this node has no key")]
    KeyMissing,
    /// Another key, or altered on the way.
    #[error("authentication failed")]
    BadTag,
    /// A field holds a value the layout does not have.
    #[error("malformed field")]
    BadField,
}

/// The longest interval a datagram may name; longer is a malformed field. An hour is far beyond
/// any useful keepalive and keeps a wrong peer from silencing the dead time.
pub const INTERVAL_MAX: Duration = Duration::from_secs(3600);

fn exact<const LEN: usize>(bytes: &[u8]) -> Result<&[u8; LEN], DecodeError> {
    let wrong_size =
        if bytes.len() < LEN { DecodeError::Truncated } else { DecodeError::Oversized };
    bytes.try_into().or(Err(wrong_size))
}

fn interval_to_wire(interval: Duration) -> u32 {
    let millis = interval.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).unwrap_or(u32::MAX)
}

fn interval_from_wire(millis: u32) -> Option<Duration> {
    let interval = Duration::from_millis(u64::from(millis));
    (!interval.is_zero() && interval <= INTERVAL_MAX).then_some(interval)
}

const fn role_to_wire(role: Role) -> u8 {
    match role {
        Role::Primary => 1,
        Role::Backup => 2,
    }
}

const fn role_from_wire(byte: u8) -> Option<Role> {
    match byte {
        1 => Some(Role::Primary),
        2 => Some(Role::Backup),
        _ => None,
    }
}

const fn state_to_wire(state: State) -> u8 {
    match state {
        State::Starting => 1,
        State::Standby => 2,
        State::Acquiring => 3,
        State::Active => 4,
        State::Releasing => 5,
        State::Failed => 6,
        State::Stopped => 7,
    }
}

const fn state_from_wire(byte: u8) -> Option<State> {
    match byte {
        1 => Some(State::Starting),
        2 => Some(State::Standby),
        3 => Some(State::Acquiring),
        4 => Some(State::Active),
        5 => Some(State::Releasing),
        6 => Some(State::Failed),
        7 => Some(State::Stopped),
        _ => None,
    }
}

//! The key of a cluster and what it seals.

use std::fmt;

#[cfg(feature = "auth")]
use hmac::{Hmac, KeyInit, Mac};
#[cfg(feature = "auth")]
use sha2::Sha256;

/// The secret both directors share; seals datagrams with HMAC-SHA-256.
///
/// Without the feature `auth` the type exists but no value of it does.
#[derive(Clone)]
pub struct Key(Inner);

#[cfg(feature = "auth")]
type Inner = Hmac<Sha256>;
#[cfg(not(feature = "auth"))]
type Inner = std::convert::Infallible;

/// A key that would not protect anything. No key was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a heartbeat key needs at least {min} bytes, this one has {length}", min = Key::LEN_MIN)]
pub struct KeyError {
    /// Bytes it had.
    pub length: usize,
}

impl Key {
    /// The fewest bytes a key may have: 128 bits.
    pub const LEN_MIN: usize = 16;
}

#[cfg(feature = "auth")]
impl Key {
    /// The key made of these bytes. Beyond 64 they are hashed first (RFC 2104), so longer does
    /// not hurt; 32 random bytes are right.
    ///
    /// # Errors
    /// [`KeyError`] below [`Key::LEN_MIN`] bytes.
    pub fn new(secret: &[u8]) -> Result<Self, KeyError> {
        let error = KeyError { length: secret.len() };
        if secret.len() < Self::LEN_MIN {
            return Err(error);
        }
        Hmac::new_from_slice(secret).map(Self).or(Err(error))
    }

    pub(crate) fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(message).finalize().into_bytes().into()
    }

    pub(crate) fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        self.0.clone().chain_update(message).verify_slice(tag).is_ok()
    }
}

#[cfg(not(feature = "auth"))]
impl Key {
    pub(crate) const fn tag(&self, _message: &[u8]) -> [u8; 32] {
        match self.0 {}
    }

    pub(crate) const fn verify(&self, _message: &[u8], _tag: &[u8]) -> bool {
        match self.0 {}
    }
}

impl Key {
    /// Whether both seal alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        other.verify(b"same key", &self.tag(b"same key"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

//! Secrets that are handed out once and kept as digests.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// 256 random bits: a session, an API token, the token of the first run.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Of random bytes, which the caller draws.
    pub(crate) const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// As [`text`](Self::text) wrote it; nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// 64 hexadecimal digits: what the holder gets to see.
    pub(crate) fn text(&self) -> String {
        hex(&self.0)
    }

    /// What is kept of it. With 256 random bits a plain digest cannot be searched.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&[b"piranha", &self.0])
    }

    /// What a page of the session repeats to show that it was served by us.
    pub(crate) fn csrf(&self) -> String {
        hex(&Digest::of(&[b"piranha csrf", &self.0]).0)
    }

    /// Whether `said` is [`csrf`](Self::csrf). Digests are compared, so that the time it takes
    /// tells nothing.
    pub(crate) fn is_csrf(&self, said: &str) -> bool {
        Digest::of(&[said.as_bytes()]) == Digest::of(&[self.csrf().as_bytes()])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What is kept of a [`Secret`]: its SHA-256, in JSON as hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        Self(hash.finalize().into())
    }

    /// What names it where it is shown: too little to find the secret by, enough to tell two apart.
    pub(crate) fn name(&self) -> String {
        hex(&self.0[..6])
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Secret::parse(&text).map(|bytes| Self(bytes.0)).ok_or("not 64 hexadecimal digits")
    }
}

/// `bytes` in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_is_read_back_and_nothing_that_differs_is_taken_for_it(
            one: [u8; 32], other: [u8; 32], noise in ".{0,80}",
        ) {
            let (secret, stranger) = (Secret::new(one), Secret::new(other));
            let read = Secret::parse(&secret.text()).unwrap();
            prop_assert_eq!(read.digest(), secret.digest());
            prop_assert_eq!(stranger.digest() == secret.digest(), one == other);
            prop_assert!(secret.is_csrf(&secret.csrf()) && !secret.is_csrf(&noise));
            prop_assert!(Secret::parse(&noise).is_none_or(|read| read.text() == noise));
        }
    }

    #[test]
    fn what_is_shown_or_kept_of_a_secret_does_not_contain_it() {
        let secret = Secret::new([7; 32]);
        let kept = serde_json::to_string(&secret.digest()).unwrap();
        let shown = format!("{secret:?} {} {}", secret.digest().name(), secret.csrf());
        assert!(!kept.contains(&secret.text()) && !shown.contains(&secret.text()));
        assert_eq!(serde_json::from_str::<Digest>(&kept).unwrap(), secret.digest());
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }
}

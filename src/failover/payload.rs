//! What is said in one datagram.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The bytes of a datagram to send.
///
/// Short ones, among them every heartbeat of the pulse protocol, are kept in place, so that making
/// one asks for no memory; longer ones are shared by their clones, so that saying them again does
/// not either.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Payload(Bytes);

#[derive(Clone)]
enum Bytes {
    Short { length: u8, bytes: [u8; Payload::SHORT] },
    Long(Arc<[u8]>),
}

impl Payload {
    /// How many bytes are kept in place: a heartbeat of the pulse protocol.
    const SHORT: usize = crate::wire::pulse::Heartbeat::LEN;
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Payload {
    fn from(datagram: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        let place = bytes.get_mut(..datagram.len());
        Self(match (place, u8::try_from(datagram.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(datagram);
                Bytes::Short { length, bytes }
            }
            _ => Bytes::Long(datagram.into()),
        })
    }
}

impl<const N: usize> From<[u8; N]> for Payload {
    fn from(datagram: [u8; N]) -> Self {
        Self::from(datagram.as_slice())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(datagram: Vec<u8>) -> Self {
        Self::from(datagram.as_slice())
    }
}

impl From<Payload> for Vec<u8> {
    fn from(payload: Payload) -> Self {
        payload.to_vec()
    }
}

/// As hexadecimal digits.
impl From<Payload> for String {
    fn from(payload: Payload) -> Self {
        use std::fmt::Write;
        payload.iter().fold(Self::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    }
}

impl TryFrom<String> for Payload {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Self::from).ok_or("expected pairs of hexadecimal digits")
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_payload_is_the_bytes_it_was_made_of(
            bytes in proptest::collection::vec(any::<u8>(), 0..2 * Payload::SHORT),
        ) {
            let payload = Payload::from(bytes.clone());
            prop_assert_eq!(&payload[..], &bytes[..]);
            prop_assert_eq!(format!("{payload:?}"), format!("{bytes:?}"));
            prop_assert_eq!(Vec::from(payload), bytes);
        }
    }
}

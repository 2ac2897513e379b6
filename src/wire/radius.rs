//! RADIUS packets (RFC 2865, 3). What proves who made one, which takes MD5 and a secret, is up to
//! whoever has the secret.

/// Code of a request to let a user in.
pub const ACCESS_REQUEST: u8 = 1;
/// Code of the answer that lets them in.
pub const ACCESS_ACCEPT: u8 = 2;
/// Code of the answer that does not.
pub const ACCESS_REJECT: u8 = 3;
/// Code of the answer of an accounting server (RFC 2866), to Status-Server too.
pub const ACCOUNTING_RESPONSE: u8 = 5;
/// Code of the answer that asks for more.
pub const ACCESS_CHALLENGE: u8 = 11;
/// Code of the question whether the server is alive (RFC 5997).
pub const STATUS_SERVER: u8 = 12;

/// Attribute: the name of the user.
pub const USER_NAME: u8 = 1;
/// Attribute: the password, hidden (RFC 2865, 5.2).
pub const USER_PASSWORD: u8 = 2;
/// Attribute: a text for the user.
pub const REPLY_MESSAGE: u8 = 18;
/// Attribute: the name of who asks.
pub const NAS_IDENTIFIER: u8 = 32;
/// Attribute: a keyed hash of the packet (RFC 3579, 3.2).
pub const MESSAGE_AUTHENTICATOR: u8 = 80;

/// Length of an authenticator in the header or an attribute.
pub const AUTHENTICATOR: usize = 16;
/// Where the authenticator of the header begins.
pub const AUTHENTICATOR_AT: usize = 4;

const HEADER: usize = 20;
const ATTRIBUTE_HEADER: usize = 2;
const MOST: usize = 4096;

/// A packet, of which the form is known to be right and nothing else.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// What it is.
    pub code: u8,
    /// By which an answer is matched to its request.
    pub id: u8,
    /// All of it, without what may stand behind it in the datagram.
    pub whole: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet in `datagram`; `None` for one that RFC 2865 (3) has discarded: too short or too
    /// long, shorter than it says, or with attributes that do not fill it.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let &[code, id, high, low, ..] = datagram else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(HEADER..=MOST).contains(&length) {
            return None;
        }
        let packet = Self { code, id, whole: datagram.get(..length)? };
        let filled: usize =
            packet.attributes().map(|(_, value)| value.len() + ATTRIBUTE_HEADER).sum();
        (filled + HEADER == length).then_some(packet)
    }

    /// Kind and value of each attribute.
    pub fn attributes(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = &self.whole[HEADER..];
        std::iter::from_fn(move || {
            let &[kind, length, ..] = rest else {
                return None;
            };
            let value = rest.get(ATTRIBUTE_HEADER..usize::from(length))?;
            rest = &rest[usize::from(length)..];
            Some((kind, value))
        })
    }

    /// The value of the first attribute of this kind, and where it begins in [`whole`](Self::whole).
    #[must_use]
    pub fn attribute(&self, wanted: u8) -> Option<(usize, &'a [u8])> {
        let mut at = HEADER;
        for (kind, value) in self.attributes() {
            if kind == wanted {
                return Some((at + ATTRIBUTE_HEADER, value));
            }
            at += ATTRIBUTE_HEADER + value.len();
        }
        None
    }
}

/// A packet with these attributes; of a value at most 253 bytes, of all at most what a packet
/// holds.
#[must_use]
pub fn encode(
    code: u8,
    id: u8,
    authenticator: [u8; AUTHENTICATOR],
    attributes: &[(u8, &[u8])],
) -> Vec<u8> {
    let mut whole = [&[code, id, 0, 0][..], &authenticator].concat();
    for &(kind, value) in attributes {
        let value = &value[..value.len().min(usize::from(u8::MAX) - ATTRIBUTE_HEADER)];
        let length = ATTRIBUTE_HEADER + value.len();
        if whole.len() + length <= MOST {
            whole.push(kind);
            whole.extend(u8::try_from(length));
            whole.extend_from_slice(value);
        }
    }
    let length = u16::try_from(whole.len()).unwrap_or(u16::MAX).to_be_bytes();
    whole[2..4].copy_from_slice(&length);
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_or_does_not_add_up_is_discarded() {
        let good = encode(ACCESS_ACCEPT, 7, [1; 16], &[(REPLY_MESSAGE, b"hello")]);
        assert!(Packet::parse(&good).is_some());
        assert!(Packet::parse(&[&good[..], b"padding"].concat()).is_some());
        for end in 0..good.len() {
            assert_eq!(Packet::parse(&good[..end]), None);
        }
        for length in [0, 1, 6, 8, 255] {
            let mut bad = good.clone();
            bad[HEADER + 1] = length;
            assert_eq!(Packet::parse(&bad), None, "{length}");
        }
        let mut long = vec![0; 5000];
        long[2..4].copy_from_slice(&4097_u16.to_be_bytes());
        assert_eq!(Packet::parse(&long), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed_and_any_bytes_are_survived(
            code: u8, id: u8, authenticator: [u8; 16],
            attributes in proptest::collection::vec(
                (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..254)), 0..8,
            ),
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let attributes: Vec<_> =
                attributes.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
            let whole = encode(code, id, authenticator, &attributes);
            let packet = Packet::parse(&whole).unwrap();
            prop_assert_eq!((packet.code, packet.id), (code, id));
            prop_assert_eq!(&packet.whole[AUTHENTICATOR_AT..HEADER], authenticator);
            prop_assert!(packet.attributes().eq(attributes.iter().copied()));
            for (kind, _) in &attributes {
                let (at, value) = packet.attribute(*kind).unwrap();
                prop_assert_eq!(&whole[at..at + value.len()], value);
            }
            if let Some(packet) = Packet::parse(&bytes) {
                let _ = packet.attribute(MESSAGE_AUTHENTICATOR);
            }
        }
    }
}

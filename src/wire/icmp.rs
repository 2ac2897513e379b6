//! Echo requests and replies of ICMP (RFC 792) and ICMPv6 (RFC 4443, section 4).

use super::checksum::Checksum;
use crate::net::Family;

/// An echo request or reply.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo<'a> {
    /// Whether it is a reply.
    pub reply: bool,
    /// The sender's identifier.
    pub id: u16,
    /// The sequence number.
    pub sequence: u16,
    /// What comes back unchanged.
    pub data: &'a [u8],
}

const HEADER: usize = 8;

impl<'a> Echo<'a> {
    /// A request.
    #[must_use]
    pub const fn request(id: u16, sequence: u16, data: &'a [u8]) -> Self {
        Self { reply: false, id, sequence, data }
    }

    /// The message. Its checksum is that of ICMP; the kernel fills in ICMPv6's, which needs the
    /// addresses.
    #[must_use]
    pub fn encode(&self, family: Family) -> Vec<u8> {
        let [id_high, id_low] = self.id.to_be_bytes();
        let [high, low] = self.sequence.to_be_bytes();
        let kind = Self::kind(family, self.reply);
        let mut message = vec![kind, 0, 0, 0, id_high, id_low, high, low];
        message.extend_from_slice(self.data);
        if family == Family::Ipv4 {
            let sum = Checksum::of(&message).finish().to_be_bytes();
            message[2..4].copy_from_slice(&sum);
        }
        message
    }

    /// The echo request or reply in `message`, if it is one. The kernel has checked the checksum.
    #[must_use]
    pub fn decode(message: &'a [u8], family: Family) -> Option<Self> {
        let (header, data) = message.split_at_checked(HEADER)?;
        let reply = header[0] == Self::kind(family, true);
        if (!reply && header[0] != Self::kind(family, false)) || header[1] != 0 {
            return None;
        }
        let number = |place: usize| u16::from_be_bytes([header[place], header[place + 1]]);
        Some(Self { reply, id: number(4), sequence: number(6), data })
    }

    const fn kind(family: Family, reply: bool) -> u8 {
        match (family, reply) {
            (Family::Ipv4, false) => 8,
            (Family::Ipv4, true) => 0,
            (Family::Ipv6, false) => 128,
            (Family::Ipv6, true) => 129,
        }
    }
}

/// What an IPv4 packet carries, without its header (RFC 791, 3.1).
#[must_use]
pub fn ipv4_payload(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let header = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && header >= 20).then(|| packet.get(header..)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_of_a_request_is_that_of_ping() {
        let message = Echo::request(0x1234, 1, b"abcdefgh").encode(Family::Ipv4);
        assert_eq!(Checksum::of(&message).finish(), 0);
        assert_eq!(message[..2], [8, 0]);
    }

    #[test]
    fn a_packet_that_is_too_short_for_its_header_has_no_payload() {
        assert_eq!(ipv4_payload(&[0x45; 19]), None);
        assert_eq!(ipv4_payload(&[0x41; 40]), None);
        assert_eq!(ipv4_payload(&[0x65; 40]), None);
        assert_eq!(ipv4_payload(&[0x45; 21]).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_any_bytes_are_survived(
            id: u16, sequence: u16, data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let echo = Echo::request(id, sequence, &data);
            for family in [Family::Ipv4, Family::Ipv6] {
                let message = echo.encode(family);
                prop_assert_eq!(Echo::decode(&message, family), Some(echo));
            }
            let _ = (Echo::decode(&data, Family::Ipv4), ipv4_payload(&data));
        }
    }
}

//! The headers of IPv4 (RFC 791) and IPv6 (RFC 8200), as far as a protocol right above them needs
//! them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet and what its header says of it.
#[allow(clippy::exhaustive_structs, reason = "what a protocol above looks at")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Time to live or hop limit: one less for each router it came through.
    pub hops: u8,
    /// The number of the protocol it carries (IANA).
    pub protocol: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// The header of an IPv6 packet, for what comes without: raw sockets hand out what follows it.
#[allow(clippy::exhaustive_structs, reason = "the fields of the header")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv6Header {
    /// Of what follows, in bytes.
    pub length: u16,
    /// The number of the protocol of what follows (IANA).
    pub protocol: u8,
    /// The hop limit.
    pub hops: u8,
    /// Who sent it.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
}

impl Ipv6Header {
    /// The length of the header in bytes.
    pub const SIZE: usize = 40;

    /// The bytes of the header, of the traffic class [`NETWORK_CONTROL`].
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut header = [0; Self::SIZE];
        header[0] = 0x60 | NETWORK_CONTROL >> 4;
        header[4..6].copy_from_slice(&self.length.to_be_bytes());
        header[6..8].copy_from_slice(&[self.protocol, self.hops]);
        header[8..24].copy_from_slice(&self.source.octets());
        header[24..].copy_from_slice(&self.destination.octets());
        header
    }
}

const IPV4_HEADER: usize = 20;
/// Precedence and traffic class of protocols that keep a network going (RFC 791, "internetwork
/// control").
pub const NETWORK_CONTROL: u8 = 0xc0;

impl<'a> Packet<'a> {
    /// The packet that `bytes` are. What follows its end is not looked at. `None` for anything
    /// else, fragments and IPv6 extension headers among it: raw sockets get neither.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::decode_ipv4(bytes),
            6 => Self::decode_ipv6(bytes),
            _ => None,
        }
    }

    /// The bytes of the packet; `None` if source and destination are not of one family, or the
    /// payload is longer than a packet.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(Ipv6Header::SIZE + self.payload.len());
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(IPV4_HEADER + self.payload.len()).ok()?;
                bytes.extend_from_slice(&[0x45, NETWORK_CONTROL]);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&[0, 0, 0, 0, self.hops, self.protocol, 0, 0]);
                bytes.extend_from_slice(&source.octets());
                bytes.extend_from_slice(&destination.octets());
                let checksum = super::checksum::Checksum::of(&bytes).finish();
                bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    length: u16::try_from(self.payload.len()).ok()?,
                    protocol: self.protocol,
                    hops: self.hops,
                    source,
                    destination,
                };
                bytes.extend_from_slice(&header.encode());
            }
            _ => return None,
        }
        bytes.extend_from_slice(self.payload);
        Some(bytes)
    }

    fn decode_ipv4(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; IPV4_HEADER] = bytes.first_chunk()?;
        let start = usize::from(header[0] & 0x0f) * 4;
        let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
        (start >= IPV4_HEADER && fragment == 0).then_some(Self {
            source: Ipv4Addr::new(s0, s1, s2, s3).into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
            hops: header[8],
            protocol: header[9],
            payload: bytes.get(start..end)?,
        })
    }

    fn decode_ipv6(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_at_checked(Ipv6Header::SIZE)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        Some(Self {
            source: Ipv6Addr::from(*header[8..].first_chunk::<16>()?).into(),
            destination: Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into(),
            hops: header[7],
            protocol: header[6],
            payload: payload.get(..length)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
            any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_no_prefix_of_it_is(
            (source, destination) in any_ends(),
            hops: u8,
            protocol: u8,
            payload in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let packet = Packet { source, destination, hops, protocol, payload: &payload };
            let bytes = packet.encode().unwrap();
            prop_assert_eq!(Packet::decode(&bytes), Some(packet));
            for length in 0..bytes.len() {
                prop_assert_eq!(Packet::decode(&bytes[..length]), None);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::decode(&bytes);
        }
    }

    #[test]
    fn a_header_as_the_kernel_writes_it_is_read_with_its_options() {
        // Seven words of header, with options, and bytes behind the end.
        let mut bytes = vec![0x47, 0xc0, 0, 30, 0, 1, 0, 0, 255, 112, 0, 0, 10, 77, 0, 1];
        bytes.extend([224, 0, 0, 18, 1, 1, 1, 1, 1, 1, 1, 0, 0xab, 0xcd, 0xee]);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.hops, packet.protocol), (255, 112));
        assert_eq!(packet.payload, [0xab, 0xcd]);
        bytes[6] = 0x20;
        assert_eq!(Packet::decode(&bytes), None, "a fragment");
    }
}

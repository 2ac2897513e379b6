//! The Internet checksum (RFC 1071), with the pseudo-header of the layer below where there is one.

use std::net::IpAddr;

/// A checksum that is being added up. All bytes but the last part come in pairs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checksum(u64);

impl Checksum {
    /// The sum of `bytes`; of an odd one at their end the other half counts as zero.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(0).and(bytes)
    }

    /// The sum of the pseudo-header: of UDP and TCP over IPv4 (RFC 768), and the same numbers for
    /// IPv6 (RFC 8200 section 8.1).
    pub(super) fn of_pseudo_header(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let sum = Self(length as u64 + u64::from(protocol));
        sum.and_address(source).and_address(destination)
    }

    pub(super) fn and(self, bytes: &[u8]) -> Self {
        let words = bytes.chunks(2).map(|pair| {
            u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
        });
        Self(self.0 + words.sum::<u64>())
    }

    /// What goes into the field, if that was zero; zero if it was there already and is right.
    pub(super) fn finish(self) -> u16 {
        let mut sum = self.0;
        while let (low, high @ 1..) = (sum & 0xffff, sum >> 16) {
            sum = low + high;
        }
        !u16::try_from(sum).unwrap_or_default()
    }

    fn and_address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.and(&address.octets()),
            IpAddr::V6(address) => self.and(&address.octets()),
        }
    }
}

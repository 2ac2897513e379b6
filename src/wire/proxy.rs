//! The PROXY protocol: a header in front of a relayed stream that tells the server whose it is.
//!
//! Source: "The PROXY protocol, versions 1 & 2" (haproxy's `doc/proxy-protocol.txt`), sections 2.1
//! and 2.2. Only TCP is written, and only by a proxy that knows both addresses.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What version 2 begins with: bytes that no version 1 header and no other protocol begin with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2, command PROXY: the connection was relayed for the addresses that follow.
const VERSION_AND_COMMAND: u8 = 0x21;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// A version of the PROXY protocol.
#[allow(
    clippy::exhaustive_enums,
    reason = "a protocol version more is a breaking change for every match"
)]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyProtocol {
    /// The header for a TCP connection that a client at `source` made to `destination`.
    ///
    /// An IPv4 address mapped into IPv6 is written as IPv4; where only one of the two is IPv4, it
    /// is mapped into IPv6, since a header has one family.
    #[must_use]
    pub fn header(self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let ports = (source.port(), destination.port());
        match (source.ip().to_canonical(), destination.ip().to_canonical(), self) {
            (IpAddr::V4(from), IpAddr::V4(to), Self::V1) => text("TCP4", from, to, ports),
            (IpAddr::V4(from), IpAddr::V4(to), Self::V2) => {
                binary(TCP_OVER_IPV4, &from.octets(), &to.octets(), ports)
            }
            (from, to, Self::V1) => text("TCP6", ipv6(from), ipv6(to), ports),
            (from, to, Self::V2) => {
                binary(TCP_OVER_IPV6, &ipv6(from).octets(), &ipv6(to).octets(), ports)
            }
        }
    }
}

fn ipv6(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn text(
    family: &str,
    from: impl std::fmt::Display,
    to: impl std::fmt::Display,
    ports: (u16, u16),
) -> Vec<u8> {
    format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1).into_bytes()
}

fn binary<const N: usize>(family: u8, from: &[u8; N], to: &[u8; N], ports: (u16, u16)) -> Vec<u8> {
    let addresses = [&from[..], to, &ports.0.to_be_bytes(), &ports.1.to_be_bytes()].concat();
    // Two addresses and two ports: 12 bytes or 36.
    let length = [0, addresses.len().to_le_bytes()[0]];
    [&SIGNATURE[..], &[VERSION_AND_COMMAND, family], &length, &addresses].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyProtocol, source: &str, destination: &str) -> Vec<u8> {
        version.header(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn version_1_is_a_line_with_both_addresses_and_ports() {
        let line = header(ProxyProtocol::V1, "192.0.2.7:54321", "198.51.100.80:443");
        assert_eq!(line, b"PROXY TCP4 192.0.2.7 198.51.100.80 54321 443\r\n");
        let line = header(ProxyProtocol::V1, "[2001:db8::7]:54321", "[2001:db8::80]:443");
        assert_eq!(line, b"PROXY TCP6 2001:db8::7 2001:db8::80 54321 443\r\n");
    }

    #[test]
    fn the_longest_line_of_version_1_fits_the_107_bytes_of_the_specification() {
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        assert!(header(ProxyProtocol::V1, longest, longest).len() <= 107);
    }

    #[test]
    fn version_2_over_ipv4_is_28_bytes() {
        let bytes = header(ProxyProtocol::V2, "192.0.2.7:54321", "198.51.100.80:443");
        let expected = [
            0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
            0x0a, // signature
            0x21, 0x11, 0x00, 0x0c, // version 2 PROXY, TCP over IPv4, 12 bytes
            192, 0, 2, 7, 198, 51, 100, 80, // addresses
            0xd4, 0x31, 0x01, 0xbb, // ports
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn version_2_over_ipv6_is_52_bytes() {
        let bytes = header(ProxyProtocol::V2, "[2001:db8::7]:54321", "[2001:db8::80]:443");
        assert_eq!(bytes.len(), 52);
        assert_eq!(bytes[12..16], [0x21, 0x21, 0x00, 0x24]);
        assert_eq!(bytes[16..20], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((bytes[31], bytes[47]), (0x07, 0x80));
        assert_eq!(bytes[48..], [0xd4, 0x31, 0x01, 0xbb]);
    }

    #[test]
    fn mapped_addresses_are_written_as_what_they_are() {
        let line = header(ProxyProtocol::V1, "[::ffff:192.0.2.7]:1", "192.0.2.80:2");
        assert_eq!(line, b"PROXY TCP4 192.0.2.7 192.0.2.80 1 2\r\n");
        let line = header(ProxyProtocol::V1, "192.0.2.7:1", "[2001:db8::80]:2");
        assert_eq!(line, b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::80 1 2\r\n");
    }
}

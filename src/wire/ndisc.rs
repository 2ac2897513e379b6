//! Neighbour discovery for IPv6 over Ethernet (RFC 4861): the announcement of an address, and those
//! of others.

use std::net::Ipv6Addr;

use super::checksum::Checksum;
use super::ethernet::{self, EtherType, MacAddr};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// Neighbours drop what a router could have passed on (RFC 4861 section 7.1.2).
const HOP_LIMIT: u8 = 255;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;

/// The unsolicited neighbour advertisement to all nodes (RFC 4861 section 7.2.6) that says:
/// `address` is at `hardware`, whatever you knew before.
///
/// `router` must say whether the sender forwards packets: neighbours drop a gateway that says it
/// does not.
#[must_use]
pub fn unsolicited(hardware: MacAddr, address: Ipv6Addr, router: bool) -> Vec<u8> {
    let message = advertisement(hardware, address, router);
    let packet = packet(address, ALL_NODES, &message);
    ethernet::frame(MacAddr::ALL_IPV6_NODES, hardware, EtherType::Ipv6, &packet)
}

/// The neighbour solicitation without a source that asks whether somebody has `address`, as
/// duplicate address detection does (RFC 4862 section 5.4.2).
#[must_use]
pub fn probe(hardware: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    let checksum = checksum(Ipv6Addr::UNSPECIFIED, group, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let packet = packet(Ipv6Addr::UNSPECIFIED, group, &message);
    let destination = MacAddr([0x33, 0x33, 0xff, a, b, c]);
    ethernet::frame(destination, hardware, EtherType::Ipv6, &packet)
}

/// The address that a neighbour advertisement says its sender has, and where the frame is from.
#[must_use]
pub fn claim(frame: &[u8]) -> Option<(Ipv6Addr, MacAddr)> {
    let packet = ethernet::payload(frame, EtherType::Ipv6)?;
    let [next, hops] = *packet.get(6..)?.first_chunk()?;
    let kind = *packet.get(40)?;
    if (next, hops, kind) != (ICMPV6, HOP_LIMIT, NEIGHBOUR_ADVERTISEMENT) {
        return None;
    }
    let address = Ipv6Addr::from(*packet.get(48..)?.first_chunk::<16>()?);
    Some((address, MacAddr(*frame.get(6..)?.first_chunk()?)))
}

fn packet(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40 + message.len());
    packet.extend_from_slice(&[0x60, 0, 0, 0]);
    packet.extend_from_slice(&length(message).to_be_bytes());
    packet.extend_from_slice(&[ICMPV6, HOP_LIMIT]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(message);
    packet
}

fn advertisement(hardware: MacAddr, address: Ipv6Addr, router: bool) -> Vec<u8> {
    let flags = OVERRIDE | if router { ROUTER } else { 0 };
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    // Its length counts units of eight bytes.
    message.extend_from_slice(&[TARGET_LINK_LAYER_ADDRESS, 1]);
    message.extend_from_slice(&hardware.0);
    let checksum = checksum(address, ALL_NODES, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// The checksum of an ICMPv6 message whose own field is zero (RFC 4443 section 2.3), or zero for
/// one whose field is right.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let pseudo_header =
        Checksum::of_pseudo_header(source.into(), destination.into(), ICMPV6, message.len());
    pseudo_header.and(message).finish()
}

/// Every message here is 24 or 32 bytes long.
fn length(message: &[u8]) -> u16 {
    u16::try_from(message.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HARDWARE: MacAddr = MacAddr([0x02, 0, 0x5e, 0x10, 0, 0x01]);

    #[test]
    fn an_advertisement_is_as_the_standard_has_it() {
        let address: Ipv6Addr = "2001:db8::80".parse().unwrap();
        let frame = unsolicited(HARDWARE, address, false);
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "33330000000102005e10000186dd6000000000203aff\
             20010db8000000000000000000000080ff020000000000000000000000000001\
             8800CHECK2000000020010db8000000000000000000000080020102005e100001"
                .replace("CHECK", &hex[112..116])
        );
    }

    proptest! {
        #[test]
        fn the_checksum_of_every_advertisement_is_right(
            hardware: [u8; 6], address: [u8; 16], router: bool,
        ) {
            let frame = unsolicited(MacAddr(hardware), address.into(), router);
            prop_assert_eq!(frame.len(), 14 + 40 + 32);
            prop_assert_eq!(checksum(address.into(), ALL_NODES, &frame[54..]), 0);
            prop_assert_eq!(frame[58] & ROUTER != 0, router);
            prop_assert_eq!(claim(&frame), Some((address.into(), MacAddr(hardware))));
        }

        #[test]
        fn a_probe_goes_to_the_group_of_the_address_and_claims_nothing(
            hardware: [u8; 6], address: [u8; 16],
        ) {
            let frame = probe(MacAddr(hardware), address.into());
            let group: [u8; 16] = frame[38..54].try_into().unwrap();
            prop_assert_eq!(&group[..13], &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
            prop_assert_eq!((&group[13..], &frame[3..6]), (&address[13..], &address[13..]));
            prop_assert_eq!(checksum(Ipv6Addr::UNSPECIFIED, group.into(), &frame[54..]), 0);
            prop_assert_eq!(claim(&frame), None);
        }

        #[test]
        fn any_bytes_are_read_as_a_claim_or_as_none(bytes: Vec<u8>) {
            let _ = claim(&bytes);
        }
    }
}

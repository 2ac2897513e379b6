//! Address resolution for IPv4 over Ethernet (RFC 826): the announcements of an address, and those
//! of others.

use std::net::Ipv4Addr;

use super::ethernet::{self, EtherType, MacAddr};

/// In which form an address is announced. Neighbours differ in which of them they heed, so both
/// are sent.
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A request for the address by its holder: the ARP announcement of RFC 5227 section 3.
    Request,
    /// A reply nobody asked for (RFC 5944 section 4.6), the form that Piranha's `send_arp` sent.
    Reply,
}

impl Form {
    const fn operation(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
        }
    }
}

/// The broadcast frame that says: `address` is at `hardware`.
#[must_use]
pub fn gratuitous(form: Form, hardware: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let target = match form {
        Form::Request => MacAddr::ZERO,
        Form::Reply => hardware,
    };
    let packet = packet(form.operation(), hardware, address, target, address);
    ethernet::frame(MacAddr::BROADCAST, hardware, EtherType::Arp, &packet)
}

/// The broadcast frame that asks whether somebody has `address`, without claiming it (an ARP probe,
/// RFC 5227 section 2.1.1).
#[must_use]
pub fn probe(hardware: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let request = Form::Request.operation();
    let packet = packet(request, hardware, Ipv4Addr::UNSPECIFIED, MacAddr::ZERO, address);
    ethernet::frame(MacAddr::BROADCAST, hardware, EtherType::Arp, &packet)
}

/// The address that the sender of an ARP frame, a request or a reply, says it has, and where it
/// says it is. None in a probe, which claims nothing.
#[must_use]
pub fn claim(frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let packet = ethernet::payload(frame, EtherType::Arp)?;
    if packet.get(..6)? != PREAMBLE {
        return None;
    }
    let hardware = MacAddr(*packet.get(8..)?.first_chunk()?);
    let address = Ipv4Addr::from(*packet.get(14..)?.first_chunk::<4>()?);
    (!address.is_unspecified()).then_some((address, hardware))
}

/// Ethernet, IPv4, and the lengths of their addresses.
const PREAMBLE: [u8; 6] = [0, 1, 8, 0, 6, 4];

fn packet(
    operation: u16,
    hardware: MacAddr,
    sender: Ipv4Addr,
    target_hardware: MacAddr,
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut packet = Vec::with_capacity(28);
    packet.extend_from_slice(&PREAMBLE);
    packet.extend_from_slice(&operation.to_be_bytes());
    packet.extend_from_slice(&hardware.0);
    packet.extend_from_slice(&sender.octets());
    packet.extend_from_slice(&target_hardware.0);
    packet.extend_from_slice(&target.octets());
    packet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HARDWARE: MacAddr = MacAddr([0x02, 0, 0x5e, 0x10, 0, 0x01]);

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn both_forms_are_as_the_standards_have_them() {
        let address = Ipv4Addr::new(192, 0, 2, 80);
        let padding = "00".repeat(18);
        assert_eq!(
            hex(&gratuitous(Form::Request, HARDWARE, address)),
            "ffffffffffff02005e1000010806000108000604000102005e100001c0000250000000000000c0000250"
                .to_owned()
                + &padding
        );
        assert_eq!(
            hex(&gratuitous(Form::Reply, HARDWARE, address)),
            "ffffffffffff02005e1000010806000108000604000202005e100001c000025002005e100001c0000250"
                .to_owned()
                + &padding
        );
    }

    proptest! {
        #[test]
        fn an_announcement_names_its_sender_and_nobody_else(
            hardware: [u8; 6], address: [u8; 4], reply: bool,
        ) {
            let form = if reply { Form::Reply } else { Form::Request };
            let frame = gratuitous(form, MacAddr(hardware), address.into());
            prop_assert_eq!(frame.len(), ethernet::MIN_FRAME);
            prop_assert_eq!(&frame[6..12], &hardware);
            prop_assert_eq!((&frame[22..28], &frame[28..32]), (&hardware[..], &address[..]));
            prop_assert_eq!(&frame[38..42], &address);
            let address = Ipv4Addr::from(address);
            let claimed = (!address.is_unspecified()).then_some((address, MacAddr(hardware)));
            prop_assert_eq!(claim(&frame), claimed);
            prop_assert_eq!(claim(&probe(MacAddr(hardware), address)), None);
        }

        #[test]
        fn any_bytes_are_read_as_a_claim_or_as_none(bytes: Vec<u8>) {
            let _ = claim(&bytes);
        }
    }
}

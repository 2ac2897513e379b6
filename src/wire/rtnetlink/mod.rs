//! Links and addresses as the kernel tells and takes them (rtnetlink, `linux/rtnetlink.h`).
//!
//! Requests are values that [encode](Request::encode) themselves; what comes back is read by
//! [`messages`]. Nothing here knows a socket.

mod address;
mod attribute;
mod link;

pub use address::{Lifetime, LinkAddress, OURS};
pub use link::{Link, Macvlan};

use attribute::{Malformed, bytes_at};

const HEADER: usize = 16;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const INTERRUPTED: u16 = 0x10;

/// Groups to listen to, as bits: changes of links, IPv4 addresses and IPv6 addresses.
pub const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// What can be asked.
#[allow(clippy::exhaustive_enums, reason = "what this crate asks")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// All links, one [`Message::Link`] each, then [`Message::Done`].
    ListLinks,
    /// All addresses, one [`Message::Address`] each, then [`Message::Done`].
    ListAddresses,
    /// Have this address, or give the one that is there this lifetime. Answered by
    /// [`Message::Acknowledged`].
    PutAddress(LinkAddress),
    /// Have this address no more. Answered by [`Message::Acknowledged`].
    RemoveAddress(LinkAddress),
    /// Make this device. Answered by [`Message::Acknowledged`].
    AddMacvlan(Macvlan),
    /// Have the link with this index up. Answered by [`Message::Acknowledged`].
    SetLinkUp(u32),
    /// Have the link with this index no more. Answered by [`Message::Acknowledged`].
    RemoveLink(u32),
}

impl Request {
    /// Appends the request as one message with this sequence number.
    pub fn encode(&self, sequence: u32, out: &mut Vec<u8>) {
        let acknowledgement = if self.is_listing() { 0 } else { ACK };
        self.write(sequence, acknowledgement, out);
    }

    /// Appends the request so that it is answered only if it fails. The kernel carries out the
    /// messages of one send in order: if the last of them is acknowledged, the others are done.
    pub fn encode_quietly(&self, sequence: u32, out: &mut Vec<u8>) {
        self.write(sequence, 0, out);
    }

    const fn is_listing(&self) -> bool {
        matches!(self, Self::ListLinks | Self::ListAddresses)
    }

    fn write(&self, sequence: u32, acknowledgement: u16, out: &mut Vec<u8>) {
        let (kind, flags) = match self {
            Self::ListLinks => (GET_LINK, DUMP),
            Self::ListAddresses => (GET_ADDRESS, DUMP),
            Self::PutAddress(_) => (NEW_ADDRESS, CREATE | REPLACE),
            Self::RemoveAddress(_) => (DEL_ADDRESS, 0),
            Self::AddMacvlan(_) => (NEW_LINK, CREATE | EXCLUSIVE),
            Self::SetLinkUp(_) => (NEW_LINK, 0),
            Self::RemoveLink(_) => (DEL_LINK, 0),
        };
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&kind.to_ne_bytes());
        out.extend_from_slice(&(REQUEST | flags | acknowledgement).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::ListLinks => out.extend_from_slice(&[0; 16]),
            Self::ListAddresses => out.extend_from_slice(&[0; 8]),
            Self::PutAddress(address) => address.write(out),
            Self::RemoveAddress(address) => address.write_identity(out),
            Self::AddMacvlan(device) => device.write(out),
            Self::SetLinkUp(index) => link::write_header(*index, link::UP, out),
            Self::RemoveLink(index) => link::write_header(*index, 0, out),
        }
        let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// What the kernel says.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// The request with this sequence number is done: 0, or the number of an error.
    Acknowledged {
        /// The request's.
        sequence: u32,
        /// 0 for success.
        errno: i32,
    },
    /// The end of a listing.
    Done {
        /// The request's.
        sequence: u32,
    },
    /// A link that is there, new or changed.
    Link(Link),
    /// A link that is gone.
    LinkGone(Link),
    /// An address that is there, new or changed.
    Address(LinkAddress),
    /// An address that is gone.
    AddressGone(LinkAddress),
    /// Messages were lost, or a listing was changed while it was read.
    Lost,
    /// Something else, or something that cannot be read: of no use here.
    Other,
}

/// The messages of a datagram, in order. Ends after the first that is not whole.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (message, following) = split(rest)?;
        rest = following;
        Some(message)
    })
}

fn split(rest: &[u8]) -> Option<(Message, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(bytes_at(rest, 0).ok()?)).ok()?;
    let message = rest.get(..length).filter(|_| length >= HEADER)?;
    let following = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((read(message).unwrap_or(Message::Other), following))
}

fn read(message: &[u8]) -> Result<Message, Malformed> {
    let kind = u16::from_ne_bytes(bytes_at(message, 4)?);
    let flags = u16::from_ne_bytes(bytes_at(message, 6)?);
    let sequence = u32::from_ne_bytes(bytes_at(message, 8)?);
    let payload = message.get(HEADER..).ok_or(Malformed)?;
    Ok(match kind {
        ERROR => {
            let errno = i32::from_ne_bytes(bytes_at(payload, 0)?).saturating_neg();
            Message::Acknowledged { sequence, errno }
        }
        OVERRUN => Message::Lost,
        _ if flags & INTERRUPTED != 0 => Message::Lost,
        DONE => Message::Done { sequence },
        NEW_LINK => Message::Link(Link::read(payload)?),
        DEL_LINK => Message::LinkGone(Link::read(payload)?),
        NEW_ADDRESS => Message::Address(LinkAddress::read(payload)?),
        DEL_ADDRESS => Message::AddressGone(LinkAddress::read(payload)?),
        _ => Message::Other,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::ethernet::MacAddr;

    fn vip(text: &str) -> LinkAddress {
        LinkAddress::new(7, text.parse().unwrap())
    }

    fn hex(request: &Request) -> String {
        let mut bytes = Vec::new();
        request.encode(5, &mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv4_address_is_put_with_label_broadcast_lifetime_and_tag() {
        let lifetime = Lifetime::of(Duration::from_secs(3));
        let address = vip("192.0.2.80").with_prefix(24).with_label("eth0:1").unwrap();
        let address = address.with_lifetime(lifetime);
        let expected = [
            "60000000",
            "1400",
            "0505",
            "05000000",
            "00000000", // netlink
            "02180000",
            "07000000", // family, prefix, flags, scope; index
            "08000200",
            "c0000250",
            "08000100",
            "c0000250", // local, address
            "08000400",
            "c00002ff", // broadcast
            "0b000300",
            "657468303a310000", // label
            "05000b00",
            "50000000", // who put it there
            "14000600",
            "03000000",
            "03000000",
            "00000000",
            "00000000", // lifetimes
            "08000800",
            "00000000", // flags
        ];
        assert_eq!(hex(&Request::PutAddress(address)), expected.concat());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv6_address_is_put_without_duplicate_detection_and_not_for_own_connections() {
        let address = vip("2001:db8::80").with_lifetime(Lifetime::of(Duration::from_secs(3)));
        let sent = hex(&Request::PutAddress(address));
        assert!(sent.contains("0a800000 07000000".replace(' ', "").as_str()), "{sent}");
        assert!(sent.contains("14000600 00000000 03000000".replace(' ', "").as_str()), "{sent}");
        assert!(sent.ends_with("0800080002000000"), "{sent}");
    }

    fn any_address() -> impl Strategy<Value = LinkAddress> {
        let ip = any::<std::net::IpAddr>();
        let label = proptest::option::of("[a-z]{1,8}:[0-9]{1,3}");
        (any::<u32>(), ip, 0u8..=32, label, proptest::option::of(1u64..1000)).prop_map(
            |(index, ip, prefix, label, seconds)| {
                let address = LinkAddress::new(index, ip).with_prefix(prefix);
                let address = match label.filter(|_| ip.is_ipv4()) {
                    Some(label) => address.with_label(&label).unwrap(),
                    None => address,
                };
                match seconds {
                    Some(s) => address.with_lifetime(Lifetime::of(Duration::from_secs(s))),
                    None => address,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_put_reads_back(address in any_address(), sequence: u32) {
            let mut bytes = Vec::new();
            Request::PutAddress(address.clone()).encode(sequence, &mut bytes);
            Request::RemoveAddress(address.clone()).encode(sequence, &mut bytes);
            let read: Vec<_> = messages(&bytes).collect();
            prop_assert_eq!(&read[0], &Message::Address(address.clone()));
            let Message::AddressGone(gone) = &read[1] else { panic!("{read:?}") };
            prop_assert!(gone.is_same(&address));
            prop_assert_eq!(read.len(), 2);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER);
        }
    }

    #[test]
    fn a_macvlan_reads_back_as_the_device_it_is_to_be() {
        let hardware = MacAddr([2, b'P', 0, 1, 2, 3]);
        let mut bytes = Vec::new();
        Request::AddMacvlan(Macvlan::new("vip7-010203", 7, hardware)).encode(5, &mut bytes);
        let read: Vec<_> = messages(&bytes).collect();
        let [Message::Link(link)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((link.name(), link.below(), link.is_macvlan()), ("vip7-010203", Some(7), true));
        assert!(!link.is_up(), "it is set up first");
        assert!(hex(&Request::AddMacvlan(Macvlan::new("x", 7, hardware))).contains("0250"));
    }

    #[test]
    fn an_acknowledgement_carries_the_error_of_its_request() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&20u32.to_ne_bytes());
        bytes.extend_from_slice(&ERROR.to_ne_bytes());
        bytes.extend_from_slice(&0u16.to_ne_bytes());
        bytes.extend_from_slice(&9u32.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(-19i32).to_ne_bytes());
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read, [Message::Acknowledged { sequence: 9, errno: 19 }]);
    }
}

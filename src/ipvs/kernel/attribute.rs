//! Netlink attributes: type, length, value, padded to four bytes.

use std::net::IpAddr;

use super::abi::family;
use super::reply::Malformed;
use crate::net::Family;

const HEADER: usize = 4;
/// Above the type stand the flags for nesting and byte order.
const TYPE_MASK: u16 = 0x3fff;

/// One attribute of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(super) const fn new(kind: u16, value: &'a [u8]) -> Self {
        Self { kind, value }
    }

    /// Its type, without the flags for nesting and byte order.
    #[must_use]
    pub const fn kind(&self) -> u16 {
        self.kind
    }

    /// Its value, without padding.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The attributes nested in it.
    #[must_use]
    pub const fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }

    pub(super) fn u8(&self) -> Result<u8, Malformed> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(super) fn u16(&self) -> Result<u16, Malformed> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(super) fn port(&self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self) -> Result<u32, Malformed> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&self) -> Result<u64, Malformed> {
        self.array().map(u64::from_ne_bytes)
    }

    /// A string; the kernel ends it with a NUL.
    pub(super) fn text(&self) -> Result<&'a str, Malformed> {
        let bytes = self.value.strip_suffix(b"\0").unwrap_or(self.value);
        let text = str::from_utf8(bytes).ok();
        text.ok_or(Malformed("a name is not text"))
    }

    /// An address of `family`, in the first bytes of up to sixteen.
    pub(super) fn address(&self, family: Family) -> Result<IpAddr, Malformed> {
        let short = Malformed("an address is too short");
        if self.value.len() > 16 {
            return Err(Malformed("an address is too long"));
        }
        match family {
            Family::Ipv4 => self.value.first_chunk::<4>().map(|v4| (*v4).into()),
            Family::Ipv6 => self.value.first_chunk::<16>().map(|v6| (*v6).into()),
        }
        .ok_or(short)
    }

    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        let value = self.value.try_into().ok();
        value.ok_or(Malformed("an attribute has the wrong length"))
    }
}

/// The attributes in a stretch of bytes, in order.
///
/// Ends after the first error: what follows a wrong length means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self) -> Result<Attribute<'a>, Malformed> {
        let broken = Malformed("an attribute reaches beyond its message");
        let rest = std::mem::take(&mut self.rest);
        let (&[a, b, c, d], _) = rest.split_first_chunk::<HEADER>().ok_or(broken)?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(HEADER..length).ok_or(broken)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok(Attribute { kind: u16::from_ne_bytes([c, d]) & TYPE_MASK, value })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.take())
    }
}

/// Appends attributes to a message.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.0.extend_from_slice(value);
        self.close(start);
        self
    }

    pub(super) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    pub(super) fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(super) fn port(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let start = self.open(kind);
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        self.close(start);
        self
    }

    /// An address in the kernel's sixteen bytes.
    pub(super) fn address(&mut self, kind: u16, address: IpAddr) -> &mut Self {
        let mut bytes = [0; 16];
        match address {
            IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes = v6.octets(),
        }
        self.bytes(kind, &bytes)
    }

    pub(super) fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        let start = self.open(kind);
        content(&mut Writer(self.0));
        self.close(start);
        self
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    /// Every value here is bounded by its type far below the 64 KiB an attribute can hold.
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

pub(super) const fn family_number(family: Family) -> u16 {
    match family {
        Family::Ipv4 => family::INET,
        Family::Ipv6 => family::INET6,
    }
}

pub(super) const fn family_of(number: u16) -> Option<Family> {
    match number {
        family::INET => Some(Family::Ipv4),
        family::INET6 => Some(Family::Ipv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        Writer(&mut bytes).text(6, "wlc").nest(1, |nest| {
            nest.port(4, 80).u8(8, 9);
        });
        assert_eq!(bytes.len() % 4, 0);
        let read: Vec<_> = Attributes::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(read[0].text(), Ok("wlc"));
        let nested: Vec<_> = read[1].nested().map(Result::unwrap).collect();
        assert_eq!((nested[0].port(), nested[1].u8()), (Ok(80), Ok(9)));
    }

    #[test]
    fn a_length_beyond_the_message_ends_the_reading() {
        for bytes in
            [&[3, 0, 1, 0][..], &[9, 0, 1, 0, 0, 0, 0, 0], &[4, 0], &[0, 0, 0, 0, 4, 0, 1, 0]]
        {
            let read: Vec<_> = Attributes::new(bytes).collect();
            assert_eq!(read.len(), 1, "{bytes:?}");
            assert!(read[0].is_err());
        }
    }

    #[test]
    fn flags_above_the_type_are_not_part_of_it() {
        let bytes = [5u16.to_ne_bytes(), 0xc003u16.to_ne_bytes()].concat();
        let bytes = [bytes, vec![7, 0, 0, 0]].concat();
        let attribute = Attributes::new(&bytes).next().unwrap().unwrap();
        assert_eq!((attribute.kind(), attribute.value()), (3, &[7][..]));
    }
}

use super::attribute::{Malformed, attributes, bytes_at, text, write};
use crate::wire::ethernet::MacAddr;

const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const BELOW: u16 = 5;
const MASTER: u16 = 10;
const INFO: u16 = 18;
const BELOW_NAMESPACE: u16 = 37;
/// Within [`INFO`].
const KIND: u16 = 1;
const DATA: u16 = 2;
/// Within [`DATA`] of a macvlan, and its value for one that hears no other on its device.
const MACVLAN_MODE: u16 = 1;
const PRIVATE: u32 = 1;

const ETHERNET: u16 = 1;
pub(super) const UP: u32 = 0x1;
const RUNNING: u32 = 0x40;
const NO_ARP: u32 = 0x80;

/// A network device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    index: u32,
    name: Box<str>,
    hardware: Option<MacAddr>,
    flags: u32,
    below: Option<u32>,
    master: Option<u32>,
    aggregate: bool,
    macvlan: bool,
}

/// A macvlan that is to be made: a device on another one, with an Ethernet address of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Macvlan {
    name: Box<str>,
    below: u32,
    hardware: MacAddr,
}

impl Macvlan {
    /// `name`, of at most 15 bytes, on the device with the index `below`.
    #[must_use]
    pub fn new(name: &str, below: u32, hardware: MacAddr) -> Self {
        Self { name: name.into(), below, hardware }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (mut data, mut info) = (Vec::new(), Vec::new());
        write(&mut data, MACVLAN_MODE, &PRIVATE.to_ne_bytes());
        write(&mut info, KIND, b"macvlan\0");
        write(&mut info, DATA, &data);
        write_header(0, 0, out);
        write(out, NAME, &[self.name.as_bytes(), b"\0"].concat());
        write(out, ADDRESS, &self.hardware.0);
        write(out, BELOW, &self.below.to_ne_bytes());
        write(out, INFO, &info);
    }
}

/// What a request about a link begins with: its index, and the flags that are to be set.
pub(super) fn write_header(index: u32, flags: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
    for field in [index, flags, flags] {
        out.extend_from_slice(&field.to_ne_bytes());
    }
}

impl Link {
    /// Its index.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.name
    }

    /// Its Ethernet address, if neighbours find it by one. A VLAN, a bond and a bridge have one,
    /// loopback and a tunnel do not.
    #[must_use]
    pub const fn hardware(&self) -> Option<MacAddr> {
        self.hardware
    }

    /// Whether the administrator has it up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    /// Whether it is up and has a carrier, or a driver that does not tell.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.flags & RUNNING != 0
    }

    /// The index of the device it stands on, as a VLAN or a macvlan does, if that is in the same
    /// network namespace.
    #[must_use]
    pub const fn below(&self) -> Option<u32> {
        self.below
    }

    /// The index of the bond, team or bridge it is a port of.
    #[must_use]
    pub const fn master(&self) -> Option<u32> {
        self.master
    }

    /// Whether it is a bond or a team.
    #[must_use]
    pub const fn is_aggregate(&self) -> bool {
        self.aggregate
    }

    /// Whether it is a macvlan.
    #[must_use]
    pub const fn is_macvlan(&self) -> bool {
        self.macvlan
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let kind = u16::from_ne_bytes(bytes_at(payload, 2)?);
        let index = u32::from_ne_bytes(bytes_at(payload, 4)?);
        let flags = u32::from_ne_bytes(bytes_at(payload, 8)?);
        let (mut name, mut hardware) = (None, None);
        let (mut below, mut master) = (None, None);
        let (mut kind_name, mut elsewhere) = (None, false);
        for (attribute, value) in attributes(payload.get(16..).unwrap_or_default()) {
            match attribute {
                NAME => name = text(value),
                BELOW => below = number(value),
                MASTER => master = number(value),
                BELOW_NAMESPACE => elsewhere = true,
                INFO => kind_name = attributes(value).find(|(a, _)| *a == KIND),
                ADDRESS => hardware = value.try_into().ok().map(MacAddr),
                _ => {}
            }
        }
        let kind_name = kind_name.and_then(|(_, value)| text(value)).unwrap_or_default();
        // The other end of a veth is named in the same place, and is beside it.
        let stands = !elsewhere && &*kind_name != "veth";
        let neighbours = kind == ETHERNET && flags & NO_ARP == 0;
        Ok(Self {
            index,
            name: name.ok_or(Malformed)?,
            hardware: hardware.filter(|_| neighbours),
            flags,
            below: below.filter(|below| *below != index && stands),
            master,
            aggregate: matches!(&*kind_name, "bond" | "team"),
            macvlan: &*kind_name == "macvlan",
        })
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
impl Link {
    /// A link that is up with these flags besides.
    pub(crate) fn example(index: u32, name: &str, flags: u32) -> Self {
        let (hardware, below, master) = (None, None, None);
        let (aggregate, macvlan) = (false, false);
        Self { index, name: name.into(), hardware, flags, below, master, aggregate, macvlan }
    }

    pub(crate) const fn on(mut self, below: u32) -> Self {
        self.below = Some(below);
        self
    }

    pub(crate) const fn port_of(mut self, master: u32) -> Self {
        self.master = Some(master);
        self
    }

    pub(crate) const fn aggregate(mut self) -> Self {
        self.aggregate = true;
        self
    }
}

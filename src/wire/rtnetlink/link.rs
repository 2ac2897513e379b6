use super::attribute::{Malformed, attributes, bytes_at, text};
use crate::wire::ethernet::MacAddr;

const ADDRESS: u16 = 1;
const NAME: u16 = 3;

const ETHERNET: u16 = 1;
const RUNNING: u32 = 0x40;
const NO_ARP: u32 = 0x80;

/// A network device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    index: u32,
    name: Box<str>,
    hardware: Option<MacAddr>,
    running: bool,
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

    /// Whether it is up and has a carrier.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let kind = u16::from_ne_bytes(bytes_at(payload, 2)?);
        let index = u32::from_ne_bytes(bytes_at(payload, 4)?);
        let flags = u32::from_ne_bytes(bytes_at(payload, 8)?);
        let (mut name, mut hardware) = (None, None);
        for (attribute, value) in attributes(payload.get(16..).unwrap_or_default()) {
            match attribute {
                NAME => name = text(value),
                ADDRESS => hardware = value.try_into().ok().map(MacAddr),
                _ => {}
            }
        }
        let neighbours = kind == ETHERNET && flags & NO_ARP == 0;
        Ok(Self {
            index,
            name: name.ok_or(Malformed)?,
            hardware: hardware.filter(|_| neighbours),
            running: flags & RUNNING != 0,
        })
    }
}

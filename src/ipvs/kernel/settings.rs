//! What belongs to no service: timeouts, sync daemons, version.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::abi::{daemon, info, top};
use super::attribute::{Attributes, Writer};
use super::reply::{Inexpressible, Malformed, Undecodable, UnknownAttribute};
use super::service::seconds;
use crate::net::{Family, OutOfRange};

/// How long the kernel keeps a connection without packets.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timeouts {
    /// An established TCP connection; the kernel's default is 15 minutes.
    pub tcp: Duration,
    /// A TCP connection after a FIN; 2 minutes.
    pub tcp_fin: Duration,
    /// A UDP flow; 5 minutes.
    pub udp: Duration,
}

impl Timeouts {
    /// These timeouts, in whole seconds. Zero leaves the one in force when they are set.
    #[must_use]
    pub const fn new(tcp: Duration, tcp_fin: Duration, udp: Duration) -> Self {
        Self { tcp, tcp_fin, udp }
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.u32(top::TIMEOUT_TCP, seconds(self.tcp))
            .u32(top::TIMEOUT_TCP_FIN, seconds(self.tcp_fin))
            .u32(top::TIMEOUT_UDP, seconds(self.udp));
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Result<Self, Malformed> {
        let mut timeouts = Self::default();
        for attribute in attributes {
            let attribute = attribute?;
            let slot = match attribute.kind() {
                top::TIMEOUT_TCP => &mut timeouts.tcp,
                top::TIMEOUT_TCP_FIN => &mut timeouts.tcp_fin,
                top::TIMEOUT_UDP => &mut timeouts.udp,
                _ => continue,
            };
            *slot = Duration::from_secs(attribute.u32()?.into());
        }
        Ok(timeouts)
    }
}

/// What the kernel says about its IPVS.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Info {
    /// The version of IPVS, one byte for each part; 1.2.1 on every kernel of the last decade.
    pub version: u32,
    /// Buckets of the connection table. From 7.x on it grows with need and starts at 0.
    pub table_size: u32,
}

impl Info {
    /// The three parts of the version.
    #[must_use]
    pub const fn version_parts(&self) -> [u8; 3] {
        let [_, major, minor, patch] = self.version.to_be_bytes();
        [major, minor, patch]
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Result<Self, Malformed> {
        let mut info = Self::default();
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind() {
                info::VERSION => info.version = attribute.u32()?,
                info::TABLE_SIZE => info.table_size = attribute.u32()?,
                _ => {}
            }
        }
        Ok(info)
    }
}

/// Which side of connection synchronisation a daemon is.
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonRole {
    /// Sends the connections of this director.
    Master,
    /// Receives those of another.
    Backup,
}

impl DaemonRole {
    pub(super) const fn of(number: u32) -> Option<Self> {
        match number {
            daemon::MASTER => Some(Self::Master),
            daemon::BACKUP => Some(Self::Backup),
            _ => None,
        }
    }

    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Master => daemon::MASTER,
            Self::Backup => daemon::BACKUP,
        }
    }
}

impl fmt::Display for DaemonRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A connection synchronisation daemon: a thread of the kernel that sends or receives connections
/// by multicast, without authentication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daemon {
    role: DaemonRole,
    interface: Box<str>,
    sync_id: u8,
    max_length: Option<NonZeroU16>,
    group: Option<IpAddr>,
    port: Option<NonZeroU16>,
    ttl: Option<NonZeroU8>,
    unknown: Vec<UnknownAttribute>,
}

impl Daemon {
    /// A daemon on `interface` with sync id 0 and the kernel's choice of all else.
    ///
    /// # Errors
    /// [`OutOfRange`] unless the interface's name has 1 to 15 bytes, and none is NUL, `/` or blank.
    pub fn new(role: DaemonRole, interface: &str) -> Result<Self, OutOfRange> {
        let odd = |c: char| c == '\0' || c == '/' || c.is_whitespace();
        if !(1..=15).contains(&interface.len()) || interface.contains(odd) {
            return Err(OutOfRange {
                what: "interface name",
                allowed: "1 to 15 bytes without blanks and slashes",
            });
        }
        let mut daemon = Self::nameless(role);
        daemon.interface = interface.into();
        Ok(daemon)
    }

    fn nameless(role: DaemonRole) -> Self {
        Self {
            role,
            interface: Box::default(),
            sync_id: 0,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
            unknown: Vec::new(),
        }
    }

    /// With another id. A backup takes what a master with the same id sends; a backup with id 0
    /// takes all.
    #[must_use]
    pub const fn with_sync_id(mut self, sync_id: u8) -> Self {
        self.sync_id = sync_id;
        self
    }

    /// With datagrams up to this length, which must be the same on both directors. The default is
    /// 1472 for a master, whatever the interface carries, and what the interface carries for a
    /// backup. Linux 4.3.
    #[must_use]
    pub const fn with_max_length(mut self, bytes: NonZeroU16) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// With another multicast group than 224.0.0.81. Linux 4.3.
    ///
    /// # Errors
    /// [`OutOfRange`] if it is not a multicast address.
    pub fn with_group(mut self, group: IpAddr) -> Result<Self, OutOfRange> {
        if !group.is_multicast() {
            return Err(OutOfRange { what: "sync group", allowed: "a multicast address" });
        }
        self.group = Some(group);
        Ok(self)
    }

    /// With another UDP port than 8848. Linux 4.3.
    #[must_use]
    pub const fn with_port(mut self, port: NonZeroU16) -> Self {
        self.port = Some(port);
        self
    }

    /// With another time to live than 1. Linux 4.3.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: NonZeroU8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Which side it is.
    #[must_use]
    pub const fn role(&self) -> DaemonRole {
        self.role
    }

    /// Its interface.
    #[must_use]
    pub const fn interface(&self) -> &str {
        &self.interface
    }

    /// Its id; of an id above 255 that another program set, the byte that goes on the wire.
    #[must_use]
    pub const fn sync_id(&self) -> u8 {
        self.sync_id
    }

    /// The longest datagram; a kernel before 4.3 does not say.
    #[must_use]
    pub const fn max_length(&self) -> Option<NonZeroU16> {
        self.max_length
    }

    /// The multicast group; a kernel before 4.3 does not say.
    #[must_use]
    pub const fn group(&self) -> Option<IpAddr> {
        self.group
    }

    /// The UDP port; a kernel before 4.3 does not say.
    #[must_use]
    pub const fn port(&self) -> Option<NonZeroU16> {
        self.port
    }

    /// The time to live; a kernel before 4.3 does not say.
    #[must_use]
    pub const fn ttl(&self) -> Option<NonZeroU8> {
        self.ttl
    }

    /// Attributes of a running daemon that this crate does not know.
    #[must_use]
    pub fn unknown(&self) -> &[UnknownAttribute] {
        &self.unknown
    }

    /// A running daemon of which no more is told.
    pub(super) fn running(role: DaemonRole, interface: &str, sync_id: u8) -> Self {
        let mut daemon = Self::nameless(role).with_sync_id(sync_id);
        daemon.interface = interface.into();
        daemon
    }

    /// Whether it says more than its interface and id.
    pub(super) const fn has_settings(&self) -> bool {
        self.max_length.is_some()
            || self.group.is_some()
            || self.port.is_some()
            || self.ttl.is_some()
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.u32(daemon::STATE, self.role.number())
            .text(daemon::INTERFACE, &self.interface)
            .u32(daemon::SYNC_ID, self.sync_id.into());
        if let Some(bytes) = self.max_length {
            out.u16(daemon::MAX_LENGTH, bytes.get());
        }
        match self.group {
            Some(IpAddr::V4(group)) => out.bytes(daemon::GROUP, &group.octets()),
            Some(IpAddr::V6(group)) => out.bytes(daemon::GROUP6, &group.octets()),
            None => out,
        };
        // In host order, unlike every other port of this interface.
        if let Some(port) = self.port {
            out.u16(daemon::PORT, port.get());
        }
        if let Some(ttl) = self.ttl {
            out.u8(daemon::TTL, ttl.get());
        }
    }

    pub(super) fn decode(nest: Attributes<'_>) -> Result<Self, Undecodable> {
        let mut role = None;
        let mut read = Self::nameless(DaemonRole::Master);
        for attribute in nest {
            let attribute = attribute?;
            match attribute.kind() {
                daemon::STATE => role = Some(attribute.u32()?),
                daemon::INTERFACE => read.interface = attribute.text()?.into(),
                daemon::SYNC_ID => [read.sync_id, ..] = attribute.u32()?.to_le_bytes(),
                daemon::MAX_LENGTH => read.max_length = NonZeroU16::new(attribute.u16()?),
                daemon::GROUP => read.group = Some(attribute.address(Family::Ipv4)?),
                daemon::GROUP6 => read.group = Some(attribute.address(Family::Ipv6)?),
                daemon::PORT => read.port = NonZeroU16::new(attribute.u16()?),
                daemon::TTL => read.ttl = NonZeroU8::new(attribute.u8()?),
                _ => read.unknown.push(UnknownAttribute::new(&attribute)),
            }
        }
        read.role = role.and_then(DaemonRole::of).ok_or(Inexpressible("its role"))?;
        Ok(read)
    }
}

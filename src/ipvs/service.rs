use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::BitOr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::{Family, FirewallMark, OutOfRange, Protocol};

/// What identifies a virtual service. IPVS allows one service for each key.
///
/// Ordered by kind, then protocol, then address, so that a table prints the same way every time.
#[allow(clippy::exhaustive_enums, reason = "IPVS knows these two ways to name a service")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKey {
    /// Connections of `protocol` to `address` (a VIP and port). Port 0 means every port and needs
    /// persistence.
    Address {
        /// TCP, UDP or SCTP.
        protocol: Protocol,
        /// The VIP and port.
        address: SocketAddr,
    },
    /// Packets that netfilter marked with `mark`, whatever their address and port.
    Mark {
        /// The mark.
        mark: FirewallMark,
        /// The address family; a mark may carry one service for each.
        family: Family,
    },
}

impl ServiceKey {
    /// The TCP service at `address`.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self::Address { protocol: Protocol::Tcp, address }
    }

    /// The UDP service at `address`.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self::Address { protocol: Protocol::Udp, address }
    }

    /// The SCTP service at `address`.
    #[must_use]
    pub const fn sctp(address: SocketAddr) -> Self {
        Self::Address { protocol: Protocol::Sctp, address }
    }

    /// The IPv4 or IPv6 service for `mark`.
    #[must_use]
    pub const fn mark(mark: FirewallMark, family: Family) -> Self {
        Self::Mark { mark, family }
    }

    /// The address family of clients and, unless tunnelled, of real servers.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(address.ip()),
            Self::Mark { family, .. } => *family,
        }
    }

    /// The VIP, where the key names one.
    #[must_use]
    pub const fn vip(&self) -> Option<IpAddr> {
        match self {
            Self::Address { address, .. } => Some(address.ip()),
            Self::Mark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    /// `TCP 192.0.2.80:80`, `UDP [2001:db8::80]:53`, `FWM 80`, `FWM 80 IPv6`: ipvsadm's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address } => write!(f, "{protocol} {address}"),
            Self::Mark { mark, family: Family::Ipv4 } => write!(f, "FWM {mark}"),
            Self::Mark { mark, family: Family::Ipv6 } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// A scheduler by its kernel name, such as `wlc`: 1 to 15 printable ASCII characters.
///
/// Any name is accepted, also of a scheduler this crate does not implement: the kernel may have
/// it. Whether a data plane knows it is for [`plan`](super::plan()) to say.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SchedulerName(Box<str>);

impl SchedulerName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SchedulerName {
    /// `wlc`, the default of lvs.cf and ipvsadm.
    fn default() -> Self {
        Self("wlc".into())
    }
}

impl FromStr for SchedulerName {
    type Err = OutOfRange;

    fn from_str(name: &str) -> Result<Self, OutOfRange> {
        if is_kernel_name(name) {
            Ok(Self(name.into()))
        } else {
            Err(OutOfRange {
                what: "scheduler name",
                allowed: "1 to 15 printable ASCII characters",
            })
        }
    }
}

impl TryFrom<String> for SchedulerName {
    type Error = OutOfRange;

    fn try_from(name: String) -> Result<Self, OutOfRange> {
        name.parse()
    }
}

impl From<SchedulerName> for String {
    fn from(name: SchedulerName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a scheduler is told besides its name: the three flags the kernel passes on to it.
///
/// Their meaning is the scheduler's. `sh` and `mh` know the first two; the third has no user yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SchedulerFlags(u32);

impl SchedulerFlags {
    /// None, the default.
    pub const NONE: Self = Self(0);
    /// `flag-1`; `sh-fallback` and `mh-fallback`: where the hashed server is unavailable, take
    /// another instead of refusing.
    pub const FLAG_1: Self = Self(0x08);
    /// `flag-2`; `sh-port` and `mh-port`: hash the client's port too.
    pub const FLAG_2: Self = Self(0x10);
    /// `flag-3`.
    pub const FLAG_3: Self = Self(0x20);

    const ALL: u32 = 0x38;

    /// The flags of these bits (`IP_VS_SVC_F_SCHED1` to `3`).
    ///
    /// # Errors
    /// [`OutOfRange`] for any other bit.
    pub const fn from_bits(bits: u32) -> Result<Self, OutOfRange> {
        if bits & !Self::ALL == 0 {
            Ok(Self(bits))
        } else {
            Err(OutOfRange { what: "scheduler flags", allowed: "the bits 0x08, 0x10 and 0x20" })
        }
    }

    /// The flags among `bits`, whatever else is set there.
    #[must_use]
    pub const fn from_bits_truncate(bits: u32) -> Self {
        Self(bits & Self::ALL)
    }

    /// The flag that `ipvsadm -b` calls `name`, and the scheduler it belongs to: `sh-fallback`,
    /// `sh-port`, `mh-fallback`, `mh-port`, or `flag-1` to `flag-3` of any.
    #[must_use]
    pub fn by_name(name: &str) -> Option<(Self, Option<&'static str>)> {
        Some(match name {
            "flag-1" => (Self::FLAG_1, None),
            "flag-2" => (Self::FLAG_2, None),
            "flag-3" => (Self::FLAG_3, None),
            "sh-fallback" => (Self::FLAG_1, Some("sh")),
            "sh-port" => (Self::FLAG_2, Some("sh")),
            "mh-fallback" => (Self::FLAG_1, Some("mh")),
            "mh-port" => (Self::FLAG_2, Some("mh")),
            _ => return None,
        })
    }

    /// The kernel's bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for SchedulerFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl TryFrom<u32> for SchedulerFlags {
    type Error = OutOfRange;

    fn try_from(bits: u32) -> Result<Self, OutOfRange> {
        Self::from_bits(bits)
    }
}

impl From<SchedulerFlags> for u32 {
    fn from(flags: SchedulerFlags) -> Self {
        flags.0
    }
}

/// A persistence engine by its kernel name, such as `sip`: 1 to 15 printable ASCII characters.
///
/// An engine tells clients apart by what their packets carry (a SIP call's identity) instead of by
/// their address. Any name is accepted; the kernel loads the module `ip_vs_pe_NAME` on use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineName([u8; Self::MAX_LEN]);

impl EngineName {
    const MAX_LEN: usize = 15;

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0);
        let name = &self.0[..end.unwrap_or(Self::MAX_LEN)];
        str::from_utf8(name).unwrap_or_default()
    }
}

impl FromStr for EngineName {
    type Err = OutOfRange;

    fn from_str(name: &str) -> Result<Self, OutOfRange> {
        if !is_kernel_name(name) {
            return Err(OutOfRange {
                what: "persistence engine",
                allowed: "1 to 15 printable ASCII characters",
            });
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for EngineName {
    type Error = OutOfRange;

    fn try_from(name: String) -> Result<Self, OutOfRange> {
        name.parse()
    }
}

impl From<EngineName> for String {
    fn from(name: EngineName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_kernel_name(name: &str) -> bool {
    (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// Persistence: a client keeps its real server for as long as it comes back within the timeout.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "RawPersistence", into = "RawPersistence")]
pub struct Persistence {
    timeout: Duration,
    prefix: Option<u8>,
    engine: Option<EngineName>,
}

impl Persistence {
    /// The longest timeout ipvsadm accepts: 31 days.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

    /// Persistence of each single client for `timeout`, counted from its last connection. A part
    /// of a second counts as a whole one, which is what the kernel can store.
    ///
    /// # Errors
    /// [`OutOfRange`] unless `timeout` is from one second to [`Persistence::MAX_TIMEOUT`].
    pub fn new(timeout: Duration) -> Result<Self, OutOfRange> {
        if (Duration::from_secs(1)..=Self::MAX_TIMEOUT).contains(&timeout) {
            let whole = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
            Ok(Self { timeout: Duration::from_secs(whole), prefix: None, engine: None })
        } else {
            Err(OutOfRange { what: "persistence timeout", allowed: "1 s to 31 days" })
        }
    }

    /// Treats all clients that share the first `prefix` bits of their address as one.
    ///
    /// # Errors
    /// [`OutOfRange`] unless `prefix` is 1 to 128. A prefix longer than the service's family
    /// has bits means each single client.
    pub fn with_prefix(mut self, prefix: u8) -> Result<Self, OutOfRange> {
        if (1..=128).contains(&prefix) {
            self.prefix = Some(prefix);
            Ok(self)
        } else {
            Err(OutOfRange { what: "persistence prefix", allowed: "1 to 128 bits" })
        }
    }

    /// Tells clients apart by `engine` instead of by address alone. Needs a kernel data plane.
    #[must_use]
    pub const fn with_engine(mut self, engine: EngineName) -> Self {
        self.engine = Some(engine);
        self
    }

    /// How long a client is remembered after its last connection.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many leading bits of a client's address tell it from another client.
    #[must_use]
    pub fn prefix(&self, family: Family) -> u8 {
        self.prefix.map_or_else(|| family.bits(), |prefix| prefix.min(family.bits()))
    }

    /// What tells clients apart where the address does not.
    #[must_use]
    pub const fn engine(&self) -> Option<EngineName> {
        self.engine
    }

    /// The client (or group of clients) that `address` belongs to: the address with all bits
    /// after the prefix cleared.
    #[must_use]
    pub fn client(&self, address: IpAddr) -> IpAddr {
        let drop = Family::of(address).bits() - self.prefix(Family::of(address));
        match address {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits().checked_shr(drop.into()).unwrap_or(0);
                IpAddr::V4(bits.checked_shl(drop.into()).unwrap_or(0).into())
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits().checked_shr(drop.into()).unwrap_or(0);
                IpAddr::V6(bits.checked_shl(drop.into()).unwrap_or(0).into())
            }
        }
    }
}

#[derive(Deserialize, Serialize)]
struct RawPersistence {
    timeout: Duration,
    prefix: Option<u8>,
    #[serde(default)]
    engine: Option<EngineName>,
}

impl TryFrom<RawPersistence> for Persistence {
    type Error = OutOfRange;

    fn try_from(raw: RawPersistence) -> Result<Self, OutOfRange> {
        let mut persistence = Self::new(raw.timeout)?;
        persistence.engine = raw.engine;
        raw.prefix.map_or(Ok(persistence), |prefix| persistence.with_prefix(prefix))
    }
}

impl From<Persistence> for RawPersistence {
    fn from(persistence: Persistence) -> Self {
        Self {
            timeout: persistence.timeout,
            prefix: persistence.prefix,
            engine: persistence.engine,
        }
    }
}

/// Help for a protocol that carries addresses of further connections inside its first one.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Helper {
    /// FTP (RFC 959, RFC 2428): passive (PASV, EPSV) and active (PORT, EPRT) data connections
    /// follow their control connection to its real server. The kernel's `ip_vs_ftp`.
    Ftp,
}

/// A virtual service without its real servers; [`Entry`](super::Entry) is both.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Service {
    key: ServiceKey,
    scheduler: SchedulerName,
    #[serde(default)]
    scheduler_flags: SchedulerFlags,
    persistence: Option<Persistence>,
    #[serde(default)]
    one_packet: bool,
    helper: Option<Helper>,
}

impl Service {
    /// The service `key`, scheduled by `wlc`, without persistence. TCP port 21 has the FTP helper,
    /// as in the kernel.
    #[must_use]
    pub fn new(key: ServiceKey) -> Self {
        let ftp = matches!(key, ServiceKey::Address { protocol: Protocol::Tcp, address } if address.port() == 21);
        Self {
            key,
            scheduler: SchedulerName::default(),
            scheduler_flags: SchedulerFlags::NONE,
            persistence: None,
            one_packet: false,
            helper: ftp.then_some(Helper::Ftp),
        }
    }

    /// The same service with another scheduler.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: SchedulerName) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// The same service with other flags for its scheduler.
    #[must_use]
    pub const fn with_scheduler_flags(mut self, flags: SchedulerFlags) -> Self {
        self.scheduler_flags = flags;
        self
    }

    /// The same service with persistence. A prefix as long as an address is no prefix.
    #[must_use]
    pub fn with_persistence(mut self, mut persistence: Persistence) -> Self {
        let bits = self.key.family().bits();
        persistence.prefix = persistence.prefix.filter(|prefix| *prefix < bits);
        self.persistence = Some(persistence);
        self
    }

    /// The same service with each packet scheduled on its own, or not. For UDP and firewall marks.
    #[must_use]
    pub const fn with_one_packet(mut self, one_packet: bool) -> Self {
        self.one_packet = one_packet;
        self
    }

    /// The same service with a helper for its protocol, or without one.
    #[must_use]
    pub const fn with_helper(mut self, helper: Option<Helper>) -> Self {
        self.helper = helper;
        self
    }

    /// What identifies it.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        self.key
    }

    /// How it picks a real server for a new connection.
    #[must_use]
    pub const fn scheduler(&self) -> &SchedulerName {
        &self.scheduler
    }

    /// What its scheduler is told besides its name.
    #[must_use]
    pub const fn scheduler_flags(&self) -> SchedulerFlags {
        self.scheduler_flags
    }

    /// Whether each packet is scheduled on its own, as if it were a connection (ipvsadm's `ops`).
    #[must_use]
    pub const fn one_packet(&self) -> bool {
        self.one_packet
    }

    /// Whether and how clients keep their server.
    #[must_use]
    pub const fn persistence(&self) -> Option<Persistence> {
        self.persistence
    }

    /// The helper for its protocol.
    #[must_use]
    pub const fn helper(&self) -> Option<Helper> {
        self.helper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persistence_prefix_groups_the_clients_that_share_it() {
        let by_24 = Persistence::new(Duration::from_secs(60)).unwrap().with_prefix(24).unwrap();
        assert_eq!(
            by_24.client("10.1.2.3".parse().unwrap()),
            "10.1.2.0".parse::<IpAddr>().unwrap()
        );
        let by_64 = Persistence::new(Duration::from_secs(60)).unwrap().with_prefix(64).unwrap();
        assert_eq!(
            by_64.client("10.1.2.3".parse().unwrap()),
            "10.1.2.3".parse::<IpAddr>().unwrap()
        );
        assert_eq!(
            by_64.client("2001:db8::1:2:3:4".parse().unwrap()),
            "2001:db8::".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn persistence_out_of_range_is_refused_also_when_it_arrives_as_data() {
        assert!(Persistence::new(Duration::ZERO).is_err());
        assert!(Persistence::new(Persistence::MAX_TIMEOUT + Duration::from_secs(1)).is_err());
        let raw = r#"{"timeout":{"secs":0,"nanos":0},"prefix":null}"#;
        assert!(serde_json::from_str::<Persistence>(raw).is_err());
    }

    #[test]
    fn a_scheduler_name_the_kernel_could_not_store_is_refused() {
        assert!("".parse::<SchedulerName>().is_err());
        assert!("sixteencharacter".parse::<SchedulerName>().is_err());
        assert!("a b".parse::<SchedulerName>().is_err());
        assert!("sixteencharacter".parse::<EngineName>().is_err());
        let longest = "fifteen-letters".parse::<EngineName>().unwrap();
        assert_eq!(longest.as_str(), "fifteen-letters");
        assert_eq!("wlc".parse(), Ok(SchedulerName::default()));
    }
}

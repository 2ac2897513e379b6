//! The typed model: what an lvs.cf means.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod notify;

use super::{Directive, Span};
use crate::failover::{Role, vrrp};
use crate::health::{CheckPath, CheckSpec, FlapLimit, InitialState, LoadMonitor, SlowStart};
use crate::ipvs::relay::RelayOptions;
use crate::ipvs::{
    Destination, Forwarding, Helper, Persistence, SchedulerFlags, SchedulerName, Service,
    ServiceKey, Thresholds,
};
use crate::net::{Family, FirewallMark, Protocol, Weight};
use crate::wire::proxy::ProxyProtocol;
pub(crate) use notify::mail_address;
pub use notify::{Mail, MailSecurity, Notify, Relay, Topic, WebUrl};

/// A whole configuration without an error in it.
///
/// [`load`](super::load) is the only source of one. Defaults are those of Piranha 0.8.6 where it
/// had the directive.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Config {
    /// `role`: what this node is. Without it the node that has the address `primary` is the
    /// primary, as in 0.8.6.
    pub role: Option<Role>,
    /// `primary`: public address of the primary director.
    pub primary: IpAddr,
    /// `primary_private`: its address on the second heartbeat path.
    pub primary_private: Option<IpAddr>,
    /// `backup`: public address of the backup director. Always there with `backup_active`.
    pub backup: Option<IpAddr>,
    /// `backup_private`: its address on the second heartbeat path. Never there without
    /// `primary_private`.
    pub backup_private: Option<IpAddr>,
    /// `backup_active`: whether there is a second director. Off by default.
    pub backup_active: bool,
    /// `heartbeat_port`: UDP port on both directors, 539 by default.
    pub heartbeat_port: u16,
    /// `heartbeat_version`: 2 by default.
    pub heartbeat_version: HeartbeatVersion,
    /// `heartbeat_key`: the file with the key that authenticates heartbeats.
    pub heartbeat_key: Option<PathBuf>,
    /// `heartbeat_key_accepted`: the file with a second key that is accepted beside it. Never
    /// there without `heartbeat_key`.
    pub heartbeat_key_accepted: Option<PathBuf>,
    /// `heartbeat_path`: further heartbeat paths, the primary's end first.
    pub heartbeat_paths: Vec<(IpAddr, IpAddr)>,
    /// `heartbeat_protocol` and what goes with it, if it is VRRP; the pulse protocol otherwise.
    pub vrrp: Option<Vrrp>,
    /// `keepalive`: interval of the heartbeats, 2 s by default. Always below `deadtime`.
    pub keepalive: Duration,
    /// `deadtime`: silence after which the partner counts as dead, 5 s by default. With VRRP four
    /// times `keepalive`: no director waits longer.
    pub deadtime: Duration,
    /// `failback`: whether the primary takes the service back when it returns. Off by default.
    pub failback: bool,
    /// `network`: how real servers are reached, NAT by default.
    pub network: Forwarding,
    /// `nat_router`: the floating address that NAT real servers use as gateway, and its device.
    pub nat_router: Option<(IpAddr, String)>,
    /// `nat_nmask`: its netmask as a prefix length.
    pub nat_nmask: Option<u8>,
    /// `virtual_mac`: whether floating addresses have an Ethernet address that moves with them. Off
    /// by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub virtual_mac: bool,
    /// `dataplane`: what carries the traffic.
    pub dataplane: DataPlane,
    /// `tcp_timeout`: when an idle TCP connection is forgotten; the data plane's own value where
    /// not given or 0.
    pub tcp_timeout: Option<Duration>,
    /// `tcpfin_timeout`: when a closed TCP connection is forgotten; as above.
    pub tcpfin_timeout: Option<Duration>,
    /// `udp_timeout`: when an idle UDP flow is forgotten; as above.
    pub udp_timeout: Option<Duration>,
    /// `hard_shutdown`: in 0.8.6 whether one dead monitor stops the cluster. On by default. Here
    /// a check cannot die on its own.
    pub hard_shutdown: bool,
    /// `monitor_links`: whether to give up when an own link goes down. Off by default.
    pub monitor_links: bool,
    /// What else has to be in order on a director that holds the service.
    pub guards: Guards,
    /// `sync_file`: files that `piranha sync` keeps the same on both directors, beside this one and
    /// those it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync_files: Vec<PathBuf>,
    /// `syncdaemon`: whether connections are synchronised, which only the kernel can. Off by
    /// default.
    pub syncdaemon: bool,
    /// `syncd_iface`: the interface for it, `eth0` by default.
    pub syncd_iface: String,
    /// `syncd_id`: its id, 0 by default.
    pub syncd_id: u8,
    /// `syncd_group`: the multicast group; the kernel's own, 224.0.0.81, where not given.
    pub syncd_group: Option<IpAddr>,
    /// `syncd_port`: the UDP port; the kernel's own, 8848, where not given.
    pub syncd_port: Option<NonZeroU16>,
    /// `syncd_ttl`: the time to live of its datagrams; the kernel's own, 1, where not given.
    pub syncd_ttl: Option<NonZeroU8>,
    /// `syncd_maxlen`: the longest datagram in bytes; the kernel's own where not given.
    pub syncd_maxlen: Option<NonZeroU16>,
    /// `active_cmd`: what runs when this node turns active.
    pub active_cmd: Option<String>,
    /// `inactive_cmd`: what runs when this node turns inactive, and once at start.
    pub inactive_cmd: Option<String>,
    /// `metrics`: where metrics and health can be read. Nowhere by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<SocketAddr>,
    /// `notify_*`: where events go. Nowhere by default.
    #[serde(default, skip_serializing_if = "Notify::is_default")]
    pub notify: Notify,
    /// `serial_no`: counter of the GUI's edits.
    pub serial_no: Option<i64>,
    /// Directives that nothing acts on.
    pub legacy: Legacy,
    /// `service`: which kind of blocks counts, `virtual` by default.
    #[serde(default, skip_serializing_if = "ServiceKind::is_lvs")]
    pub service: ServiceKind,
    /// The `virtual` blocks in the order of the file, those with `active = 0` included. None with
    /// `service = fos`.
    pub virtuals: Vec<Virtual>,
    /// The `failover` blocks, in the same way. None without `service = fos`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failovers: Vec<Failover>,
}

impl Config {
    /// Both ends of each heartbeat path, the primary's first: the public path, the private one,
    /// and the others. None without a `backup`.
    pub fn heartbeat_pairs(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let public = self.backup.map(|backup| (self.primary, backup));
        let private = self.primary_private.zip(self.backup_private);
        let others = self.heartbeat_paths.iter().copied().filter(|_| self.backup.is_some());
        public.into_iter().chain(private).chain(others)
    }

    /// The virtual services that are offered.
    pub fn active_virtuals(&self) -> impl Iterator<Item = &Virtual> + Clone {
        self.virtuals.iter().filter(|service| service.active)
    }

    /// The failover services that are offered.
    pub fn active_failovers(&self) -> impl Iterator<Item = &Failover> {
        self.failovers.iter().filter(|failover| failover.service.active)
    }

    /// Whether a command is to be run for what happens on this node, or somebody told of it.
    #[must_use]
    pub fn is_notifying(&self) -> bool {
        self.active_cmd.is_some() || self.inactive_cmd.is_some() || self.notify.has_sinks()
    }

    /// Whether commands are to be run that may do whatever the administrator may: those that follow
    /// the state or are told of events, and those that start and stop failover services.
    #[must_use]
    pub fn runs_commands(&self) -> bool {
        let hooks = self.active_cmd.is_some() || self.inactive_cmd.is_some();
        let told = !self.notify.commands.is_empty() || !self.notify.event_commands.is_empty();
        hooks || told || self.service == ServiceKind::Fos
    }
}

/// What has to be in order on a director that holds the service.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Guards {
    /// `track_interface`: interfaces that must be up and have a carrier.
    pub interfaces: Vec<String>,
    /// `track_file`: files that must not hold a number other than 0.
    pub files: Vec<PathBuf>,
    /// `track_process`: programs that must run.
    pub processes: Vec<String>,
    /// `track_command`: commands that must succeed, each split at blanks.
    pub commands: Vec<Vec<String>>,
    /// `track_user`: the user they run as.
    pub user: Option<String>,
    /// `track_interval`: how often files, processes and commands are looked at, 1 s by default.
    pub interval: Duration,
    /// `reference`: addresses outside that must answer before a takeover.
    pub references: Vec<IpAddr>,
    /// `reference_quorum`: how many of them, 1 by default.
    pub reference_quorum: usize,
}

/// Directives of old files that are read and kept, and that nothing acts on.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Legacy {
    /// `heartbeat`
    pub heartbeat: Option<bool>,
    /// `sync`
    pub sync: Option<bool>,
    /// `debug_level`
    pub debug_level: Option<String>,
    /// `ipvsadm`
    pub ipvsadm: Option<String>,
    /// `rsh_command`: what `load_monitor = uptime` runs. It is in each [`LoadMonitor`] that does.
    pub rsh_command: Option<String>,
    /// `primary_shared`
    pub primary_shared: Option<String>,
    /// `backup_shared`
    pub backup_shared: Option<String>,
    /// `reservation_conflict_action`
    pub reservation_conflict_action: Option<String>,
}

/// A `virtual` block.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Virtual {
    /// The block's name, a label.
    pub name: String,
    /// `active`: whether the service is offered. Off by default.
    pub active: bool,
    /// `address`: the VIP. Only an inactive service may have an unspecified one.
    pub address: IpAddr,
    /// `address`: the device that gets it, such as `eth0:1`.
    pub device: String,
    /// `vip_nmask`: its netmask as a prefix length.
    pub vip_nmask: Option<u8>,
    /// `port`: 80 by default. 0 means every port.
    pub port: u16,
    /// `protocol`: TCP by default.
    pub protocol: Protocol,
    /// `fwmark`: the mark that makes the service instead of address and port.
    pub fwmark: Option<FirewallMark>,
    /// `scheduler`: `wlc` by default.
    pub scheduler: SchedulerName,
    /// `scheduler_flags`: none by default. Only flags that the scheduler knows.
    pub scheduler_flags: SchedulerFlags,
    /// `persistent`, `pmask` and `persistence_engine`: off by default.
    pub persistence: Option<Persistence>,
    /// `network` and `tunnel_*`: how the real servers are reached; the global value by default. A
    /// server may be reached in another way.
    pub forwarding: Forwarding,
    /// `helper`: FTP on TCP port 21 by default.
    pub helper: Option<Helper>,
    /// `proxy_protocol`: the header in front of each TCP connection to a real server, off by
    /// default. Never there with UDP or with `dataplane = kernel`.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `max_connections`: clients at the same time, beyond which they wait; no limit by default.
    /// Never there with UDP or with `dataplane = kernel`.
    pub max_connections: Option<NonZeroU32>,
    /// `transparent`: whether real servers see the client's address, off by default. Never on with
    /// `dataplane = kernel`, whose servers see it in any case, or with the FTP helper.
    pub transparent: bool,
    /// `one_packet`: whether each datagram is scheduled for itself, off by default. Only there with
    /// UDP or a mark.
    pub one_packet: bool,
    /// `check`, `send`, `expect`, `use_regex`, `http_*`, `tls_*`: how real servers are probed.
    pub check: CheckSpec,
    /// `check_port`, `check_source`, `check_mark`: how a probe gets there.
    pub check_path: CheckPath,
    /// `check_through`: whether a probe goes to the VIP, through the data plane. Off by default;
    /// never on with `dataplane = relay`. Servers behind NAT are checked directly in any case.
    pub check_through: bool,
    /// `timeout`: how often, every 10 s by default.
    pub interval: Duration,
    /// `check_timeout`: how long connecting and reading may take; the interval by default.
    pub timeout: Duration,
    /// `reentry`: how long checks must succeed before a server comes back, 180 s by default.
    pub reentry: Duration,
    /// `rise`: successes before a server comes back; where not given `reentry` decides.
    pub rise: Option<u32>,
    /// `fall`: failures before a server is taken out, 1 by default. Never 0.
    pub fall: u32,
    /// `fast_interval`: how often while a server rises or falls; as always where not given.
    pub fast_interval: Option<Duration>,
    /// `check_jitter`: how far checks stray from their beat, in percent of the interval, 0 to 50.
    /// 0 by default.
    pub check_jitter: u32,
    /// `initial_state`: what a server is taken for before its first check. Nothing by default.
    pub initial_state: InitialState,
    /// `flap_limit` and `flap_window`: how often a server may be taken out before it needs more
    /// successes. Any number by default.
    pub flap_limit: Option<FlapLimit>,
    /// `slow_start`: how the weight of a returning server rises.
    pub slow_start: SlowStart,
    /// `quiesce_server`: whether a failed server stays in the table with weight 0. Off by default.
    pub quiesce_server: bool,
    /// `sorry_server`: who answers when no real server is up.
    pub sorry_servers: Vec<SocketAddr>,
    /// `quorum`, `quorum_of` and `hysteresis`: when the service is up. By default with any weight
    /// above 0.
    pub quorum: Option<Quorum>,
    /// `all_down`: what happens below the quorum while no backup is up. Sorry servers by default.
    pub all_down: AllDown,
    /// `min_servers`: how many servers are kept in whatever their checks say, 0 by default.
    pub min_servers: u32,
    /// `load_monitor`, `load_user`, `load_formula`, `agent_port` and `agent_interval`: what measures
    /// the load of the servers, where that is not `none`, and what follows from it.
    pub load_monitor: Option<LoadMonitor>,
    /// `notify`: whether anybody is told of the service, on by default.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub notify: bool,
    /// `notify_mail`: who gets mail about the service, instead of those who get it otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify_mail: Vec<String>,
    /// The `server` blocks in the order of the file, those with `active = 0` included.
    pub servers: Vec<RealServer>,
    /// The block's header in the file.
    pub span: Span,
}

/// `service`
#[allow(clippy::exhaustive_enums, reason = "lvs.cf has these two")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// Virtual services: connections are balanced over real servers.
    #[default]
    Lvs,
    /// Failover services: the active node serves itself.
    Fos,
}

impl ServiceKind {
    fn is_lvs(&self) -> bool {
        *self == Self::Lvs
    }
}

/// A `failover` block: a service that runs on the active node.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failover {
    /// Its name, address, and how it is checked. It has no real servers.
    pub service: Virtual,
    /// `start_cmd`: what starts it.
    pub start_cmd: Option<String>,
    /// `stop_cmd`: what stops it.
    pub stop_cmd: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn is_yes(value: &bool) -> bool {
    *value
}

impl Virtual {
    /// What identifies the service: its mark if it has one, else protocol, VIP and port.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        match self.fwmark {
            Some(mark) => ServiceKey::mark(mark, Family::of(self.address)),
            None => ServiceKey::Address {
                protocol: self.protocol,
                address: SocketAddr::new(self.address, self.port),
            },
        }
    }

    /// The service as a data plane takes it, without its real servers.
    #[must_use]
    pub fn service(&self) -> Service {
        let service = Service::new(self.key())
            .with_scheduler(self.scheduler.clone())
            .with_scheduler_flags(self.scheduler_flags)
            .with_helper(self.helper)
            .with_one_packet(self.one_packet);
        match self.persistence {
            Some(persistence) => service.with_persistence(persistence),
            None => service,
        }
    }

    /// What the service asks of the relay in particular.
    #[must_use]
    pub fn relay_options(&self) -> RelayOptions {
        RelayOptions {
            proxy_protocol: self.proxy_protocol,
            max_connections: self.max_connections,
            transparent: self.transparent,
        }
    }

    /// The first directive of the service that only the relay obeys.
    #[must_use]
    pub const fn relay_directive(&self) -> Option<Directive> {
        if self.proxy_protocol.is_some() {
            Some(Directive::ProxyProtocol)
        } else if self.max_connections.is_some() {
            Some(Directive::MaxConnections)
        } else if self.transparent {
            Some(Directive::Transparent)
        } else {
            None
        }
    }

    /// The sum of the configured weights of the servers that `quorum` is about: those that are
    /// used and are no backups.
    #[must_use]
    pub fn whole_weight(&self) -> u64 {
        self.whole(QuorumOf::Weight)
    }

    /// How much of what `of` says the servers have together that `quorum` is about: those that are
    /// used, are no backups and have a weight above 0.
    #[must_use]
    pub fn whole(&self, of: QuorumOf) -> u64 {
        let servers = self.active_servers().filter(|server| !server.backup);
        servers.map(|server| of.share(server.weight)).sum()
    }

    /// The real servers that are used.
    pub fn active_servers(&self) -> impl Iterator<Item = &RealServer> + Clone {
        self.servers.iter().filter(|server| server.active)
    }
}

/// `quorum`, `quorum_of` and `hysteresis`: what a service needs to count as up.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Quorum {
    /// `quorum`: below this the service is down.
    pub least: LeastWeight,
    /// `hysteresis`: how much more than that it needs to be up again, 0 by default.
    pub hysteresis: u32,
    /// `quorum_of`: what both count, weight by default.
    #[serde(default, skip_serializing_if = "QuorumOf::is_weight")]
    pub of: QuorumOf,
}

impl Quorum {
    /// Below what a service goes down whose servers have `whole` together, all in the unit of
    /// [`of`](Self::of). A share is rounded up, and never nothing.
    #[must_use]
    pub fn lost_below(self, whole: u64) -> u64 {
        match self.least {
            LeastWeight::Sum(sum) => u64::from(sum),
            LeastWeight::Percent(percent) => {
                whole.saturating_mul(u64::from(percent)).div_ceil(100).max(1)
            }
        }
    }

    /// From what on a service that is down is up again. With every server it has it is, whatever
    /// the hysteresis, unless the quorum itself is above that.
    #[must_use]
    pub fn gained_at(self, whole: u64) -> u64 {
        let least = self.lost_below(whole);
        (least + u64::from(self.hysteresis)).min(least.max(whole))
    }
}

/// `quorum`
#[allow(clippy::exhaustive_enums, reason = "there is no third way to state a quorum")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeastWeight {
    /// A sum of weights, or a number of servers.
    Sum(u32),
    /// A share of the sum of all configured weights, or of the number of servers, 1 to 100.
    Percent(u32),
}

/// `quorum_of`: what `quorum` and `hysteresis` count.
#[allow(clippy::exhaustive_enums, reason = "there is nothing else to count")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuorumOf {
    /// The configured weights of servers, as keepalived does.
    #[default]
    Weight,
    /// The servers, each as one whatever its weight.
    Servers,
}

impl QuorumOf {
    /// Whether it is the default.
    #[must_use]
    pub fn is_weight(&self) -> bool {
        *self == Self::Weight
    }

    /// What a server of this configured weight counts. One of weight 0 is meant to take nothing
    /// and counts nothing.
    #[must_use]
    pub fn share(self, weight: Weight) -> u64 {
        match self {
            Self::Weight => weight.get().into(),
            Self::Servers => u64::from(!weight.is_quiesced()),
        }
    }

    /// An amount in words: `weight 3`, `1 server`.
    #[must_use]
    pub fn amount(self, number: u64) -> String {
        match (self, number) {
            (Self::Weight, _) => format!("weight {number}"),
            (Self::Servers, 1) => "1 server".to_owned(),
            (Self::Servers, _) => format!("{number} servers"),
        }
    }
}

/// `all_down`: what happens to a service that is below its quorum, which by default is when all
/// its servers are down, while no backup is up either.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllDown {
    /// The sorry servers answer; without any, whatever servers are left.
    #[default]
    Sorry,
    /// The servers that were the last to be up stay in, one at least.
    KeepLast,
    /// All servers serve as if they were up: what is wrong are rather the checks.
    FailOpen,
}

/// A `server` block.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RealServer {
    /// The block's name, a label.
    pub name: String,
    /// `address` and `port`; the port of the service by default. Only an inactive server may have
    /// an unspecified address.
    pub address: SocketAddr,
    /// `active`: whether it is used. Off by default.
    pub active: bool,
    /// `backup`: whether it waits until no other server of the service is up. Off by default.
    pub backup: bool,
    /// `network` and `tunnel_*`: how it is reached; as the service says by default.
    pub forwarding: Forwarding,
    /// `weight`: its share of new connections, 1 by default.
    pub weight: Weight,
    /// `u_threshold` and `l_threshold`: no limit by default.
    pub thresholds: Thresholds,
    /// `agent_port` and `agent_interval`: what measures its load; as the service says by default.
    pub load_monitor: Option<LoadMonitor>,
    /// The block's header in the file.
    pub span: Span,
}

impl RealServer {
    /// The real server as a data plane takes it, at its full configured weight.
    #[must_use]
    pub fn destination(&self) -> Destination {
        Destination::new(self.address)
            .with_forwarding(self.forwarding)
            .with_weight(self.weight)
            .with_thresholds(self.thresholds)
    }
}

/// `heartbeat_version`
#[allow(
    clippy::exhaustive_enums,
    reason = "a protocol version more is a breaking change of the model"
)]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatVersion {
    /// The 4-byte datagram of 0.8.6, for a mixed pair.
    V1,
    /// Authenticated where there is a key.
    #[default]
    V2,
}

/// The directives of VRRP.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vrrp {
    /// `heartbeat_protocol`: the version.
    pub version: vrrp::Version,
    /// `vrrp_id`: the number of the virtual router, 1 to 255.
    pub id: u8,
    /// `vrrp_priority`: 1 to 255; that of the role by default
    /// ([`default_priority`](vrrp::Config::default_priority)).
    pub priority: Option<u8>,
    /// `vrrp_interface`: the device that carries it; that of the first VIP by default.
    pub interface: String,
    /// `vrrp_unicast`: whether it is spoken with the partner alone. Off by default.
    pub unicast: bool,
    /// `vrrp_hops`: how many routers it may come through. None by default.
    pub hops: u8,
    /// `vrrp_auth`: the file with the password of version 2.
    pub auth: Option<PathBuf>,
}

/// `dataplane`
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataPlane {
    /// The kernel's IPVS where it is usable, else the relay.
    #[default]
    Auto,
    /// The kernel's IPVS.
    Kernel,
    /// The relay in this process.
    Relay,
}

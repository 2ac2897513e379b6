//! What the command needs of a kernel, and one that lives in memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use crate::ipvs::memory::{Memory, MemoryError};
use crate::ipvs::{Counters, Destination, Entry, Load, Op, Service, ServiceKey, Table};

/// The kernel as ipvsadm uses it.
///
/// Errors are the operating system's numbers ([`io::Error::raw_os_error`]), because ipvsadm's
/// messages depend on them.
pub trait Kernel {
    /// Version and size of the connection table.
    ///
    /// # Errors
    /// The operating system's.
    fn info(&mut self) -> io::Result<Info>;

    /// Every service with its servers, in no order that means anything.
    ///
    /// # Errors
    /// The operating system's.
    fn services(&mut self) -> io::Result<Vec<ListedService>>;

    /// One service with its servers.
    ///
    /// # Errors
    /// The operating system's; `ESRCH` if there is no such service.
    fn service(&mut self, key: ServiceKey) -> io::Result<ListedService>;

    /// Carries out `changes` in order and goes on after one that fails. One result for each.
    fn apply(&mut self, changes: &[Change]) -> Vec<io::Result<()>>;

    /// The timeouts in force.
    ///
    /// # Errors
    /// The operating system's.
    fn timeouts(&mut self) -> io::Result<Timeouts>;

    /// The synchronisation daemons that run, the master first.
    ///
    /// # Errors
    /// The operating system's.
    fn daemons(&mut self) -> io::Result<Vec<SyncDaemon>>;

    /// The connection table as `/proc/net/ip_vs_conn` gives it, with its heading.
    ///
    /// # Errors
    /// The operating system's.
    fn connections(&mut self) -> io::Result<String>;
}

/// One change that ipvsadm can ask for.
#[allow(clippy::exhaustive_enums, reason = "the commands of ipvsadm 1.31")]
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds, edits or removes a service or a server.
    Table(Op),
    /// Removes every service. Connections stay until they time out.
    Flush,
    /// Sets the counters of one service and its servers, or of all, to zero.
    Zero(Option<ServiceKey>),
    /// Changes timeouts; those that are 0 stay as they are.
    SetTimeouts(Timeouts),
    /// Starts a synchronisation daemon.
    StartDaemon(NewDaemon),
    /// Stops the daemon of this role.
    StopDaemon {
        /// Which.
        role: Role,
        /// The id it was started with; the kernel does not compare it.
        sync_id: u8,
    },
}

/// A service as it is listed.
#[allow(clippy::exhaustive_structs, reason = "a record that kernels fill in")]
#[derive(Clone, Debug, PartialEq)]
pub struct ListedService {
    /// Its settings.
    pub service: Service,
    /// What has passed.
    pub counters: Counters,
    /// What is passing.
    pub rates: Rates,
    /// Its servers.
    pub servers: Vec<ListedServer>,
}

/// A real server as it is listed.
#[allow(clippy::exhaustive_structs, reason = "a record that kernels fill in")]
#[derive(Clone, Debug, PartialEq)]
pub struct ListedServer {
    /// Its settings.
    pub destination: Destination,
    /// Its connections.
    pub load: Load,
    /// What has passed.
    pub counters: Counters,
    /// What is passing.
    pub rates: Rates,
}

/// What passes in a second, as the kernel's estimator sees it.
#[allow(clippy::exhaustive_structs, reason = "the kernel's five rates")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// New connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// What the kernel says of itself.
#[allow(clippy::exhaustive_structs, reason = "the kernel's two numbers")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Info {
    /// 0x010201 is version 1.2.1.
    pub version: u32,
    /// Buckets of the connection table.
    pub table_size: u32,
}

/// How long idle connections are kept, in seconds.
#[allow(clippy::exhaustive_structs, reason = "the kernel's three timeouts")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: u32,
    /// TCP connections after a FIN.
    pub tcp_fin: u32,
    /// UDP flows.
    pub udp: u32,
}

/// What a synchronisation daemon does.
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Sends the changes of connections.
    Master,
    /// Receives them.
    Backup,
}

impl Role {
    /// `master` or `backup`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A synchronisation daemon to be started. What is `None` is the kernel's default.
#[allow(clippy::exhaustive_structs, reason = "a record of options")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDaemon {
    /// Whether it sends or receives.
    pub role: Role,
    /// The network interface it multicasts on; ipvsadm's default is `eth0`.
    pub interface: String,
    /// Tells clusters on one network apart.
    pub sync_id: u8,
    /// Largest message in bytes.
    pub max_len: Option<u16>,
    /// Multicast group.
    pub group: Option<IpAddr>,
    /// UDP port.
    pub port: Option<u16>,
    /// Time to live of its packets.
    pub ttl: Option<u8>,
}

/// A synchronisation daemon that runs.
#[allow(clippy::exhaustive_structs, reason = "a record that kernels fill in")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncDaemon {
    /// Whether it sends or receives.
    pub role: Role,
    /// The network interface it multicasts on.
    pub interface: String,
    /// Tells clusters on one network apart. The kernel keeps more than the eight bits it sends.
    pub sync_id: u32,
    /// Largest message in bytes.
    pub max_len: u16,
    /// Multicast group.
    pub group: IpAddr,
    /// UDP port.
    pub port: u16,
    /// Time to live of its packets.
    pub ttl: u8,
}

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;

/// A kernel in memory: it keeps what it is told and refuses what Linux refuses, but no packet ever
/// passes. For previews (`--dry-run`) and tests.
#[derive(Clone, Debug)]
pub struct MemoryKernel {
    memory: Memory,
    timeouts: Timeouts,
    daemons: Vec<SyncDaemon>,
    connections: String,
}

/// The schedulers that Linux 6.1 has.
const SCHEDULERS: [&str; 15] = [
    "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos",
    "none",
];

impl MemoryKernel {
    /// One that has `services` already.
    pub fn with_services(services: impl IntoIterator<Item = ListedService>) -> Self {
        let mut table = Table::new();
        for listed in services {
            let entry = table.insert(listed.service);
            for server in listed.servers {
                entry.insert(server.destination);
            }
        }
        Self {
            memory: Memory::with_table(crate::ipvs::Capabilities::everything(), table),
            ..Self::default()
        }
    }

    /// Makes `text` the connection table.
    pub fn set_connections(&mut self, text: impl Into<String>) {
        self.connections = text.into();
    }

    fn change(&mut self, change: &Change) -> Result<(), i32> {
        match change {
            Change::Table(op) => {
                known_modules(op)?;
                self.memory.apply_op(op).map_err(|error| errno(&error))
            }
            Change::Flush => {
                self.memory = Memory::default();
                Ok(())
            }
            Change::Zero(None) => Ok(()),
            Change::Zero(Some(key)) => {
                let found = self.memory.table().get(key);
                found.map(|_| ()).ok_or(ESRCH)
            }
            Change::SetTimeouts(new) => {
                self.set_timeouts(*new);
                Ok(())
            }
            Change::StartDaemon(new) => self.start(new),
            Change::StopDaemon { role, .. } => self.stop(*role),
        }
    }

    const fn set_timeouts(&mut self, new: Timeouts) {
        let Timeouts { tcp, tcp_fin, udp } = &mut self.timeouts;
        if new.tcp != 0 {
            *tcp = new.tcp;
        }
        if new.tcp_fin != 0 {
            *tcp_fin = new.tcp_fin;
        }
        if new.udp != 0 {
            *udp = new.udp;
        }
    }

    fn start(&mut self, new: &NewDaemon) -> Result<(), i32> {
        if self.daemons.iter().any(|running| running.role == new.role) {
            return Err(EEXIST);
        }
        if !new.interface.starts_with("dum") {
            return Err(ENODEV);
        }
        let group = new
            .group
            .unwrap_or(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)));
        let headers = if group.is_ipv4() { 28 } else { 48 };
        self.daemons.push(SyncDaemon {
            role: new.role,
            interface: new.interface.clone(),
            sync_id: new.sync_id.into(),
            max_len: new.max_len.unwrap_or(1500 - headers),
            group,
            port: new.port.unwrap_or(8848),
            ttl: new.ttl.unwrap_or(1),
        });
        self.daemons.sort_by_key(|running| running.role);
        Ok(())
    }

    fn stop(&mut self, role: Role) -> Result<(), i32> {
        let running = self.daemons.len();
        self.daemons.retain(|daemon| daemon.role != role);
        if self.daemons.len() == running {
            return Err(ESRCH);
        }
        Ok(())
    }
}

impl Default for MemoryKernel {
    fn default() -> Self {
        Self {
            memory: Memory::default(),
            timeouts: Timeouts {
                tcp: 900,
                tcp_fin: 120,
                udp: 300,
            },
            daemons: Vec::new(),
            connections: "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires\n"
                .to_owned(),
        }
    }
}

impl Kernel for MemoryKernel {
    fn info(&mut self) -> io::Result<Info> {
        Ok(Info {
            version: 0x01_02_01,
            table_size: 4096,
        })
    }

    fn services(&mut self) -> io::Result<Vec<ListedService>> {
        Ok(self.memory.table().iter().map(listed).collect())
    }

    fn service(&mut self, key: ServiceKey) -> io::Result<ListedService> {
        let entry = self.memory.table().get(&key);
        entry
            .map(listed)
            .ok_or_else(|| io::Error::from_raw_os_error(ESRCH))
    }

    fn apply(&mut self, changes: &[Change]) -> Vec<io::Result<()>> {
        let apply = |change| self.change(change).map_err(io::Error::from_raw_os_error);
        changes.iter().map(apply).collect()
    }

    fn timeouts(&mut self) -> io::Result<Timeouts> {
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> io::Result<Vec<SyncDaemon>> {
        Ok(self.daemons.clone())
    }

    fn connections(&mut self) -> io::Result<String> {
        Ok(self.connections.clone())
    }
}

fn known_modules(op: &Op) -> Result<(), i32> {
    let (Op::AddService(service) | Op::EditService(service)) = op else {
        return Ok(());
    };
    let engine = service
        .persistence()
        .and_then(|persistence| persistence.engine());
    let known = SCHEDULERS.contains(&service.scheduler().as_str())
        && engine.is_none_or(|engine| engine.as_str() == "sip");
    if known { Ok(()) } else { Err(ENOENT) }
}

const fn errno(error: &MemoryError) -> i32 {
    match error {
        MemoryError::ServiceExists { .. } | MemoryError::DestinationExists { .. } => EEXIST,
        MemoryError::NoService { .. } => ESRCH,
        MemoryError::NoDestination { .. } => ENOENT,
        MemoryError::Unsupported(_) | MemoryError::OnDemand => EINVAL,
    }
}

fn listed(entry: &Entry) -> ListedService {
    let server = |destination: &Destination| ListedServer {
        destination: *destination,
        load: Load::default(),
        counters: Counters::default(),
        rates: Rates::default(),
    };
    ListedService {
        service: entry.service().clone(),
        counters: Counters::default(),
        rates: Rates::default(),
        servers: entry.destinations().map(server).collect(),
    }
}

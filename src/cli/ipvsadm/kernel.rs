//! What the command needs of a kernel, and one that lives in memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use crate::ipvs::kernel::{
    Connection, Daemon, DaemonRole, DestinationStatus, Info, Request, ServiceStatus, Timeouts,
};
use crate::ipvs::memory::{Memory, MemoryError};
use crate::ipvs::{Capabilities, Counters, Destination, Entry, Load, Op, Rates, ServiceKey, Table};
use crate::runtime::kernel::Listed;

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
    fn services(&mut self) -> io::Result<Vec<Listed>>;

    /// One service with its servers.
    ///
    /// # Errors
    /// The operating system's; `ESRCH` if there is no such service.
    fn service(&mut self, key: ServiceKey) -> io::Result<Listed>;

    /// Carries out `changes`, none of them a request that reads, in order, and goes on after one
    /// that fails. One result for each.
    fn apply(&mut self, changes: &[Request]) -> Vec<io::Result<()>>;

    /// The timeouts in force.
    ///
    /// # Errors
    /// The operating system's.
    fn timeouts(&mut self) -> io::Result<Timeouts>;

    /// The synchronisation daemons that run, the master first.
    ///
    /// # Errors
    /// The operating system's.
    fn daemons(&mut self) -> io::Result<Vec<Daemon>>;

    /// The connections and persistence templates.
    ///
    /// # Errors
    /// The operating system's.
    fn connections(&mut self) -> io::Result<Vec<Connection>>;
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
    daemons: Vec<Daemon>,
    connections: Vec<Connection>,
}

/// The schedulers that Linux 6.1 has.
const SCHEDULERS: [&str; 15] = [
    "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos",
    "none",
];

impl MemoryKernel {
    /// One that has `services` already.
    pub fn with_services(services: impl IntoIterator<Item = Listed>) -> Self {
        let mut table = Table::new();
        for listed in services {
            let entry = table.insert(listed.service.service);
            for server in listed.destinations {
                entry.insert(server.destination);
            }
        }
        Self { memory: Memory::with_table(Capabilities::everything(), table), ..Self::default() }
    }

    /// Makes these its connections.
    pub fn set_connections(&mut self, connections: Vec<Connection>) {
        self.connections = connections;
    }

    fn change(&mut self, change: &Request) -> Result<(), i32> {
        match change {
            Request::Flush => {
                self.memory = Memory::default();
                Ok(())
            }
            Request::Zero(Some(key)) => {
                let found = self.memory.table().get(key);
                found.map(|_| ()).ok_or(ESRCH)
            }
            Request::SetTimeouts(new) => {
                self.set_timeouts(*new);
                Ok(())
            }
            Request::StartDaemon(new) => self.start(new),
            Request::StopDaemon(role) => self.stop(*role),
            _ => self.change_table(change),
        }
    }

    fn change_table(&mut self, change: &Request) -> Result<(), i32> {
        let Some(op) = table_op(change) else {
            return Ok(());
        };
        known_modules(&op)?;
        unicast(&op)?;
        self.memory.apply_op(&op).map_err(|error| errno(&error))
    }

    fn set_timeouts(&mut self, new: Timeouts) {
        let Timeouts { tcp, tcp_fin, udp } = &mut self.timeouts;
        if !new.tcp.is_zero() {
            *tcp = new.tcp;
        }
        if !new.tcp_fin.is_zero() {
            *tcp_fin = new.tcp_fin;
        }
        if !new.udp.is_zero() {
            *udp = new.udp;
        }
    }

    fn start(&mut self, new: &Daemon) -> Result<(), i32> {
        if self.daemons.iter().any(|running| running.role() == new.role()) {
            return Err(EEXIST);
        }
        if !new.interface().starts_with("dum") {
            return Err(ENODEV);
        }
        self.daemons.push(with_defaults(new.clone()));
        self.daemons.sort_by_key(Daemon::role);
        Ok(())
    }

    fn stop(&mut self, role: DaemonRole) -> Result<(), i32> {
        let running = self.daemons.len();
        self.daemons.retain(|daemon| daemon.role() != role);
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
            timeouts: Timeouts::new(seconds(900), seconds(120), seconds(300)),
            daemons: Vec::new(),
            connections: Vec::new(),
        }
    }
}

impl Kernel for MemoryKernel {
    fn info(&mut self) -> io::Result<Info> {
        Ok(Info { version: 0x01_02_01, table_size: 4096 })
    }

    fn services(&mut self) -> io::Result<Vec<Listed>> {
        Ok(self.memory.table().iter().map(listed).collect())
    }

    fn service(&mut self, key: ServiceKey) -> io::Result<Listed> {
        let entry = self.memory.table().get(&key);
        entry.map(listed).ok_or_else(|| io::Error::from_raw_os_error(ESRCH))
    }

    fn apply(&mut self, changes: &[Request]) -> Vec<io::Result<()>> {
        let apply = |change| self.change(change).map_err(io::Error::from_raw_os_error);
        changes.iter().map(apply).collect()
    }

    fn timeouts(&mut self) -> io::Result<Timeouts> {
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> io::Result<Vec<Daemon>> {
        Ok(self.daemons.clone())
    }

    fn connections(&mut self) -> io::Result<Vec<Connection>> {
        Ok(self.connections.clone())
    }
}

fn known_modules(op: &Op) -> Result<(), i32> {
    let (Op::AddService(service) | Op::EditService(service)) = op else {
        return Ok(());
    };
    let engine = service.persistence().and_then(|persistence| persistence.engine());
    let known = SCHEDULERS.contains(&service.scheduler().as_str())
        && engine.is_none_or(|engine| engine.as_str() == "sip");
    if known { Ok(()) } else { Err(ENOENT) }
}

/// The kernel asks its routing table, which takes no other address for a server.
fn unicast(op: &Op) -> Result<(), i32> {
    let (Op::AddDestination(_, server) | Op::EditDestination(_, server)) = op else {
        return Ok(());
    };
    let refused = match server.address().ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    if refused { Err(EINVAL) } else { Ok(()) }
}

const fn errno(error: &MemoryError) -> i32 {
    match error {
        MemoryError::ServiceExists { .. } | MemoryError::DestinationExists { .. } => EEXIST,
        MemoryError::NoService { .. } => ESRCH,
        MemoryError::NoDestination { .. } => ENOENT,
        MemoryError::Unsupported(_) | MemoryError::OnDemand => EINVAL,
    }
}

fn listed(entry: &Entry) -> Listed {
    let server = |destination: &Destination| DestinationStatus {
        destination: *destination,
        load: Load::default(),
        counters: Counters::default(),
        rates: Rates::default(),
        exact: true,
        unknown: Vec::new(),
    };
    Listed {
        service: ServiceStatus {
            service: entry.service().clone(),
            counters: Counters::default(),
            rates: Rates::default(),
            exact: true,
            unknown: Vec::new(),
        },
        destinations: entry.destinations().map(server).collect(),
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn table_op(change: &Request) -> Option<Op> {
    Some(match change.clone() {
        Request::AddService(service) => Op::AddService(service),
        Request::EditService(service) => Op::EditService(service),
        Request::RemoveService(key) => Op::RemoveService(key),
        Request::AddDestination(key, server) => Op::AddDestination(key, server),
        Request::EditDestination(key, server) => Op::EditDestination(key, server),
        Request::RemoveDestination(key, address) => Op::RemoveDestination(key, address),
        _ => return None,
    })
}

/// What the kernel chooses for a daemon on an interface that carries 1500 bytes.
fn with_defaults(mut daemon: Daemon) -> Daemon {
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
    let group = daemon.group().unwrap_or(V4);
    let length = if group.is_ipv4() { 1472 } else { 1452 };
    let length = daemon.max_length().or_else(|| NonZeroU16::new(length));
    let port = daemon.port().or_else(|| NonZeroU16::new(8848));
    if let (Some(length), Some(port)) = (length, port) {
        daemon = daemon.with_max_length(length).with_port(port);
    }
    let ttl = daemon.ttl().unwrap_or(NonZeroU8::MIN);
    let daemon = daemon.with_ttl(ttl);
    daemon.clone().with_group(group).unwrap_or(daemon)
}

//! The structures of the socket options, byte by byte: numbers in host order, addresses and ports
//! in network order, all naturally aligned.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::super::abi::{dest, family, option, service as attr};
use super::super::attribute::Attribute;
use super::super::reply::{Inexpressible, Malformed, Reply, Undecodable};
use super::super::request::Request;
use super::super::service::seconds;
use super::super::stats::Totals;
use super::super::{Daemon, DaemonRole, Info, Timeouts, destination, service};
use crate::ipvs::{Counters, Destination, Load, Rates, Service, ServiceKey};
use crate::net::{Family, Protocol};

/// A 32-bit x86 aligns the counters in another way.
pub(super) const IS_KNOWN: bool = align_of::<u64>() == 8;

const KEY: usize = 16;
const NAME: usize = 16;
const SERVICE: usize = 44;
const SERVICE_ENTRY: usize = 104;
const SERVICES_HEADER: usize = 8;
const DESTINATION_ENTRY: usize = 96;
const DESTINATIONS_HEADER: usize = 24;
const DAEMON: usize = 24;
const THREE_NUMBERS: usize = 12;

/// The option that carries `request`.
pub(super) const fn name(request: &Request) -> i32 {
    match request {
        Request::AddService(_) => option::ADD_SERVICE,
        Request::EditService(_) => option::EDIT_SERVICE,
        Request::RemoveService(_) => option::REMOVE_SERVICE,
        Request::GetService(_) => option::GET_SERVICE,
        Request::ListServices => option::GET_SERVICES,
        Request::AddDestination(..) => option::ADD_DESTINATION,
        Request::EditDestination(..) => option::EDIT_DESTINATION,
        Request::RemoveDestination(..) => option::REMOVE_DESTINATION,
        Request::ListDestinations(_) => option::GET_DESTINATIONS,
        Request::StartDaemon(_) => option::START_DAEMON,
        Request::StopDaemon(_) => option::STOP_DAEMON,
        Request::ListDaemons => option::GET_DAEMONS,
        Request::SetTimeouts(_) => option::SET_TIMEOUTS,
        Request::GetTimeouts => option::GET_TIMEOUTS,
        Request::GetInfo => option::GET_INFO,
        Request::Zero(_) => option::ZERO,
        Request::Flush => option::FLUSH,
    }
}

/// What the call is given; for a read, zeros where the answer is to be, with `room` for entries.
pub(super) fn value(request: &Request, room: u32) -> Vec<u8> {
    match request {
        Request::AddService(service) | Request::EditService(service) => of_service(service),
        Request::RemoveService(key) | Request::Zero(Some(key)) => padded(&of_key(*key), SERVICE),
        Request::GetService(key) => padded(&of_key(*key), SERVICE_ENTRY),
        Request::ListServices => {
            padded(&room.to_ne_bytes(), SERVICES_HEADER + entries(room) * SERVICE_ENTRY)
        }
        Request::AddDestination(key, destination) | Request::EditDestination(key, destination) => {
            [padded(&of_key(*key), SERVICE), of_destination(destination)].concat()
        }
        Request::RemoveDestination(key, address) => {
            let destination = Destination::new(*address);
            [padded(&of_key(*key), SERVICE), of_destination(&destination)].concat()
        }
        Request::ListDestinations(key) => {
            let header = [&of_key(*key)[..], &room.to_ne_bytes()].concat();
            padded(&header, DESTINATIONS_HEADER + entries(room) * DESTINATION_ENTRY)
        }
        Request::StartDaemon(daemon) => {
            of_daemon(daemon.role(), daemon.interface(), daemon.sync_id())
        }
        Request::StopDaemon(role) => of_daemon(*role, "", 0),
        Request::ListDaemons => vec![0; 2 * DAEMON],
        Request::SetTimeouts(timeouts) => [timeouts.tcp, timeouts.tcp_fin, timeouts.udp]
            .into_iter()
            .flat_map(|timeout| seconds(timeout).to_ne_bytes())
            .collect(),
        Request::GetTimeouts | Request::GetInfo => vec![0; THREE_NUMBERS],
        Request::Zero(None) => vec![0; SERVICE],
        Request::Flush => Vec::new(),
    }
}

/// The entries of an answer.
pub(super) fn services(answer: &[u8]) -> Vec<&[u8]> {
    answer.get(SERVICES_HEADER..).unwrap_or_default().chunks_exact(SERVICE_ENTRY).collect()
}

pub(super) fn destinations(answer: &[u8]) -> Vec<&[u8]> {
    let list = answer.get(DESTINATIONS_HEADER..).unwrap_or_default();
    list.chunks_exact(DESTINATION_ENTRY).collect()
}

pub(super) fn daemons(answer: &[u8]) -> Vec<&[u8]> {
    answer.chunks_exact(DAEMON).collect()
}

pub(super) fn read_service(entry: &[u8]) -> Result<Reply, Undecodable> {
    let mark = number(entry, 12)?;
    let raw = service::Raw {
        family: Some(family::INET),
        protocol: Some(u16::from_ne_bytes(bytes(entry, 0)?)),
        address: Some(Attribute::new(attr::ADDRESS, span(entry, 4, 4)?)),
        port: Some(u16::from_be_bytes(bytes(entry, 8)?)),
        // Here 0 is no mark.
        mark: (mark != 0).then_some(mark),
        scheduler: Some(text(span(entry, KEY, NAME)?)?),
        flags: number(entry, 32)?,
        timeout: number(entry, 36)?,
        netmask: Some(bytes(entry, 40)?),
        engine: None,
        totals: totals(entry.get(48..).unwrap_or_default())?,
        unknown: Vec::new(),
    };
    Ok(Reply::Service(Box::new(raw.finish()?)))
}

pub(super) fn read_destination(entry: &[u8]) -> Result<Reply, Undecodable> {
    let raw = destination::Raw {
        address: Some(Attribute::new(dest::ADDRESS, span(entry, 0, 4)?)),
        port: Some(u16::from_be_bytes(bytes(entry, 4)?)),
        method: number(entry, 8)? & dest::METHOD_MASK,
        weight: number(entry, 12)?,
        upper: number(entry, 16)?,
        lower: number(entry, 20)?,
        load: Load {
            active: number(entry, 24)?,
            inactive: number(entry, 28)?,
            persistent: number(entry, 32)?,
        },
        totals: totals(entry.get(40..).unwrap_or_default())?,
        ..destination::Raw::default()
    };
    Ok(Reply::Destination(Box::new(raw.finish(Family::Ipv4)?)))
}

pub(super) fn read_daemon(entry: &[u8]) -> Result<Reply, Undecodable> {
    let role = DaemonRole::of(number(entry, 0)?).ok_or(Inexpressible("its role"))?;
    let interface = text(span(entry, 4, NAME)?)?;
    let [sync_id, ..] = number(entry, 20)?.to_le_bytes();
    Ok(Reply::Daemon(Daemon::running(role, interface, sync_id)))
}

pub(super) fn read_timeouts(answer: &[u8]) -> Result<Reply, Undecodable> {
    let seconds = |at| Ok::<_, Malformed>(Duration::from_secs(number(answer, at)?.into()));
    Ok(Reply::Timeouts(Timeouts::new(seconds(0)?, seconds(4)?, seconds(8)?)))
}

pub(super) fn read_info(answer: &[u8]) -> Result<Reply, Undecodable> {
    Ok(Reply::Info(Info { version: number(answer, 0)?, table_size: number(answer, 4)? }))
}

fn entries(room: u32) -> usize {
    usize::try_from(room).unwrap_or(usize::MAX)
}

fn padded(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut value = bytes.to_vec();
    value.resize(size, 0);
    value
}

/// A mark is a service of TCP without address, as the kernel keeps it.
fn of_key(key: ServiceKey) -> [u8; KEY] {
    let mut out = [0; KEY];
    match key {
        ServiceKey::Address { protocol, address } => {
            put(&mut out, 0, &u16::from(protocol.number()).to_ne_bytes());
            put(&mut out, 4, &octets(address.ip()));
            put(&mut out, 8, &address.port().to_be_bytes());
        }
        ServiceKey::Mark { mark, .. } => {
            put(&mut out, 0, &u16::from(Protocol::Tcp.number()).to_ne_bytes());
            put(&mut out, 12, &mark.get().to_ne_bytes());
        }
    }
    out
}

fn of_service(service: &Service) -> Vec<u8> {
    let mut out = padded(&of_key(service.key()), SERVICE);
    put(&mut out, KEY, service.scheduler().as_str().as_bytes());
    put(&mut out, 32, &service::flags(service).to_ne_bytes());
    put(&mut out, 36, &service::timeout(service).to_ne_bytes());
    put(&mut out, 40, &service::persistence_mask(service));
    out
}

fn of_destination(destination: &Destination) -> Vec<u8> {
    let address = destination.address();
    [
        octets(address.ip()),
        padded_port(address.port()),
        destination::method_number(destination.forwarding()).to_ne_bytes(),
        destination.weight().get().to_ne_bytes(),
        destination.thresholds().upper().to_ne_bytes(),
        destination.thresholds().lower().to_ne_bytes(),
    ]
    .concat()
}

fn of_daemon(role: DaemonRole, interface: &str, sync_id: u8) -> Vec<u8> {
    let mut out = vec![0; DAEMON];
    put(&mut out, 0, &role.number().to_ne_bytes());
    put(&mut out, 4, interface.as_bytes());
    put(&mut out, 20, &u32::from(sync_id).to_ne_bytes());
    out
}

fn padded_port(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// Requests about IPv6 are refused before they come here.
const fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED.octets(),
    }
}

/// Names are shorter than their fields: their types see to that.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

const SHORT: Malformed = Malformed("a structure is too short");

fn span(entry: &[u8], at: usize, length: usize) -> Result<&[u8], Malformed> {
    entry.get(at..at + length).ok_or(SHORT)
}

fn bytes<const N: usize>(entry: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    entry.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(SHORT)
}

fn number(entry: &[u8], at: usize) -> Result<u32, Malformed> {
    bytes(entry, at).map(u32::from_ne_bytes)
}

fn text(field: &[u8]) -> Result<&str, Malformed> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    str::from_utf8(&field[..end]).ok().ok_or(Malformed("a name is not text"))
}

/// Counters of 32 bits but for the bytes; they wrap.
fn totals(field: &[u8]) -> Result<Totals, Malformed> {
    let narrow = |at| number(field, at).map(u64::from);
    let wide = |at| bytes(field, at).map(u64::from_ne_bytes);
    let counters = Counters {
        connections: narrow(0)?,
        packets_in: narrow(4)?,
        packets_out: narrow(8)?,
        bytes_in: wide(16)?,
        bytes_out: wide(24)?,
    };
    let rates = Rates {
        connections: narrow(32)?,
        packets_in: narrow(36)?,
        packets_out: narrow(40)?,
        bytes_in: narrow(44)?,
        bytes_out: narrow(48)?,
    };
    Ok(Totals::narrow(counters, rates))
}

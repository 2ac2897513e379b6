//! The tables of services and servers, to the byte as ipvsadm 1.31 prints them.

use std::io::{self, Write};

use super::label::Labels;
use super::parse::Columns;
use super::save::flag_names;
use super::value::dotted_mask;
use crate::ipvs::kernel::{Daemon, DestinationStatus, Info, Timeouts};
use crate::ipvs::{
    Counters, Forwarding, Persistence, Rates, Service, ServiceKey, Tunnel, TunnelChecksum,
};
use crate::net::Family;
use crate::runtime::kernel::Listed;

/// Puts `services` into the order of a list: by firewall mark (addresses have none and come
/// first), family, protocol, address and port; servers by family, address and port.
///
/// Numbers are compared as such. The original subtracts them into 32 bits with a sign and so lists
/// 200.0.0.0/8 before 1.0.0.0/8; the orders agree where all addresses are within 2^31 of each
/// other.
pub fn sort(services: &mut [Listed]) {
    services.sort_by_key(|listed| match listed.service.service.key() {
        ServiceKey::Address { protocol, address } => {
            (0, Family::of(address.ip()), protocol.number(), Some(address))
        }
        ServiceKey::Mark { mark, family } => (mark.get(), family, 0, None),
    });
    for listed in services {
        let servers = &mut listed.destinations;
        servers.sort_by_key(|server| server.destination.address());
    }
}

/// Writes the line that comes before a list of all services.
///
/// # Errors
/// Those of `out`.
pub fn write_info(out: &mut dyn Write, info: Info) -> io::Result<()> {
    let [major, minor, patch] = info.version_parts();
    let size = info.table_size;
    writeln!(out, "IP Virtual Server version {major}.{minor}.{patch} (size={size})")
}

/// Writes the timeouts.
///
/// # Errors
/// Those of `out`.
pub fn write_timeouts(out: &mut dyn Write, timeouts: Timeouts) -> io::Result<()> {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    let seconds = [tcp, tcp_fin, udp].map(|timeout| timeout.as_secs());
    let [tcp, tcp_fin, udp] = seconds;
    writeln!(out, "Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}")
}

/// Writes one line for each daemon.
///
/// # Errors
/// Those of `out`.
pub fn write_daemons(out: &mut dyn Write, daemons: &[Daemon]) -> io::Result<()> {
    for daemon in daemons {
        write_daemon(out, daemon)?;
    }
    Ok(())
}

/// A kernel before 4.3 tells no more of a daemon than its interface and id.
fn write_daemon(out: &mut dyn Write, daemon: &Daemon) -> io::Result<()> {
    let (role, interface, id) = (daemon.role(), daemon.interface(), daemon.sync_id());
    write!(out, "{role} sync daemon (mcast={interface}, syncid={id}")?;
    if let Some(length) = daemon.max_length() {
        write!(out, ", maxlen={length}")?;
    }
    if let Some(group) = daemon.group() {
        write!(out, ", group={group}")?;
    }
    if let Some(port) = daemon.port() {
        write!(out, ", port={port}")?;
    }
    if let Some(ttl) = daemon.ttl() {
        write!(out, ", ttl={ttl}")?;
    }
    writeln!(out, ")")
}

/// A table of services.
#[derive(Debug)]
pub struct TablePrinter<'a> {
    columns: Columns,
    exact: bool,
    labels: &'a Labels<'a>,
}

impl<'a> TablePrinter<'a> {
    /// A table with `columns`; `exact` numbers have all their digits.
    #[must_use]
    pub const fn new(columns: Columns, exact: bool, labels: &'a Labels<'a>) -> Self {
        Self { columns, exact, labels }
    }

    /// Writes the headings and then `services`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write, services: &[Listed]) -> io::Result<()> {
        self.write_headings(out)?;
        for listed in services {
            self.write_service(out, listed)?;
            for server in &listed.destinations {
                self.write_server(out, listed.service.service.key(), server)?;
            }
        }
        Ok(())
    }

    fn write_headings(&self, out: &mut dyn Write) -> io::Result<()> {
        const PLAIN: &str = "Prot LocalAddress:Port Scheduler Flags";
        const NARROW: &str = "Prot LocalAddress:Port";
        const SERVER: &str = "  -> RemoteAddress:Port";
        let server = format!("{SERVER:<33} Forward");
        match self.columns {
            Columns::Load => writeln!(out, "{PLAIN}\n{server} Weight ActiveConn InActConn"),
            Columns::Tunnels => {
                writeln!(out, "{PLAIN}\n{server} TunnelInfo    Weight ActiveConn InActConn")
            }
            Columns::Thresholds => {
                writeln!(out, "{NARROW:<33} Uthreshold Lthreshold ActiveConn InActConn \n{SERVER}")
            }
            Columns::Persistent => {
                writeln!(out, "{NARROW:<33} Weight    PersistConn ActiveConn InActConn \n{SERVER}")
            }
            Columns::Counters => {
                writeln!(out, "{NARROW:<33}    Conns   InPkts  OutPkts  InBytes OutBytes\n{SERVER}")
            }
            Columns::Rates => {
                writeln!(out, "{NARROW:<33}      CPS    InPPS   OutPPS    InBPS   OutBPS\n{SERVER}")
            }
        }
    }

    fn write_service(&self, out: &mut dyn Write, listed: &Listed) -> io::Result<()> {
        let name = self.service_name(listed.service.service.key());
        match self.columns {
            Columns::Counters => {
                write!(out, "{name:<33}")?;
                self.write_counters(out, &listed.service.counters)?;
            }
            Columns::Rates => {
                write!(out, "{name:<33}")?;
                let rates = &listed.service.rates;
                for rate in [rates.connections, rates.packets_in, rates.packets_out] {
                    self.write_large(out, rate)?;
                }
                self.write_bytes(out, rates)?;
            }
            Columns::Load | Columns::Tunnels | Columns::Thresholds | Columns::Persistent => {
                write!(out, "{name} {}", listed.service.service.scheduler())?;
                write_settings(out, &listed.service.service)?;
            }
        }
        writeln!(out)
    }

    /// IPv4 names end where the columns of the wide formats begin; IPv6 has no such limit.
    fn service_name(&self, key: ServiceKey) -> String {
        match key {
            ServiceKey::Address { protocol, address } => {
                let address = self.labels.endpoint(address, Some(protocol));
                let name = format!("{:<4} {address}", protocol.to_string());
                cut(name, 33, key.family())
            }
            ServiceKey::Mark { mark, family } => match family {
                Family::Ipv4 => format!("FWM  {mark}"),
                Family::Ipv6 => format!("FWM  {mark} IPv6"),
            },
        }
    }

    fn write_server(
        &self,
        out: &mut dyn Write,
        key: ServiceKey,
        server: &DestinationStatus,
    ) -> io::Result<()> {
        let destination = &server.destination;
        let name = self.labels.server(key, destination.address());
        let name = cut(name, 28, destination.family());
        write!(out, "  -> {name:<28}")?;
        let load = server.load;
        let weight = destination.weight().get();
        match self.columns {
            Columns::Load => {
                let method = method(destination.forwarding());
                write!(out, " {method:<7} {weight:<6}")?;
            }
            Columns::Tunnels => {
                let method = method(destination.forwarding());
                let tunnel = tunnel(destination.forwarding());
                write!(out, " {method:<7} {tunnel:<13} {weight:<6}")?;
            }
            Columns::Thresholds => {
                let (upper, lower) = (destination.thresholds(), destination.thresholds());
                write!(out, " {:<10} {:<10}", upper.upper(), lower.lower())?;
            }
            Columns::Persistent => write!(out, " {weight:<9} {:<11}", load.persistent)?,
            Columns::Counters => {
                self.write_counters(out, &server.counters)?;
                return writeln!(out);
            }
            Columns::Rates => {
                let rates = &server.rates;
                let (cps, packets_in) = (rates.connections, rates.packets_in);
                write!(out, " {cps:>8} {packets_in:>8} {:>8}", rates.packets_out)?;
                self.write_bytes(out, rates)?;
                return writeln!(out);
            }
        }
        writeln!(out, " {:<10} {:<10}", load.active, load.inactive)
    }

    fn write_counters(&self, out: &mut dyn Write, counters: &Counters) -> io::Result<()> {
        let Counters { connections, packets_in, packets_out, bytes_in, bytes_out } = *counters;
        let counters = [connections, packets_in, packets_out, bytes_in, bytes_out];
        counters.into_iter().try_for_each(|counter| self.write_large(out, counter))
    }

    fn write_bytes(&self, out: &mut dyn Write, rates: &Rates) -> io::Result<()> {
        self.write_large(out, rates.bytes_in)?;
        self.write_large(out, rates.bytes_out)
    }

    /// Nine columns: eight digits, or fewer and a unit.
    fn write_large(&self, out: &mut dyn Write, number: u64) -> io::Result<()> {
        const KILO: u64 = 1_000;
        const MEGA: u64 = 1_000_000;
        const GIGA: u64 = 1_000_000_000;
        const TERA: u64 = 1_000_000_000_000;
        if self.exact {
            let digits = number.to_string();
            let width = (digits.len() + 1).max(9);
            return write!(out, "{digits:>width$}");
        }
        match number {
            0..=99_999_999 => write!(out, "{number:>9}"),
            100_000_000..=999_999_999 => write!(out, "{:>8}K", number / KILO),
            GIGA..=99_999_999_999 => write!(out, "{:>8}M", number / MEGA),
            100_000_000_000..=99_999_999_999_999 => write!(out, "{:>8}G", number / GIGA),
            _ => write!(out, "{:>8}T", number / TERA),
        }
    }
}

fn write_settings(out: &mut dyn Write, service: &Service) -> io::Result<()> {
    let flags = service.scheduler_flags();
    if !flags.is_empty() {
        let names = flag_names(service.scheduler(), flags);
        write!(out, " ({names})")?;
    }
    if let Some(persistence) = service.persistence() {
        write!(out, " persistent {}", persistence.timeout().as_secs())?;
        if let Some(mask) = mask(persistence, service.key().family()) {
            write!(out, " mask {mask}")?;
        }
        if let Some(engine) = persistence.engine() {
            write!(out, " pe {engine}")?;
        }
    }
    if service.one_packet() {
        write!(out, " ops")?;
    }
    Ok(())
}

/// The mask of a persistence in its family's notation, where it is not that of single clients.
pub(super) fn mask(persistence: Persistence, family: Family) -> Option<String> {
    let prefix = persistence.prefix(family);
    (prefix != family.bits()).then(|| match family {
        Family::Ipv4 => dotted_mask(prefix).to_string(),
        Family::Ipv6 => prefix.to_string(),
    })
}

fn cut(mut name: String, columns: usize, family: Family) -> String {
    if family == Family::Ipv4 {
        let end = name.char_indices().nth(columns);
        name.truncate(end.map_or(name.len(), |(index, _)| index));
    }
    name
}

const fn method(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "Masq",
        Forwarding::Direct => "Route",
        Forwarding::Tunnel(_) => "Tunnel",
        Forwarding::Local => "Local",
    }
}

fn tunnel(forwarding: Forwarding) -> String {
    let sign = |checksum| match checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Plain => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    match forwarding {
        Forwarding::Tunnel(Tunnel::Ipip) => "ipip".to_owned(),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
            format!("gue:{port}:{}", sign(checksum))
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => format!("gre:{}", sign(checksum)),
        Forwarding::Direct | Forwarding::Local | Forwarding::Nat => "n/a".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(number: u64, exact: bool) -> String {
        let labels = Labels::numeric();
        let mut out = Vec::new();
        let table = TablePrinter::new(Columns::Counters, exact, &labels);
        table.write_large(&mut out, number).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_of_nine_digits_or_more_is_cut_to_a_unit() {
        let cut = [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
            (u64::MAX, "18446744T"),
        ];
        for (number, printed) in cut {
            assert_eq!(large(number, false), printed);
        }
    }

    #[test]
    fn an_exact_number_has_all_its_digits_and_a_blank_before_them() {
        assert_eq!(large(7, true), "        7");
        assert_eq!(large(123_456_789, true), " 123456789");
        assert_eq!(large(u64::MAX, true), " 18446744073709551615");
    }
}

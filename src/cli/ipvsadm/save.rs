//! The table, and changes to it, as command lines.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::label::Labels;
use super::list::mask;
use crate::ipvs::kernel::{Daemon, Request, Timeouts};
use crate::ipvs::{
    Destination, Forwarding, SchedulerFlags, SchedulerName, Service, ServiceKey, Tunnel,
    TunnelChecksum,
};
use crate::runtime::kernel::Listed;

/// Writes `services` as the commands that make them, one `-A` and its `-a` lines after another.
///
/// As in the original, thresholds, timeouts and daemons are not among them.
///
/// # Errors
/// Those of `out`.
pub fn write_rules(
    out: &mut dyn Write,
    services: &[Listed],
    labels: &Labels<'_>,
) -> io::Result<()> {
    for listed in services {
        let key = listed.service.service.key();
        let settings = settings(&listed.service.service);
        writeln!(out, "-A {}{settings}", labels.option(key))?;
        for server in &listed.destinations {
            let destination = &server.destination;
            let address = labels.server(key, destination.address());
            let how = how(destination);
            writeln!(out, "-a {} -r {address}{how}", labels.option(key))?;
        }
    }
    Ok(())
}

/// `change` as a command line without the program's name.
#[must_use]
pub fn command_line(change: &Request) -> String {
    let option = |key: &ServiceKey| Labels::numeric().option(*key);
    match change {
        Request::AddService(service) => {
            format!("-A {}{}", option(&service.key()), settings(service))
        }
        Request::EditService(service) => {
            format!("-E {}{}", option(&service.key()), settings(service))
        }
        Request::RemoveService(key) => format!("-D {}", option(key)),
        Request::AddDestination(key, server) => server_line("-a", *key, server),
        Request::EditDestination(key, server) => server_line("-e", *key, server),
        Request::RemoveDestination(key, address) => format!("-d {} -r {address}", option(key)),
        Request::Flush => "-C".to_owned(),
        Request::Zero(None) => "-Z".to_owned(),
        Request::Zero(Some(key)) => format!("-Z {}", option(key)),
        Request::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
            let seconds = [tcp, tcp_fin, udp].map(|timeout| timeout.as_secs().to_string());
            format!("--set {}", seconds.join(" "))
        }
        Request::StartDaemon(daemon) => daemon_line(daemon),
        Request::StopDaemon(role) => format!("--stop-daemon {role}"),
        Request::GetService(key) => format!("-L {}", option(key)),
        Request::ListServices | Request::ListDestinations(_) | Request::GetInfo => "-L".to_owned(),
        Request::GetTimeouts => "-L --timeout".to_owned(),
        Request::ListDaemons => "-L --daemon".to_owned(),
    }
}

fn server_line(command: &str, key: ServiceKey, server: &Destination) -> String {
    let (option, address) = (Labels::numeric().option(key), server.address());
    let mut line = format!("{command} {option} -r {address}{}", how(server));
    let thresholds = server.thresholds();
    for (option, threshold) in [("-x", thresholds.upper()), ("-y", thresholds.lower())] {
        if threshold != 0 {
            append(&mut line, format_args!(" {option} {threshold}"));
        }
    }
    line
}

fn daemon_line(daemon: &Daemon) -> String {
    let mut line = format!(
        "--start-daemon {} --mcast-interface {} --syncid {}",
        daemon.role(),
        daemon.interface(),
        daemon.sync_id()
    );
    let options = [
        ("--sync-maxlen", daemon.max_length().map(|v| v.to_string())),
        ("--mcast-group", daemon.group().map(|v| v.to_string())),
        ("--mcast-port", daemon.port().map(|v| v.to_string())),
        ("--mcast-ttl", daemon.ttl().map(|v| v.to_string())),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            append(&mut line, format_args!(" {option} {value}"));
        }
    }
    line
}

/// What comes after the service in an `-A` line.
fn settings(service: &Service) -> String {
    let mut line = format!(" -s {}", service.scheduler());
    if let Some(persistence) = service.persistence() {
        append(&mut line, format_args!(" -p {}", persistence.timeout().as_secs()));
        if let Some(mask) = mask(persistence, service.key().family()) {
            append(&mut line, format_args!(" -M {mask}"));
        }
        if let Some(engine) = persistence.engine() {
            append(&mut line, format_args!(" --pe {engine}"));
        }
    }
    if service.one_packet() {
        line.push_str(" -o");
    }
    let flags = service.scheduler_flags();
    if !flags.is_empty() {
        let names = flag_names(service.scheduler(), flags);
        append(&mut line, format_args!(" -b {names}"));
    }
    line
}

/// What comes after the server in an `-a` line.
fn how(server: &Destination) -> String {
    let method = match server.forwarding() {
        Forwarding::Nat => "-m",
        Forwarding::Direct | Forwarding::Local => "-g",
        Forwarding::Tunnel(_) => "-i",
    };
    let tunnel = match server.forwarding() {
        Forwarding::Tunnel(Tunnel::Ipip) => " --tun-type ipip".to_owned(),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
            let option = checksum_option(checksum);
            format!(" --tun-type gue --tun-port {port} {option}")
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => {
            format!(" --tun-type gre {}", checksum_option(checksum))
        }
        Forwarding::Direct | Forwarding::Local | Forwarding::Nat => String::new(),
    };
    format!(" {method} -w {}{tunnel}", server.weight())
}

const fn checksum_option(checksum: TunnelChecksum) -> &'static str {
    match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Plain => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    }
}

/// The names of `flags` as `scheduler` calls them, with commas between. The original leaves out
/// the third for `sh` and `mh`, and so loses it in what it saves.
pub(super) fn flag_names(scheduler: &SchedulerName, flags: SchedulerFlags) -> String {
    let [first, second] = match scheduler.as_str() {
        "sh" => ["sh-fallback", "sh-port"],
        "mh" => ["mh-fallback", "mh-port"],
        _ => ["flag-1", "flag-2"],
    };
    let names = [
        (SchedulerFlags::FLAG_1, first),
        (SchedulerFlags::FLAG_2, second),
        (SchedulerFlags::FLAG_3, "flag-3"),
    ];
    let set = names.into_iter().filter(|(flag, _)| flags.contains(*flag));
    Vec::from_iter(set.map(|(_, name)| name)).join(",")
}

/// Writing to a string cannot fail.
fn append(line: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = line.write_fmt(text);
}

//! The output of `ipvsadm -Sn`: one `-A` line for each service, and an `-a` line for each server.

use std::collections::BTreeMap;

use super::importer::{Importer, endpoint};
use super::service::{Server, Service, Target};
use crate::net::{Family, Protocol};

pub(super) fn import(importer: &mut Importer<'_>) {
    importer.pair(None, None, 0);
    let mut services: Vec<Service> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (number, text) in importer.lines() {
        let words: Vec<_> = text.split_whitespace().filter(|word| *word != "ipvsadm").collect();
        match words.as_slice() {
            [] => {}
            [word, ..] if word.starts_with('#') => importer.replaced(number, "a comment"),
            ["-A" | "--add-service", words @ ..] => {
                let options = Options::read(words);
                if let Some(service) = add_service(number, &options, importer) {
                    known.insert(options.service_words(), services.len());
                    services.push(service);
                }
            }
            ["-a" | "--add-server", words @ ..] => {
                let options = Options::read(words);
                let index = known.get(&options.service_words());
                match index.and_then(|&index| services.get_mut(index)) {
                    Some(service) => add_server(number, &options, service, importer),
                    None => importer.lost(number, "no `-A` line above is for this service"),
                }
            }
            _ => importer.lost(number, "only the `-A` and `-a` lines of `ipvsadm -Sn` are read"),
        }
    }
    for mut service in services {
        without_check(&mut service, importer);
        service.express(importer);
    }
}

/// ipvsadm has no checks, and lvs.cf has no service without one.
pub(super) fn without_check(service: &mut Service, importer: &mut Importer<'_>) {
    match service.protocol() {
        Protocol::Tcp => service.set("check", "connect", service.line, importer),
        Protocol::Udp | Protocol::Sctp => {
            let reason = "lvs checks every server, and there is no check for this service: set \
                          `send` to something the servers answer";
            importer.lost(service.line, reason);
        }
    }
}

/// The options of one line, in the order they stand there. An option without a value has an empty
/// one.
struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn read(words: &[&'a str]) -> Self {
        let mut options: Vec<(&str, &str)> = Vec::new();
        for &word in words {
            match options.last_mut() {
                Some((option, value)) if !is_option(word) && value.is_empty() => {
                    let _ = option;
                    *value = word;
                }
                _ => options.push((word, "")),
            }
        }
        Self(options)
    }

    fn get(&self, names: &[&str]) -> Option<&'a str> {
        self.0.iter().find(|(option, _)| names.contains(option)).map(|(_, value)| *value)
    }

    /// The words that name the service, the same in its `-A` and its `-a` lines.
    fn service_words(&self) -> String {
        let six = if self.get(&["-6"]).is_some() { " -6" } else { "" };
        let names =
            self.0.iter().filter(|(option, _)| protocol(option).is_some() || is_mark(option));
        names.map(|(option, value)| format!("{option} {value}{six}")).collect()
    }
}

fn is_option(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1
}

fn is_mark(option: &str) -> bool {
    matches!(option, "-f" | "--fwmark-service")
}

fn protocol(option: &str) -> Option<Protocol> {
    match option {
        "-t" | "--tcp-service" => Some(Protocol::Tcp),
        "-u" | "--udp-service" => Some(Protocol::Udp),
        "--sctp-service" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn target(options: &Options<'_>) -> Option<Target> {
    options.0.iter().find_map(|(option, value)| {
        if is_mark(option) {
            let six = options.get(&["-6", "--ipv6"]).is_some();
            let family = if six { Family::Ipv6 } else { Family::Ipv4 };
            return Some(Target::Mark(mark(value)?, Some(family)));
        }
        Some(Target::Address(protocol(option)?, endpoint(value, 0)?))
    })
}

/// ipvsadm prints a mark of 2^31 or more as a negative number.
fn mark(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| text.parse().ok().map(i32::cast_unsigned))
}

fn add_service(line: usize, options: &Options<'_>, importer: &mut Importer<'_>) -> Option<Service> {
    let Some(target) = target(options) else {
        importer.lost(line, "no address of a service can be read here: save the table with -n");
        return None;
    };
    let mut service = Service::new(line, target);
    for &(option, value) in &options.0 {
        match option {
            "-s" | "--scheduler" => service.set("scheduler", value, line, importer),
            "-p" | "--persistent" => {
                let value = if value.is_empty() { "300" } else { value };
                service.set("persistent", value, line, importer);
            }
            "-M" | "--netmask" => service.set("pmask", value, line, importer),
            "-o" | "--ops" => service.set("one_packet", "1", line, importer),
            "-b" | "--sched-flags" => {
                service.set("scheduler_flags", &value.replace(',', " "), line, importer);
            }
            "--pe" => service.engine = Some((line, value.to_owned())),
            "-6" | "--ipv6" => {}
            _ if protocol(option).is_some() || is_mark(option) => {}
            _ => importer.lost(line, format!("the option {option} is not known")),
        }
    }
    Some(service)
}

fn add_server(
    line: usize,
    options: &Options<'_>,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    let port = match &service.target {
        Target::Address(_, address) => address.port(),
        Target::Mark(..) => 0,
    };
    let address = options.get(&["-r", "--real-server"]).and_then(|text| endpoint(text, port));
    let Some(address) = address else {
        return importer.lost(line, "no address of a server can be read here");
    };
    let mut server = Server::new(line, address);
    server.forwarding = Some("direct");
    for &(option, value) in &options.0 {
        match option {
            "-m" | "--masquerading" => server.forwarding = Some("nat"),
            "-g" | "--gatewaying" => server.forwarding = Some("direct"),
            "-i" | "--ipip" => server.forwarding = Some("tunnel"),
            "-w" | "--weight" => importer.set(&mut server.block, "weight", value, line),
            "-x" | "--u-threshold" => importer.set(&mut server.block, "u_threshold", value, line),
            "-y" | "--l-threshold" => importer.set(&mut server.block, "l_threshold", value, line),
            "--tun-type" if value == "ipip" => {}
            "--tun-type" => importer.set(&mut server.block, "tunnel_type", value, line),
            "--tun-port" => importer.set(&mut server.block, "tunnel_port", value, line),
            "--tun-nocsum" => importer.set(&mut server.block, "tunnel_checksum", "none", line),
            "--tun-csum" => importer.set(&mut server.block, "tunnel_checksum", "csum", line),
            "--tun-remcsum" => importer.set(&mut server.block, "tunnel_checksum", "remcsum", line),
            "-r" | "--real-server" | "-6" | "--ipv6" => {}
            _ if protocol(option).is_some() || is_mark(option) => {}
            _ => importer.lost(line, format!("the option {option} is not known")),
        }
    }
    service.servers.push(server);
}

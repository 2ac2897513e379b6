//! ldirectord.cf: settings of its own, and a block for each service whose lines are indented.

use std::net::{IpAddr, SocketAddr};

use super::importer::{Importer, endpoint};
use super::ipvsadm::without_check;
use super::service::{Server, Service, Target};
use crate::health::decode_escapes;
use crate::net::{Family, Protocol};

/// One `name = value`.
#[derive(Clone, Copy, Debug)]
struct Setting<'a> {
    line: usize,
    name: &'a str,
    value: &'a str,
}

/// What holds for all services that do not say otherwise.
#[derive(Clone, Copy, Default)]
struct Defaults<'a> {
    interval: Option<&'a str>,
    check_timeout: Option<&'a str>,
    negotiate_timeout: Option<&'a str>,
    failures: Option<&'a str>,
    fallback: Option<Setting<'a>>,
    quiescent: Option<bool>,
}

pub(super) fn import(importer: &mut Importer<'_>) {
    importer.pair(None, None, 0);
    let (global, blocks) = outline(importer);
    let mut defaults = Defaults::default();
    for setting in global {
        defaults.read(setting, importer);
    }
    for (head, settings) in blocks {
        service(head, &settings, defaults, importer);
    }
}

type Outline<'a> = (Vec<Setting<'a>>, Vec<(Setting<'a>, Vec<Setting<'a>>)>);

/// The settings outside of blocks, and the blocks.
fn outline<'a>(importer: &mut Importer<'a>) -> Outline<'a> {
    let mut global = Vec::new();
    let mut blocks: Vec<(Setting<'a>, Vec<Setting<'a>>)> = Vec::new();
    for (line, text) in importer.lines() {
        let indented = text.starts_with([' ', '\t']);
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((name, value)) = text.split_once('=') else {
            importer.lost(line, "expected NAME = VALUE");
            continue;
        };
        let setting = Setting { line, name: name.trim(), value: unquoted(value.trim()) };
        match (indented, setting.name, blocks.last_mut()) {
            (false, "virtual" | "virtual6", _) => blocks.push((setting, Vec::new())),
            (true, _, Some((_, settings))) => settings.push(setting),
            _ => global.push(setting),
        }
    }
    (global, blocks)
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

impl<'a> Defaults<'a> {
    /// Reads a setting that may stand outside of blocks and in them.
    fn read(&mut self, setting: Setting<'a>, importer: &mut Importer<'_>) -> bool {
        let Setting { line, name, value } = setting;
        match name {
            "checkinterval" => self.interval = Some(value),
            "checktimeout" => self.check_timeout = Some(value),
            "negotiatetimeout" => self.negotiate_timeout = Some(value),
            "failurecount" | "checkcount" => self.failures = Some(value),
            "fallback" | "fallback6" => self.fallback = Some(setting),
            "quiescent" => self.quiescent = Some(value == "yes"),
            "autoreload" => importer.replaced(line, "lvs reads the file again on SIGHUP"),
            "logfile" => importer.replaced(line, "logs go to standard error"),
            "supervised" | "fork" => importer.replaced(line, "checks are tasks of one process"),
            _ => {
                importer.lost(line, "lvs.cf has nothing like it");
                return false;
            }
        }
        true
    }
}

fn service<'a>(
    head: Setting<'a>,
    settings: &[Setting<'a>],
    mut defaults: Defaults<'a>,
    importer: &mut Importer<'_>,
) {
    let find = |name: &str| settings.iter().rev().find(|s| s.name == name).map(|s| s.value);
    let Some(target) = target(head, find("protocol")) else {
        importer.lost(head.line, "no address or mark of a service can be read here");
        for setting in settings {
            importer.lost(setting.line, "its service is not expressed");
        }
        return;
    };
    let mut service = Service::new(head.line, target);
    service.forwarding = "direct";
    service.set("scheduler", find("scheduler").unwrap_or("wrr"), head.line, importer);
    for &setting in settings {
        match setting.name {
            "real" | "real6" => server(setting, &mut service, importer),
            name if CHECKS.contains(&name) => {}
            _ => plain(setting, &mut service, &mut defaults, importer),
        }
    }
    check(head, settings, defaults, &mut service, importer);
    finish(head, defaults, &mut service, importer);
    service.express(importer);
}

/// `ADDRESS:PORT`, or a mark.
fn target(head: Setting<'_>, protocol: Option<&str>) -> Option<Target> {
    if let Ok(mark) = head.value.parse() {
        let family = if head.name == "virtual6" { Family::Ipv6 } else { Family::Ipv4 };
        return Some(Target::Mark(mark, Some(family)));
    }
    let protocol = protocol.unwrap_or("tcp").parse().ok()?;
    Some(Target::Address(protocol, address_port(head.value)?))
}

/// An address and a port, which may be one of the names every system knows.
fn address_port(text: &str) -> Option<SocketAddr> {
    if let Some(address) = endpoint(text, 0) {
        return Some(address);
    }
    let (address, name) = text.rsplit_once(':')?;
    let port = match name {
        "http" => 80,
        "https" => 443,
        "ftp" => 21,
        "smtp" => 25,
        "domain" => 53,
        "imap" | "imap2" => 143,
        "pop3" => 110,
        "ldap" => 389,
        _ => return None,
    };
    endpoint(address, port)
}

/// A setting that is a directive of the same meaning.
fn plain<'a>(
    setting: Setting<'a>,
    service: &mut Service,
    defaults: &mut Defaults<'a>,
    importer: &mut Importer<'_>,
) {
    let Setting { line, name, value } = setting;
    match name {
        "protocol" | "scheduler" => {}
        "persistent" => service.set("persistent", value, line, importer),
        "netmask" => service.set("pmask", value, line, importer),
        "ops" if value == "yes" => service.set("one_packet", "1", line, importer),
        "ops" => {}
        _ => drop(defaults.read(setting, importer)),
    }
}

/// `real=ADDRESS[->ADDRESS][:PORT] gate|masq|ipip [WEIGHT] ["REQUEST", "RECEIVE"]`
fn server(setting: Setting<'_>, service: &mut Service, importer: &mut Importer<'_>) {
    let line = setting.line;
    let mut words = setting.value.split_whitespace();
    let first = words.next().unwrap_or_default();
    let port = match service.target {
        Target::Address(_, address) => address.port(),
        Target::Mark(..) => 0,
    };
    let Some(addresses) = addresses(first, port) else {
        return importer.lost(line, "no address of a server can be read here");
    };
    let mut server = Server::new(line, SocketAddr::from(([0; 4], port)));
    for word in words {
        match word {
            "gate" => server.forwarding = Some("direct"),
            "masq" => server.forwarding = Some("nat"),
            "ipip" => server.forwarding = Some("tunnel"),
            weight if weight.parse::<u32>().is_ok() => {
                importer.set(&mut server.block, "weight", weight, line);
            }
            _ => importer.lost(line, format!("all servers are checked alike: {word} is not used")),
        }
    }
    for address in addresses {
        service.servers.push(Server { address, ..server.clone() });
    }
}

/// One address, or those from one to another.
fn addresses(text: &str, port: u16) -> Option<Vec<SocketAddr>> {
    const MOST: u32 = 1024;
    let Some((first, last)) = text.split_once("->") else {
        return address_port(text).map(|address| with_port(address, port)).map(|one| vec![one]);
    };
    let last = with_port(address_port(last)?, port);
    let (IpAddr::V4(first), IpAddr::V4(end)) = (first.parse().ok()?, last.ip()) else {
        return None;
    };
    let (first, end) = (u32::from(first), u32::from(end));
    let whole = first <= end && end - first < MOST;
    whole.then(|| {
        let one = |ip: u32| SocketAddr::from((ip.to_be_bytes(), last.port()));
        (first..=end).map(one).collect()
    })
}

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    let own = if address.port() == 0 { port } else { address.port() };
    SocketAddr::new(address.ip(), own)
}

/// Services of ldirectord, the check of lvs of the same protocol, and whether it is all in TLS.
const APPLICATIONS: [(&str, &str, bool); 13] = [
    ("ftp", "ftp", false),
    ("imap", "imap", false),
    ("imaps", "imap", true),
    ("ldap", "ldap", false),
    ("ldaps", "ldap", true),
    ("mysql", "mysql", false),
    ("nntp", "nntp", false),
    ("pgsql", "postgresql", false),
    ("pop", "pop3", false),
    ("pops", "pop3", true),
    ("sip", "sip", false),
    ("smtp", "smtp", false),
    ("submission", "smtp", false),
];

/// Settings that together are the check.
const CHECKS: [&str; 10] = [
    "checktype",
    "checkport",
    "checkcommand",
    "service",
    "request",
    "receive",
    "virtualhost",
    "httpmethod",
    "login",
    "passwd",
];

fn check(
    head: Setting<'_>,
    settings: &[Setting<'_>],
    defaults: Defaults<'_>,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    let find = |name: &str| settings.iter().rev().find(|s| s.name == name);
    let mut kind = find("checktype").map_or("negotiate", |s| s.value);
    let line = find("checktype").map_or(head.line, |s| s.line);
    let what = find("service").map_or_else(|| service_of(service), |s| s.value);
    if kind.parse::<u32>().is_ok() {
        importer.replaced(line, "every check is a whole one, and none only connects");
        kind = "negotiate";
    }
    let tcp = service.protocol() == Protocol::Tcp;
    let application = APPLICATIONS.iter().find(|(name, ..)| *name == what);
    let mut used: &[&str] = &[];
    match (kind, what) {
        ("connect", _) if tcp => service.set("check", "connect", line, importer),
        ("ping", _) => service.set("check", "icmp", line, importer),
        ("external", _) => {
            used = &["checkcommand"];
            program(find("checkcommand"), service, line, importer);
        }
        ("negotiate", "http" | "https") if tcp => {
            used = &["request", "receive", "virtualhost", "httpmethod"];
            http(what, settings, service, line, importer);
        }
        ("negotiate", "simpletcp") if tcp => {
            used = &["request", "receive"];
            simple(settings, service, line, importer);
        }
        ("negotiate", "dns") => {
            used = &["request", "receive"];
            dns(settings, service, line, importer);
        }
        _ => match application.filter(|_| kind == "negotiate" && (tcp || what == "sip")) {
            Some(one) => self::application(one, service, line, importer),
            None => {
                importer.lost(line, format!("there is no check like `{kind}` of `{what}`"));
                without_check(service, importer);
            }
        },
    }
    if let Some(port) = find("checkport") {
        service.set("check_port", port.value, port.line, importer);
    }
    let rest = settings.iter().filter(|s| CHECKS.contains(&s.name) && !used.contains(&s.name));
    for setting in rest.filter(|s| !matches!(s.name, "checktype" | "service" | "checkport")) {
        importer.lost(setting.line, "the check of lvs has nothing like it");
    }
    let timeout = if kind == "negotiate" { defaults.negotiate_timeout } else { None };
    let timeout = timeout.or(defaults.check_timeout);
    let usual = if kind == "negotiate" { "30" } else { "5" };
    service.set("check_timeout", timeout.unwrap_or(usual), head.line, importer);
}

/// What ldirectord takes a port for.
const fn service_of(service: &Service) -> &'static str {
    let port = match service.target {
        Target::Address(_, address) => address.port(),
        Target::Mark(..) => 0,
    };
    match port {
        21 => "ftp",
        25 => "smtp",
        53 => "dns",
        80 => "http",
        110 => "pop",
        119 => "nntp",
        143 => "imap",
        389 => "ldap",
        443 => "https",
        993 => "imaps",
        995 => "pops",
        3306 => "mysql",
        5060 => "sip",
        _ => "none",
    }
}

fn http(
    kind: &str,
    settings: &[Setting<'_>],
    service: &mut Service,
    line: usize,
    importer: &mut Importer<'_>,
) {
    service.set("check", kind, line, importer);
    service.set("http_status", "200-299", line, importer);
    if kind == "https" {
        service.set("tls_verify", "0", line, importer);
        importer.replaced(line, "ldirectord verifies no certificate: see `tls_verify`");
    }
    for setting in settings {
        match setting.name {
            "request" => {
                let path = format!("/{}", setting.value.trim_start_matches('/'));
                service.set("http_path", &path, setting.line, importer);
            }
            "receive" => {
                service.set("http_expect", setting.value, setting.line, importer);
                service.set("use_regex", "1", setting.line, importer);
            }
            "httpmethod" => {
                let method = setting.value.to_ascii_uppercase();
                service.set("http_method", &method, setting.line, importer);
            }
            "virtualhost" => service.set("http_host", setting.value, setting.line, importer),
            _ => {}
        }
    }
}

/// A check that speaks the first words of a protocol.
fn application(
    (_, kind, in_tls): &(&str, &str, bool),
    service: &mut Service,
    line: usize,
    importer: &mut Importer<'_>,
) {
    service.set("check", kind, line, importer);
    importer.replaced(line, "the first messages of the protocol are checked, without a login");
    if *in_tls {
        service.set("check_tls", "on", line, importer);
        service.set("tls_verify", "0", line, importer);
        importer.replaced(line, "ldirectord verifies no certificate: see `tls_verify`");
    }
}

/// The program is told the address and port of the service, then those of the server.
fn program(
    command: Option<&Setting<'_>>,
    service: &mut Service,
    line: usize,
    importer: &mut Importer<'_>,
) {
    let line = command.map_or(line, |command| command.line);
    let problem = match (command, &service.target) {
        (None, _) => "there is no `checkcommand`",
        (Some(_), Target::Mark(..)) => "a program wants the address of a service, not its mark",
        (Some(Setting { value, .. }), Target::Address(_, vip)) => {
            if value.starts_with('/') && !value.contains(char::is_whitespace) {
                let command = format!("{value} {} {} %h %p", vip.ip(), vip.port());
                service.set("check", "program", line, importer);
                return service.set("send_program", &command, line, importer);
            }
            "only the path of a program is taken over, for no shell is run"
        }
    };
    importer.lost(line, problem);
    without_check(service, importer);
}

/// ldirectord asks for addresses.
fn dns(settings: &[Setting<'_>], service: &mut Service, line: usize, importer: &mut Importer<'_>) {
    service.set("check", "dns", line, importer);
    for setting in settings {
        match setting.name {
            "request" if setting.value.parse::<IpAddr>().is_ok() => {
                importer.lost(setting.line, "names of addresses are not asked for: see `dns_type`");
            }
            "request" => {
                service.set("dns_name", setting.value, setting.line, importer);
                service.set("dns_type", "A", setting.line, importer);
            }
            "receive" => service.set("dns_expect", setting.value, setting.line, importer),
            _ => {}
        }
    }
}

fn simple(
    settings: &[Setting<'_>],
    service: &mut Service,
    line: usize,
    importer: &mut Importer<'_>,
) {
    service.set("check", "send", line, importer);
    for setting in settings {
        match setting.name {
            "request" => {
                let request = decode_escapes(setting.value.as_bytes());
                let request = String::from_utf8_lossy(&request);
                service.set("send", &request, setting.line, importer);
            }
            "receive" => {
                service.set("expect", setting.value, setting.line, importer);
                service.set("use_regex", "1", setting.line, importer);
            }
            _ => {}
        }
    }
}

fn finish(
    head: Setting<'_>,
    defaults: Defaults<'_>,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    service.set("timeout", defaults.interval.unwrap_or("10"), head.line, importer);
    service.set("fall", defaults.failures.unwrap_or("1"), head.line, importer);
    service.set("rise", "1", head.line, importer);
    // ldirectord keeps failed servers with weight 0 unless told otherwise.
    if defaults.quiescent.unwrap_or(true) {
        service.set("quiesce_server", "1", head.line, importer);
    }
    let Some(fallback) = defaults.fallback else {
        return;
    };
    let mut words = fallback.value.split_whitespace();
    match words.next().and_then(address_port) {
        Some(address) if address.port() == 0 => {
            service.set("sorry_server", &address.ip().to_string(), fallback.line, importer);
        }
        Some(address) => {
            service.set("sorry_server", &address.to_string(), fallback.line, importer);
        }
        None => importer.lost(fallback.line, "no address can be read here"),
    }
    if words.next().is_some() {
        importer.replaced(fallback.line, "a sorry server is reached as the servers are");
    }
}

//! What is compared: how each is configured, started, told to reload, and ended.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::{Outcome, SERVERS};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 100);

/// The VIP in front of the relay.
const LOOPBACK_VIP: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// All servers listen on it.
pub(crate) const PORT: u16 = 8080;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lvs,
    Keepalived,
}

/// What both are told to do.
pub(crate) struct Layout {
    pub(crate) services: u32,
    /// Whether a server waits for its first check.
    pub(crate) checked_first: bool,
    /// Of the last server of the last service; 1 is that of all others.
    pub(crate) weight: u32,
}

impl Layout {
    /// The address of a service by its number.
    pub(crate) fn service(number: u32) -> SocketAddr {
        let [.., high, low] = number.to_be_bytes();
        (VIP, 10_000 + u16::from_be_bytes([high, low])).into()
    }

    /// The address of a server by its number.
    pub(crate) fn server(number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 200, 0, 0).to_bits() + number)
    }

    fn servers(&self, service: u32) -> impl Iterator<Item = (Ipv4Addr, u32)> {
        let last = self.services * SERVERS - 1;
        (service * SERVERS..(service + 1) * SERVERS)
            .map(move |number| (Self::server(number), if number == last { self.weight } else { 1 }))
    }

    /// As `lvs` reads it; without a kernel the services are on loopback.
    pub(crate) fn lvs_cf(&self, kernel: bool) -> String {
        let plane = if kernel { "kernel" } else { "relay" };
        let mut text =
            format!("role = primary\nprimary = 10.1.0.1\nnetwork = nat\ndataplane = {plane}\n");
        let state = if self.checked_first { "" } else { "initial_state = up\n" };
        let (vip, link) = if kernel { (VIP, "c0:1") } else { (LOOPBACK_VIP, "lo") };
        for number in 0..self.services {
            let port = Self::service(number).port();
            let _ = write!(
                text,
                "virtual v{number} {{\nactive = 1\naddress = {vip} {link}\nport = {port}\n\
                 scheduler = wrr\ncheck = connect\ntimeout = 30s\nrise = 1\n{state}"
            );
            for (address, weight) in self.servers(number) {
                let address = if kernel { address } else { loopback(address) };
                let _ = write!(
                    text,
                    "server s{address} {{\nactive = 1\naddress = {address}\nport = {PORT}\n\
                     weight = {weight}\n}}\n"
                );
            }
            text.push_str("}\n");
        }
        text
    }

    fn keepalived_conf(&self) -> String {
        let mut text = "global_defs {\n}\n".to_owned();
        let alpha = if self.checked_first { "alpha\n" } else { "" };
        for number in 0..self.services {
            let port = Self::service(number).port();
            let _ = write!(
                text,
                "virtual_server {VIP} {port} {{\n{alpha}delay_loop 30\nlb_algo wrr\nlb_kind NAT\n\
                 protocol TCP\n"
            );
            for (address, weight) in self.servers(number) {
                let _ = write!(
                    text,
                    "real_server {address} {PORT} {{\nweight {weight}\nTCP_CHECK {{\n\
                     connect_timeout 5\n}}\n}}\n"
                );
            }
            text.push_str("}\n");
        }
        text
    }
}

/// The same host part in 127.200.0.0/15.
fn loopback(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x7f00_0000 | address.to_bits() & 0x00ff_ffff)
}

/// A running director.
pub(crate) struct Contender {
    kind: Kind,
    child: Child,
    directory: PathBuf,
}

impl Contender {
    pub(crate) fn start(kind: Kind, layout: &Layout) -> Outcome<Self> {
        let text = match kind {
            Kind::Lvs => layout.lvs_cf(true),
            Kind::Keepalived => layout.keepalived_conf(),
        };
        Self::start_with(kind, &text)
    }

    /// The same with this configuration.
    pub(crate) fn start_with(kind: Kind, text: &str) -> Outcome<Self> {
        let name = format!("control-peers-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let file = directory.join("configuration");
        fs::write(&file, text)?;
        let mut command = match kind {
            Kind::Lvs => {
                let mut lvs = Command::new(std::env::current_exe()?.with_file_name("../lvs"));
                lvs.args(["-n", "-v", "--drain", "0", "-c"]).arg(&file);
                lvs.arg("--control").arg(directory.join("control"));
                lvs
            }
            Kind::Keepalived => {
                let mut keepalived = Command::new("keepalived");
                keepalived.args(["-n", "-C", "-f"]).arg(&file);
                keepalived.arg("-p").arg(directory.join("pid"));
                keepalived.arg("-c").arg(directory.join("checkers.pid"));
                // Its checks bring no address up.
                address("replace")?;
                keepalived
            }
        };
        command.env("RUNTIME_DIRECTORY", &directory);
        let log = File::create(directory.join("log"))?;
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log)).spawn()?;
        Ok(Self { kind, child, directory })
    }

    /// Where its control socket is.
    pub(crate) fn control(&self) -> PathBuf {
        self.directory.join("control")
    }

    /// Puts another configuration in the place of the one it was started with.
    pub(crate) fn write(&self, layout: &Layout) -> Outcome<()> {
        let text = match self.kind {
            Kind::Lvs => layout.lvs_cf(true),
            Kind::Keepalived => layout.keepalived_conf(),
        };
        self.replace(&text)
    }

    /// The same with this one.
    pub(crate) fn replace(&self, text: &str) -> Outcome<()> {
        let next = self.directory.join("next");
        fs::write(&next, text)?;
        Ok(fs::rename(next, self.directory.join("configuration"))?)
    }

    pub(crate) fn reload(&self) -> Outcome<()> {
        signal(self.child.id(), "HUP")
    }

    /// What it has written to the kernel so far, where its log says so.
    pub(crate) fn writes(&self) -> Option<usize> {
        let log = fs::read_to_string(self.directory.join("log")).ok()?;
        let operations =
            |line: &str| line.rsplit_once("operations=")?.1.trim().parse::<usize>().ok();
        let written = log.lines().filter(|line| line.contains("writing to the table"));
        (self.kind == Kind::Lvs).then(|| written.filter_map(operations).sum())
    }

    /// Resident memory of it and what it started.
    pub(crate) fn megabytes(&self) -> f64 {
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let family =
            std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned));
        family.map(|pid| resident(&pid).unwrap_or_default()).sum::<f64>() / 1000.0
    }
}

/// Kilobytes.
fn resident(pid: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// Adds the VIP, or deletes it.
fn address(what: &str) -> Outcome<()> {
    let vip = format!("{VIP}/32");
    let status = Command::new("ip").args(["addr", what, &vip, "dev", "c0"]).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip addr {what} {vip} failed").into()) }
}

fn signal(pid: u32, name: &str) -> Outcome<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(format!("cannot send SIG{name} to {pid}").into()) }
}

impl Drop for Contender {
    /// At once: an orderly end of keepalived takes one kernel call for each server.
    fn drop(&mut self) {
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let _ = signal(child, "KILL");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.kind == Kind::Keepalived {
            let _ = address("del");
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

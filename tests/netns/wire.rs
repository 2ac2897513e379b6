//! A wire with stations on it, each in a network namespace.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use piranha::runtime::kernel::Namespace;
use socket2::{Domain, Protocol, Socket, Type};

use crate::daemon::{Daemon, PATIENCE, PULSE};

/// The floating addresses of every test, on the net of every wire.
pub(crate) const VIP4: &str = "10.77.0.100";
pub(crate) const VIP6: &str = "fd77::100";

/// Stations 1 to 3 of the wire have 10.77.0.N and fd77::N on `eth0`: two directors and a client.
pub(crate) struct Wire {
    prefix: String,
}

/// A station.
#[derive(Clone)]
pub(crate) struct Station {
    pub(crate) name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Wire {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let wire = Self { prefix: format!("pir{}-{number}", std::process::id()) };
        let prefix = &wire.prefix;
        sh(&format!(
            "ip netns add {prefix}w
             ip -n {prefix}w link add wire type bridge
             ip -n {prefix}w link set wire up
             for n in 1 2 3; do
                 ip netns add {prefix}s$n
                 ip -n {prefix}s$n link set lo up
                 ip -n {prefix}w link add v$n type veth peer name eth0 netns {prefix}s$n
                 ip -n {prefix}w link set v$n master wire up
                 ip -n {prefix}s$n addr add 10.77.0.$n/24 dev eth0
                 ip -n {prefix}s$n addr add fd77::$n/64 dev eth0 nodad
                 ip -n {prefix}s$n link set eth0 up
             done"
        ));
        wire
    }

    pub(crate) fn station(&self, number: u8) -> Station {
        Station { name: format!("{}s{number}", self.prefix) }
    }

    /// The next datagram that anybody sends to `address`, an IPv4 one, whoever it is for.
    pub(crate) fn overhear(&self, address: &str) -> Vec<u8> {
        let SocketAddr::V4(address) = address.parse().expect("an address") else {
            panic!("{address} is not of IPv4");
        };
        let hub = Station { name: format!("{}w", self.prefix) };
        let all = Protocol::from(i32::from(3u16.to_be()));
        let socket = hub.inside(|| Socket::new(Domain::PACKET, Type::RAW, Some(all)));
        let mut socket = socket.expect("root may");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut frame = [0; 2048];
        loop {
            let length = socket.read(&mut frame).expect("somebody speaks");
            let Some(packet) = frame[..length].get(14..) else { continue };
            let is_to = packet.get(16..20) == Some(&address.ip().octets()[..])
                && packet.get(22..24) == Some(&address.port().to_be_bytes()[..]);
            if is_to && packet[0] == 0x45 && packet[9] == 17 {
                let end = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
                return packet[28..end].to_vec();
            }
        }
    }

    /// Cuts station `number` off, or puts it back.
    pub(crate) fn plug(&self, number: u8, state: &str) {
        sh(&format!("ip -n {}w link set v{number} {state}", self.prefix));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A namespace lives on while a socket is left in it, so its link is taken out first.
        let prefix = &self.prefix;
        let _ = output(&format!(
            "for n in 1 2 3; do ip -n {prefix}w link del v$n; ip netns del {prefix}s$n; done
             ip netns del {prefix}w"
        ));
    }
}

impl Station {
    pub(crate) fn pulse(&self, config: &std::path::Path) -> Daemon {
        self.run(&[PULSE, "-n", "--drain", "1", "-c", config.to_str().expect("a plain path")])
    }

    pub(crate) fn run(&self, command: &[&str]) -> Daemon {
        Daemon::start("ip", &[&["netns", "exec", &self.name], command].concat())
    }

    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = Namespace::open(format!("/run/netns/{}", self.name)).expect("it was made");
        namespace.run(work).expect("it can be entered")
    }

    /// What `ip -n STATION ...` prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        sh(&format!("ip -n {} {arguments}", self.name))
    }

    /// The ids of those that run on it.
    pub(crate) fn processes(&self) -> String {
        sh(&format!("ip netns pids {}", self.name))
    }

    pub(crate) fn has(&self, address: &str) -> bool {
        let address: IpAddr = address.parse().expect("an address");
        self.ip("-o addr show").contains(&format!(" {address}/"))
    }

    pub(crate) fn hardware(&self) -> String {
        let text = self.inside(|| sh("cat /proc/self/net/dev >/dev/null; ip -br link show eth0"));
        text.split_whitespace().nth(2).expect("a hardware address").to_owned()
    }

    /// Hears from now on what the station with this hardware address announces to be at.
    pub(crate) fn listen_for_announcements(&self, hardware: &str) -> Ears {
        let all = Protocol::from(i32::from(3u16.to_be()));
        let socket = self.inside(|| Socket::new(Domain::PACKET, Type::RAW, Some(all)));
        let socket = socket.expect("root may");
        socket.set_nonblocking(true).expect("a socket");
        let octet = |text| u8::from_str_radix(text, 16).expect("two digits");
        Ears { socket, hardware: hardware.split(':').map(octet).collect() }
    }

    /// Where this station believes `address` to be.
    pub(crate) fn neighbour(&self, address: &str) -> String {
        self.ip(&format!("neigh show {address}"))
    }

    /// A server that answers each connection with a word.
    pub(crate) fn serve(&self, address: &str, word: &'static str) {
        let address: SocketAddr = address.parse().expect("an address");
        let listener = self.inside(|| TcpListener::bind(address).expect("a free port"));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.write_all(word.as_bytes());
            }
        });
    }

    /// What a new connection to `address` reads, within the time a lost packet takes to be
    /// repeated.
    pub(crate) fn ask(&self, address: &str) -> std::io::Result<String> {
        let address: SocketAddr = address.parse().expect("an address");
        self.inside(move || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(1500))?;
            stream.set_read_timeout(Some(Duration::from_millis(1500)))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })
    }

    pub(crate) fn answers(&self) -> bool {
        let up = |address: &str| self.ask(address).is_ok_and(|word| word == "up");
        up(&format!("{VIP4}:8080")) && up(&format!("[{VIP6}]:8080"))
    }
}

/// What can be heard on the wire.
pub(crate) struct Ears {
    socket: Socket,
    hardware: Vec<u8>,
}

impl Ears {
    /// Announcements so far: ARP in which an address asks for or answers for itself, and neighbour
    /// advertisements.
    pub(crate) fn count(mut self) -> usize {
        let mut frame = [0; 2048];
        let mut count = 0;
        while let Ok(length) = self.socket.read(&mut frame) {
            let frame = &frame[..length];
            let ours = frame.get(6..12) == Some(&self.hardware);
            let arp = frame.get(12..14) == Some(&[8, 6]) && frame.get(28..32) == frame.get(38..42);
            let advertisement = frame.get(12..14) == Some(&[0x86, 0xdd])
                && (frame.get(20), frame.get(54)) == (Some(&58), Some(&136));
            count += usize::from(ours && (arp || advertisement));
        }
        count
    }
}

/// Runs a command that must succeed and gives what it printed.
pub(crate) fn sh(command: &str) -> String {
    let output = output(&format!("set -e\n{command}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn output(command: &str) -> Output {
    Command::new("sh").args(["-c", command]).output().expect("a shell")
}

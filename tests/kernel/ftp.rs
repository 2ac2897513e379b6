//! FTP by NAT, whose data connections only the kernel's helper can lead.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use piranha::ipvs::{Forwarding, Service};
use piranha::runtime::kernel::Client;
use socket2::{Domain, Socket, Type};

use crate::lab::{address, lab, modprobe, server, tcp, wait_for};
use crate::net::{DIRECTOR, Net, inside, open};

/// One line at a time over a control connection.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    /// A session of the client.
    pub(crate) fn dial(vip: SocketAddr) -> Self {
        let mut talk = Self(BufReader::new(open(vip)));
        assert_eq!(talk.ask(""), "220 Ready.");
        talk
    }

    /// A command and the reply to it; greetings answer the empty command.
    fn ask(&mut self, command: &str) -> String {
        if !command.is_empty() {
            self.say(command);
        }
        self.hear()
    }

    /// In one segment: the helper reads no others.
    fn say(&self, line: &str) {
        self.0.get_ref().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// A server in the namespace `name` whose only file is its name. It announces its own address.
pub(crate) fn serve_ftp(name: &'static str, address: SocketAddr) {
    let listener = inside(name, || TcpListener::bind(address).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let talk = Talk(BufReader::new(stream.unwrap()));
            thread::spawn(move || inside(name, || converse(name, address.ip(), talk)));
        }
    });
}

fn converse(name: &str, own: IpAddr, mut talk: Talk) {
    talk.say("220 Ready.");
    let mut data: Option<Box<dyn FnOnce() -> TcpStream>> = None;
    loop {
        let line = talk.hear();
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("PASV" | "EPSV", _) => {
                let listener = TcpListener::bind((own, 0)).unwrap();
                talk.say(&announce(&line, listener.local_addr().unwrap()));
                data = Some(Box::new(move || listener.accept().unwrap().0));
            }
            ("PORT" | "EPRT", at) => {
                let at = parse(at);
                data = Some(Box::new(move || connect_from(SocketAddr::new(own, 20), at)));
                talk.say("200 Fine.");
            }
            ("RETR", _) => {
                let mut stream = data.take().unwrap()();
                stream.write_all(name.as_bytes()).unwrap();
                drop(stream);
                talk.say("226 Done.");
            }
            _ => return,
        }
    }
}

/// Data connections of active transfers come from the port below the one for control.
fn connect_from(own: SocketAddr, at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&own.into()).unwrap();
    socket.connect(&at.into()).unwrap();
    socket.into()
}

fn announce(verb: &str, at: SocketAddr) -> String {
    match (verb, at) {
        ("PASV", SocketAddr::V4(_)) => format!("227 Entering Passive Mode ({}).", numbers(at)),
        _ => format!("229 Entering Extended Passive Mode (|||{}|)", at.port()),
    }
}

fn numbers(at: SocketAddr) -> String {
    let [high, low] = at.port().to_be_bytes();
    format!("{},{high},{low}", at.ip().to_string().replace('.', ","))
}

/// Of PORT, EPRT, or what stands in parentheses of a 227 reply.
fn parse(text: &str) -> SocketAddr {
    if text.starts_with('|') {
        let parts: Vec<&str> = text.split('|').collect();
        return SocketAddr::new(parts[2].parse().unwrap(), parts[3].parse().unwrap());
    }
    let numbers: Vec<u8> = text.split(',').map(|number| number.parse().unwrap()).collect();
    let [a, b, c, d, high, low] = numbers.try_into().unwrap();
    SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
}

fn in_parentheses(reply: &str) -> &str {
    reply.split(['(', ')']).nth(1).unwrap()
}

/// A service of two FTP servers in the director; gives its VIP.
fn balance(vip: &str, servers: [&str; 2]) -> SocketAddr {
    modprobe("ip_vs_ftp");
    for (name, at) in ["one", "two"].into_iter().zip(servers) {
        serve_ftp(name, address(at));
    }
    let key = tcp(vip);
    let mut client = Client::in_namespace(DIRECTOR).unwrap();
    client.add_service(Service::new(key).with_scheduler("rr".parse().unwrap())).unwrap();
    for one in servers {
        client.add_destination(key, server(one).with_forwarding(Forwarding::Nat)).unwrap();
    }
    address(vip)
}

/// What a passive transfer brings, from where the reply said.
pub(crate) fn fetch_passively(talk: &mut Talk, vip: SocketAddr, command: &str) -> String {
    let reply = talk.ask(command);
    let at = match command {
        "PASV" => parse(in_parentheses(&reply)),
        _ => {
            let port = in_parentheses(&reply).trim_matches('|').parse().unwrap();
            SocketAddr::new(vip.ip(), port)
        }
    };
    assert_eq!(at.ip(), vip.ip(), "the reply names the VIP and not the server");
    fetch(talk, || open(at))
}

/// What an active transfer brings, and from where.
fn fetch_actively(talk: &mut Talk, command: impl Fn(SocketAddr) -> String) -> (String, SocketAddr) {
    let own = talk.0.get_ref().local_addr().unwrap().ip();
    let listener = inside("client", || TcpListener::bind((own, 0)).unwrap());
    assert_eq!(talk.ask(&command(listener.local_addr().unwrap())), "200 Fine.");
    listener.set_nonblocking(true).unwrap();
    let mut from = None;
    let content = fetch(talk, || {
        let mut accepted = None;
        wait_for("the data connection", || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (stream, peer) = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        from = Some(peer);
        stream
    });
    (content, from.unwrap())
}

fn fetch(talk: &mut Talk, data: impl FnOnce() -> TcpStream) -> String {
    talk.say("RETR name");
    let mut content = String::new();
    data().read_to_string(&mut content).unwrap();
    assert_eq!(talk.hear(), "226 Done.");
    content
}

/// Two sessions reach both servers, and each transfer the server of its session.
fn transfers_follow_their_session(vip: SocketAddr, passive: &[&str]) {
    let mut reached = Vec::new();
    for _ in 0..2 {
        let mut talk = Talk::dial(vip);
        let eprt = |at: SocketAddr| {
            format!("EPRT |{}|{}|{}|", if at.is_ipv4() { 1 } else { 2 }, at.ip(), at.port())
        };
        let (name, from) = fetch_actively(&mut talk, eprt);
        assert_eq!(from, SocketAddr::new(vip.ip(), 20), "the client sees the VIP");
        for command in passive {
            assert_eq!(fetch_passively(&mut talk, vip, command), name);
        }
        reached.push(name);
    }
    reached.sort_unstable();
    assert_eq!(reached, ["one", "two"]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn ftp_by_nat_transfers_actively_and_passively_through_the_vip() {
    let _lab = lab();
    let _net = Net::routed();
    let vip = balance("10.1.0.100:21", ["10.2.1.2:21", "10.2.2.2:21"]);
    transfers_follow_their_session(vip, &["PASV", "EPSV"]);
    let mut talk = Talk::dial(vip);
    let (_, from) = fetch_actively(&mut talk, |at| format!("PORT {}", numbers(at)));
    assert_eq!(from, SocketAddr::new(vip.ip(), 20));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn ftp_by_nat_transfers_over_ipv6() {
    let _lab = lab();
    let _net = Net::routed();
    let vip = balance("[fd01::100]:21", ["[fd02:1::2]:21", "[fd02:2::2]:21"]);
    transfers_follow_their_session(vip, &["EPSV"]);
}

//! FTP control and data connections through the relay.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use piranha::ipvs::{Helper, Service, ServiceKey};
use piranha::runtime::relay::Relay;

use crate::support::*;

const FILE: usize = 3 * (1 << 20) + 17;

/// One line at a time over a control connection.
struct Talk(BufReader<TcpStream>);

impl Talk {
    fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    fn say(&self, line: &str) {
        let mut stream = self.0.get_ref();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}

/// How the server reaches its next data connection.
enum Data {
    Listen(TcpListener),
    Connect(SocketAddr),
}

impl Data {
    fn open(self) -> TcpStream {
        match self {
            Self::Listen(listener) => listener.accept().unwrap().0,
            Self::Connect(address) => connect(address),
        }
    }
}

/// A server that knows PASV, EPSV, PORT, EPRT, RETR and STOR, and announces an address in its
/// replies that is of no use to anybody else.
fn ftp_server(address: IpAddr) -> SocketAddr {
    server(address, |stream| {
        let local = stream.local_addr().unwrap().ip();
        let mut talk = Talk::new(stream);
        let mut data = None;
        talk.say("220-Welcome\r\n227 is no reply here (1,2,3,4,5,6)\r\n220 Ready.");
        loop {
            let line = talk.hear();
            let (verb, parameter) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "PASV" | "EPSV" => {
                    let listener = TcpListener::bind((local, 0)).unwrap();
                    let port = listener.local_addr().unwrap().port();
                    data = Some(Data::Listen(listener));
                    talk.say(&announce(verb, port));
                }
                "PORT" | "EPRT" => {
                    data = Some(Data::Connect(parse_address(parameter)));
                    talk.say("200 Fine.");
                }
                "RETR" => {
                    let data = data.take().unwrap().open();
                    talk.say("150 Here it comes.");
                    send_noise(&data, FILE);
                    talk.say("226 Done.");
                }
                "STOR" => {
                    let data = data.take().unwrap().open();
                    talk.say("150 Go on.");
                    let (length, sum) = receive(&data);
                    talk.say(&format!("226 {length} {sum}"));
                }
                "" | "QUIT" => return,
                other => talk.say(&format!("502 No {other}.")),
            }
        }
    })
}

fn announce(verb: &str, port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    match verb {
        "PASV" => format!("227 Entering Passive Mode (192,0,2,1,{high},{low})."),
        _ => format!("229 Entering Extended Passive Mode (|||{port}|)"),
    }
}

/// Of PORT, EPRT, or a 227 reply.
fn parse_address(text: &str) -> SocketAddr {
    if text.starts_with('|') {
        let parts: Vec<&str> = text.split('|').collect();
        return SocketAddr::new(parts[2].parse().unwrap(), parts[3].parse().unwrap());
    }
    let numbers: Vec<u8> = text
        .trim_matches(|c: char| !c.is_ascii_digit())
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    let [a, b, c, d, high, low] = numbers.try_into().unwrap();
    SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
}

fn port_command(at: SocketAddr) -> String {
    match at {
        SocketAddr::V4(v4) => {
            let ([a, b, c, d], [high, low]) = (v4.ip().octets(), v4.port().to_be_bytes());
            format!("PORT {a},{b},{c},{d},{high},{low}")
        }
        SocketAddr::V6(v6) => format!("EPRT |2|{}|{}|", v6.ip(), v6.port()),
    }
}

async fn ftp(vip: SocketAddr) -> (Relay, ServiceKey, Talk) {
    let relay = relay();
    let key = ServiceKey::tcp(vip);
    let service = Service::new(key).with_helper(Some(Helper::Ftp));
    serve(&relay, service, &[ftp_server(localhost(vip))]).await;
    let mut talk = Talk::new(connect(vip));
    let greeting = [talk.hear(), talk.hear(), talk.hear()];
    assert_eq!(greeting[1], "227 is no reply here (1,2,3,4,5,6)");
    (relay, key, talk)
}

/// Announces a passive data connection; returns where the client is to connect.
fn passive(talk: &mut Talk, vip: SocketAddr) -> SocketAddr {
    let reply = talk.ask("PASV");
    let at = parse_address(reply.strip_prefix("227 Entering Passive Mode ").unwrap());
    assert_eq!(at.ip(), vip.ip(), "the address in the reply is the VIP");
    at
}

fn extended_passive(talk: &mut Talk, vip: SocketAddr) -> SocketAddr {
    let reply = talk.ask("EPSV");
    let port = reply.strip_prefix("229 Entering Extended Passive Mode (|||").unwrap();
    SocketAddr::new(vip.ip(), port.strip_suffix("|)").unwrap().parse().unwrap())
}

#[tokio::test]
async fn passive_transfers_go_through_the_vip_and_count_towards_the_same_server() {
    let vip = vip();
    let (relay, key, mut talk) = ftp(vip).await;
    for announce in [passive, extended_passive] {
        let data = connect(announce(&mut talk, vip));
        talk.say("RETR file");
        assert_eq!(talk.hear(), "150 Here it comes.");
        let load = status(&relay, key).destinations[0].load;
        assert_eq!(load.total(), 2);
        assert_eq!(receive(&data).0, FILE);
        drop(data);
        assert_eq!(talk.hear(), "226 Done.");

        let data = connect(announce(&mut talk, vip));
        talk.say("STOR file");
        let sum = send_noise(&data, FILE);
        assert_eq!(talk.hear(), "150 Go on.");
        assert_eq!(talk.hear(), format!("226 {FILE} {sum}"));
    }
    drop(talk);
    balances(&relay);
    let counters = status(&relay, key).counters;
    assert_eq!(counters.connections, 1);
    assert!(counters.bytes_in > 2 * FILE as u64 && counters.bytes_out > 2 * FILE as u64);
}

#[tokio::test]
async fn extended_passive_transfers_work_over_ipv6() {
    let vip = vip6();
    let (relay, _, mut talk) = ftp(vip).await;
    let data = connect(extended_passive(&mut talk, vip));
    talk.say("RETR file");
    assert_eq!(receive(&data).0, FILE);
    drop((data, talk));
    balances(&relay);
}

#[tokio::test]
async fn active_transfers_reach_the_client_from_the_vip() {
    for vip in [vip(), vip6()] {
        let (relay, key, mut talk) = ftp(vip).await;
        let local = talk.0.get_ref().local_addr().unwrap().ip();
        let listener = TcpListener::bind((local, 0)).unwrap();
        let command = port_command(listener.local_addr().unwrap());
        assert_eq!(talk.ask(&command), "200 Fine.");
        talk.say("RETR file");
        let (data, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), vip.ip());
        assert_eq!(talk.hear(), "150 Here it comes.");
        assert_eq!(receive(&data).0, FILE);
        drop(data);
        assert_eq!(talk.hear(), "226 Done.");

        assert_eq!(talk.ask(&command), "200 Fine.");
        talk.say("STOR file");
        let (data, _) = listener.accept().unwrap();
        let sum = send_noise(&data, FILE);
        assert_eq!(talk.hear(), "150 Go on.");
        assert_eq!(talk.hear(), format!("226 {FILE} {sum}"));
        drop((data, talk));
        balances(&relay);
        let counters = status(&relay, key).counters;
        assert!(counters.bytes_in > FILE as u64 && counters.bytes_out > FILE as u64);
        assert!(counters.bytes_in < 2 * FILE as u64, "each direction on its own side");
    }
}

#[tokio::test]
async fn a_data_connection_from_somebody_else_is_refused_and_the_clients_own_still_works() {
    let vip = vip();
    let (relay, _, mut talk) = ftp(vip).await;
    let at = passive(&mut talk, vip);
    assert!(is_reset(connect_from([127, 0, 0, 9], at)));
    let data = connect(at);
    talk.say("RETR file");
    assert_eq!(receive(&data).0, FILE);
    assert!(TcpStream::connect(at).is_err(), "one connection for each announcement");
    drop((data, talk));
    balances(&relay);
}

#[tokio::test]
async fn a_data_connection_to_somebody_else_is_refused() {
    let vip = vip();
    let (relay, _, mut talk) = ftp(vip).await;
    assert!(talk.ask("PORT 192,0,2,9,200,3").starts_with("504 "));
    assert!(talk.ask("PORT nonsense").starts_with("501 "));
    assert_eq!(talk.ask("NOOP"), "502 No NOOP.", "the server never saw them");
    drop(talk);
    balances(&relay);
}

#[tokio::test]
async fn data_listeners_end_with_their_control_connection_or_when_replaced_or_expired() {
    let mut config = config();
    config.ftp_data_timeout = std::time::Duration::from_millis(100);
    config.idle_timeout = std::time::Duration::from_secs(900);
    let relay = Relay::new(config).unwrap();
    let vip = vip();
    let service = Service::new(ServiceKey::tcp(vip)).with_helper(Some(Helper::Ftp));
    serve(&relay, service, &[ftp_server(localhost(vip))]).await;
    let mut talk = Talk::new(connect(vip));
    let first = passive(skip_greeting(&mut talk), vip);
    let closed = |at: SocketAddr| move || TcpListener::bind(at).is_ok();
    eventually("the announcement expires", closed(first));
    let second = passive(&mut talk, vip);
    let third = passive(&mut talk, vip);
    eventually("the former announcement is given up", closed(second));
    drop(talk);
    eventually("the listener ends with the control connection", closed(third));
    balances(&relay);
}

fn skip_greeting(talk: &mut Talk) -> &mut Talk {
    for _ in 0..3 {
        talk.hear();
    }
    talk
}

#[tokio::test]
async fn what_follows_a_command_in_the_same_segment_is_not_lost() {
    let vip = vip();
    let (relay, _, mut talk) = ftp(vip).await;
    talk.say("NOOP\r\nPORT 1,2,3,4,5,6\r\nTYPE I\r\nQUIT");
    let mut answers = [talk.hear(), talk.hear(), talk.hear()];
    answers.sort();
    assert_eq!(answers[..2], ["502 No NOOP.", "502 No TYPE."]);
    assert!(answers[2].starts_with("504 "));
    assert_eq!(talk.hear(), "");
    talk.0.get_ref().shutdown(Shutdown::Both).unwrap();
    drop(talk);
    balances(&relay);
}

#[tokio::test]
async fn without_the_helper_nothing_is_rewritten() {
    let relay = relay();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[ftp_server(Ipv4Addr::LOCALHOST.into())])
        .await;
    let mut talk = Talk::new(connect(vip));
    let reply = skip_greeting(&mut talk).ask("PASV");
    assert!(reply.contains("(192,0,2,1,"), "{reply}");
}

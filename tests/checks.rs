//! The built-in checks against real servers on loopback, well-behaved and hostile.
#![cfg(feature = "runtime")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "these tests are about input and output"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use piranha::health::{
    Check, CheckSpec, DnsSpec, Expect, Failure, Health, HttpSpec, MonitorConfig, Output, Override,
    SlowStart, Stage, async_trait,
};
use piranha::net::{Protocol, Weight};
use piranha::runtime::checks::{CheckError, Runner, build};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

#[path = "checks/certificates.rs"]
mod certificates;
#[path = "checks/haproxy.rs"]
mod haproxy;
#[path = "checks/hostile.rs"]
mod hostile;
#[cfg(all(feature = "http2", feature = "tls"))]
#[path = "checks/http2.rs"]
mod http2;
#[path = "checks/logins.rs"]
mod logins;
#[path = "checks/pool.rs"]
mod pool;
#[path = "checks/program.rs"]
mod program;
#[path = "checks/real.rs"]
mod real;
#[cfg(feature = "tls")]
#[path = "checks/tls.rs"]
mod tls;

const LOCALHOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
/// Long enough for anything that works.
const AMPLE: Duration = Duration::from_secs(20);
/// For what is expected to run into it.
const SHORT: Duration = Duration::from_millis(200);

/// A server that does `serve` with each connection, one after the other.
async fn tcp_on<F, W>(host: IpAddr, serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    address
}

async fn tcp<F, W>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    tcp_on(LOCALHOSTS[0], serve).await
}

/// Says `text`, then waits for the client to go.
async fn says(text: &'static [u8]) -> SocketAddr {
    tcp(move |mut stream| async move {
        let _ = stream.write_all(text).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Says `text` and closes.
async fn says_and_closes(text: &'static [u8]) -> SocketAddr {
    tcp(move |mut stream| async move {
        let _ = stream.write_all(text).await;
    })
    .await
}

/// A port that is taken, so that no other test gets it, and on which nobody listens.
fn closed_port(host: IpAddr) -> (Socket, SocketAddr) {
    let any = SocketAddr::new(host, 0);
    let socket = Socket::new(Domain::for_address(any), Type::STREAM, None).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

async fn udp(host: IpAddr, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((host, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&answer(&buffer[..length]), from).await;
        }
    });
    address
}

fn send_expect(send: &[u8], expect: Expect) -> CheckSpec {
    CheckSpec::SendExpect { send: send.to_vec(), expect }
}

fn prefix(text: &[u8]) -> Expect {
    Expect::Prefix(text.to_vec())
}

async fn probe(spec: &CheckSpec, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
    let check = build(spec, Protocol::Tcp).unwrap();
    check.probe(target, limit).await
}

/// Why the check fails, as it prints.
async fn why(spec: &CheckSpec, target: SocketAddr, limit: Duration) -> String {
    probe(spec, target, limit).await.unwrap_err().to_string()
}

fn http() -> CheckSpec {
    CheckSpec::Http(HttpSpec::default())
}

#[tokio::test]
async fn a_listening_port_passes_a_connect_check_and_a_closed_one_is_refused() {
    for host in LOCALHOSTS {
        let open = tcp_on(host, |_| async {}).await;
        assert_eq!(probe(&CheckSpec::Connect, open, AMPLE).await, Ok(()));
        let (_taken, closed) = closed_port(host);
        let refused = probe(&CheckSpec::Connect, closed, AMPLE).await;
        assert_eq!(refused, Err(Failure::Refused));
    }
}

#[tokio::test]
async fn a_connection_of_a_port_with_itself_is_no_server() {
    // Linux gives ports of one parity to bind and of the other to connect, so the neighbour of
    // one that bind gave will be picked by connect sooner or later, and not by other tests.
    let (_taken, mut target) = closed_port(LOCALHOSTS[0]);
    target.set_port(target.port() ^ 1);
    let check = build(&CheckSpec::Connect, Protocol::Tcp).unwrap();
    for _ in 0..70_000 {
        let result = check.probe(target, AMPLE).await;
        assert_eq!(result, Err(Failure::Refused));
    }
}

#[tokio::test]
async fn a_full_accept_queue_times_out_connecting() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = (LOCALHOSTS[0], 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    let mut result = Ok(());
    for _ in 0..8 {
        result = probe(&CheckSpec::Connect, address, SHORT).await;
        if result.is_err() {
            break;
        }
        // A reset connection leaves the queue only with accept, as do those kept here.
        held.push(tokio::time::timeout(SHORT, TcpStream::connect(address)).await);
    }
    let (stage, after) = (Stage::Connect, SHORT);
    assert_eq!(result, Err(Failure::TimedOut { stage, after }));
}

#[tokio::test]
async fn an_answer_is_awaited_until_it_is_long_enough() {
    for host in LOCALHOSTS {
        let slow = tcp_on(host, |mut stream| async move {
            for byte in b"220 ready\r\n" {
                let _ = stream.write_all(&[*byte]).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let spec = send_expect(b"", prefix(b"220 ready"));
        assert_eq!(probe(&spec, slow, AMPLE).await, Ok(()));
    }
}

#[tokio::test]
async fn what_is_sent_arrives_whole_even_if_nothing_is_expected() {
    let (sender, mut received) = mpsc::channel(1);
    let server = tcp(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            let end = stream.read_to_end(&mut all).await;
            sender.send((end.is_ok(), all.len())).await.unwrap();
        }
    })
    .await;
    let spec = send_expect(&vec![b'x'; 50_000], Expect::Nothing);
    assert_eq!(probe(&spec, server, AMPLE).await, Ok(()));
    assert_eq!(received.recv().await, Some((true, 50_000)));
}

#[tokio::test]
async fn the_answer_to_what_was_sent_decides() {
    let server = tcp(|mut stream| async move {
        let mut line = [0; 6];
        let _ = stream.read_exact(&mut line).await;
        let pong = line == *b"PING\r\n";
        let _ = stream.write_all(if pong { b"+PONG\r\n" } else { b"-ERR\r\n\0" }).await;
    })
    .await;
    let asks = |text: &[u8]| send_expect(text, prefix(b"+PONG"));
    assert_eq!(probe(&asks(b"PING\r\n"), server, AMPLE).await, Ok(()));
    assert_eq!(
        why(&asks(b"PONG\r\n"), server, AMPLE).await,
        r#"expected an answer beginning with "+PONG", got "-ERR\r""#
    );
}

#[tokio::test]
async fn each_way_an_answer_can_be_wrong_has_its_reason() {
    let expect = |text| send_expect(b"", prefix(text));
    assert_eq!(
        why(&expect(b"220 "), says_and_closes(b"22").await, AMPLE).await,
        r#"expected an answer beginning with "220 ", got "22""#
    );
    assert_eq!(
        why(&expect(b"220 "), says_and_closes(b"").await, AMPLE).await,
        "connection closed after 0 bytes of the answer"
    );
    assert_eq!(
        why(&expect(b"220 "), says(b"").await, SHORT).await,
        "waiting for the answer timed out after 200ms"
    );
    assert_eq!(
        why(&expect(b"220 "), says(b"22").await, SHORT).await,
        "waiting for the rest of the answer timed out after 200ms"
    );
    let reset = tcp(|stream| async move {
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    })
    .await;
    assert_eq!(why(&expect(b"220 "), reset, AMPLE).await, "connection reset");
}

#[tokio::test]
async fn a_server_that_does_not_read_times_out_sending() {
    let server = tcp(|stream| async move {
        tokio::time::sleep(AMPLE).await;
        drop(stream);
    })
    .await;
    let spec = send_expect(&vec![b'x'; 50_000_000], Expect::Anything);
    assert_eq!(why(&spec, server, SHORT).await, "sending timed out after 200ms");
}

#[tokio::test]
async fn a_star_wants_any_answer_but_one() {
    let spec = send_expect(b"", Expect::Anything);
    assert_eq!(probe(&spec, says(b"?").await, AMPLE).await, Ok(()));
    let silent = says_and_closes(b"").await;
    assert!(probe(&spec, silent, AMPLE).await.is_err());
}

#[tokio::test]
async fn a_regular_expression_is_looked_for_as_the_answer_arrives() {
    let spec = send_expect(b"", Expect::Regex("^[0-9]+ .*(ready|up)".into()));
    assert_eq!(probe(&spec, says(b"220 hello\r\n220 ready").await, AMPLE).await, Ok(()));
    let answer = why(&spec, says_and_closes(b"500 \xff").await, AMPLE).await;
    assert_eq!(answer, r#"expected an answer matching /^[0-9]+ .*(ready|up)/, got "500 \xff""#);
}

#[tokio::test]
async fn an_endless_banner_is_read_to_the_limit_and_no_further() {
    let (sender, mut sent) = mpsc::channel(1);
    let endless = tcp(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut total = 0_usize;
            while stream.write_all(&[b'z'; 4096]).await.is_ok() {
                total += 4096;
            }
            let _ = sender.send(total).await;
        }
    })
    .await;
    let never = send_expect(b"", Expect::Regex("never".into()));
    let begun = Instant::now();
    let failure = why(&never, endless, AMPLE).await;
    assert!(failure.ends_with("got \"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"..."), "{failure}");
    assert!(begun.elapsed() < AMPLE, "the limit ends it, not the time");
    // It stopped because the check hung up, after what the sockets buffer.
    assert!(sent.recv().await.unwrap() < 100_000_000);
}

#[tokio::test]
async fn udp_needs_an_answer() {
    for host in LOCALHOSTS {
        let echo = udp(host, <[u8]>::to_vec).await;
        let check = |send: &[u8], expect| build(&send_expect(send, expect), Protocol::Udp).unwrap();
        assert_eq!(check(b"ping", prefix(b"pi")).probe(echo, AMPLE).await, Ok(()));
        assert_eq!(check(b"", Expect::Nothing).probe(echo, AMPLE).await, Ok(()));
        let regex = Expect::Regex("i.g$".into());
        assert_eq!(check(b"ping", regex).probe(echo, AMPLE).await, Ok(()));
        let empty = check(b"", Expect::Anything).probe(echo, AMPLE).await;
        assert_eq!(empty, Err(Failure::Empty));
        let short = check(b"pi", prefix(b"ping")).probe(echo, AMPLE).await;
        assert_eq!(
            short.unwrap_err().to_string(),
            r#"expected an answer beginning with "ping", got "pi""#
        );

        let mute = UdpSocket::bind((host, 0)).await.unwrap();
        let silent = mute.local_addr().unwrap();
        let timed_out = check(b"ping", Expect::Nothing).probe(silent, SHORT).await;
        let (stage, after) = (Stage::Answer, SHORT);
        assert_eq!(timed_out, Err(Failure::TimedOut { stage, after }));
        drop(mute);
        let refused = check(b"ping", Expect::Nothing).probe(silent, AMPLE).await;
        assert_eq!(refused, Err(Failure::Refused));
    }
}

#[tokio::test]
async fn a_datagram_from_a_stranger_is_no_answer() {
    let server = UdpSocket::bind((LOCALHOSTS[0], 0)).await.unwrap();
    let stranger = UdpSocket::bind((LOCALHOSTS[0], 0)).await.unwrap();
    let target = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        let (_, client) = server.recv_from(&mut buffer).await.unwrap();
        stranger.send_to(b"forged", client).await.unwrap();
        tokio::time::sleep(AMPLE).await;
    });
    let check = build(&send_expect(b"ping", Expect::Anything), Protocol::Udp).unwrap();
    assert!(matches!(check.probe(target, SHORT).await, Err(Failure::TimedOut { .. })));
}

/// Whoever guesses the port and forges the address can send before the server does.
#[tokio::test]
async fn forged_answers_of_dns_are_passed_over_until_the_true_one_comes() {
    for host in LOCALHOSTS {
        let socket = UdpSocket::bind((host, 0)).await.unwrap();
        let server = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let mut answer = buffer[..length].to_vec();
                let question = answer.clone();
                answer[2] |= 0x80;
                let mut number = answer.clone();
                number[1] ^= 1;
                let mut record = answer.clone();
                record[length - 3] ^= 1;
                for datagram in [&b"garbage"[..], &number, &record, &question, &answer] {
                    socket.send_to(datagram, from).await.unwrap();
                }
            }
        });
        let check = build(&CheckSpec::Dns(DnsSpec::default()), Protocol::Udp).unwrap();
        assert_eq!(check.probe(server, AMPLE).await, Ok(()));
    }
    let echo = udp(LOCALHOSTS[0], <[u8]>::to_vec).await;
    let check = build(&CheckSpec::Dns(DnsSpec::default()), Protocol::Udp).unwrap();
    let reason = check.probe(echo, SHORT).await.unwrap_err().to_string();
    assert!(reason.starts_with("expected an answer to this question for ."), "{reason}");
}

#[tokio::test]
async fn http_passes_by_status() {
    for host in LOCALHOSTS {
        let (sender, mut requests) = mpsc::channel(1);
        let server = tcp_on(host, move |mut stream| {
            let sender = sender.clone();
            async move {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let _ = sender.send(text).await;
                let _ = stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\nnope").await;
            }
        })
        .await;
        assert_eq!(probe(&http(), server, AMPLE).await, Ok(()));
        let request = requests.recv().await.unwrap();
        assert!(request.starts_with(&format!("GET / HTTP/1.1\r\nHost: {server}\r\n")));
        assert!(request.contains("\r\nConnection: close\r\n") && request.ends_with("\r\n\r\n"));

        let mut strict = HttpSpec::default();
        (strict.path, strict.status) = ("/up?deep=1".into(), "200-299".parse().unwrap());
        let failure = why(&CheckSpec::Http(strict), server, AMPLE).await;
        assert_eq!(failure, "expected HTTP status 200-299, got 404");
        let request = requests.recv().await.unwrap();
        assert!(request.starts_with("GET /up?deep=1 HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn each_way_an_http_answer_can_be_wrong_has_its_reason() {
    let broken = says(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n").await;
    assert_eq!(why(&http(), broken, AMPLE).await, "expected HTTP status 200-499, got 503");
    let ssh = says(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(
        why(&http(), ssh, AMPLE).await,
        r#"expected an HTTP answer, got "SSH-2.0-OpenSSH_9.2\r\n""#
    );
    let garbage = says(b"HTTP/1.1 \0\0\0\r\n\r\n").await;
    assert!(why(&http(), garbage, AMPLE).await.starts_with("expected an HTTP answer, got"));
    let half = says(b"HTTP/1.1 200 OK\r\nContent-").await;
    assert_eq!(
        why(&http(), half, SHORT).await,
        "waiting for the rest of the answer timed out after 200ms"
    );
    let endless = tcp(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-Filler: yes\r\n").await.is_ok() {}
    })
    .await;
    assert_eq!(
        why(&http(), endless, AMPLE).await,
        "the HTTP headers exceed 8192 bytes or 128 fields"
    );
    let closed = tcp(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200").await;
    })
    .await;
    assert_eq!(why(&http(), closed, AMPLE).await, "connection closed after 12 bytes of the answer");
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let refusal = |spec: &CheckSpec, protocol| build(spec, protocol).err().unwrap();
    assert_eq!(refusal(&CheckSpec::Connect, Protocol::Udp), CheckError::NoConnections);
    assert_eq!(refusal(&http(), Protocol::Udp), CheckError::HttpOverUdp);
    let regex = send_expect(b"", Expect::Regex("(".into()));
    assert!(matches!(refusal(&regex, Protocol::Tcp), CheckError::Regex(_)));
    let long = send_expect(b"", prefix(&[0; 5000]));
    assert!(matches!(refusal(&long, Protocol::Tcp), CheckError::ExpectTooLong { .. }));
    let datagram = send_expect(&vec![0; 65_508], Expect::Nothing);
    assert!(matches!(refusal(&datagram, Protocol::Udp), CheckError::SendTooLong { .. }));
}

fn brisk() -> MonitorConfig {
    let ms = Duration::from_millis;
    MonitorConfig::new(ms(20), ms(15)).unwrap().with_slow_start(SlowStart::Off)
}

async fn next<K>(events: &mut mpsc::Receiver<(K, Output)>) -> Output {
    let event = tokio::time::timeout(AMPLE, events.recv()).await;
    event.expect("an event in time").expect("a live runner").1
}

async fn weight<K>(events: &mut mpsc::Receiver<(K, Output)>) -> Option<Weight> {
    loop {
        if let Output::Weight(weight) = next(events).await {
            return weight;
        }
    }
}

#[tokio::test]
async fn a_runner_follows_its_server_down_and_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel(8);
    let check = build(&CheckSpec::Connect, Protocol::Tcp).unwrap().into();
    let config = brisk().with_rise(2).unwrap();
    let runner = Runner::spawn(7, address, check, config, sender);

    assert_eq!(weight(&mut events).await, Some(Weight::ONE));
    drop(listener);
    assert_eq!(weight(&mut events).await, None);
    assert_eq!(runner.status().health, Health::Down);
    let _listener = TcpListener::bind(address).await.unwrap();
    assert_eq!(weight(&mut events).await, Some(Weight::ONE));
    assert_eq!(runner.status().last_failure, Some(Failure::Refused));
}

#[tokio::test]
async fn a_runner_obeys_a_new_configuration_and_an_override_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel(8);
    let check = build(&CheckSpec::Connect, Protocol::Tcp).unwrap().into();
    let hour = Duration::from_secs(3600);
    let rare = MonitorConfig::new(hour, hour).unwrap().with_slow_start(SlowStart::Off);
    let runner = Runner::spawn((), address, check, rare, sender);
    assert_eq!(weight(&mut events).await, Some(Weight::ONE));

    let nine = Weight::new(9).unwrap();
    runner.configure(rare.with_weight(nine).with_quiesce(true));
    assert_eq!(weight(&mut events).await, Some(nine));
    runner.set_override(Override::ForceDown);
    assert_eq!(weight(&mut events).await, Some(Weight::ZERO));
    runner.set_override(Override::None);
    assert_eq!(weight(&mut events).await, Some(nine));
    assert_eq!(runner.status().counters.started, 1);
}

#[tokio::test]
async fn dropping_a_runner_ends_it() {
    let (sender, mut events) = mpsc::channel(1);
    let (_taken, target) = closed_port(LOCALHOSTS[0]);
    let runner = Runner::spawn((), target, Arc::new(Hangs), brisk(), sender);
    next(&mut events).await;
    drop(runner);
    let end = tokio::time::timeout(AMPLE, async { while events.recv().await.is_some() {} });
    end.await.expect("the channel closes with the task");
}

/// Never comes back.
struct Hangs;

#[async_trait]
impl Check for Hangs {
    async fn probe(&self, _: SocketAddr, _: Duration) -> Result<(), Failure> {
        std::future::pending().await
    }
}

/// A programming error in an embedder's check.
struct Panics;

#[async_trait]
impl Check for Panics {
    async fn probe(&self, _: SocketAddr, _: Duration) -> Result<(), Failure> {
        panic!("a bug in the check")
    }
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_is_a_failure_and_the_next_one_runs() {
    let hang = Failure::TimedOut { stage: Stage::Check, after: Duration::from_millis(15) };
    let panic = Failure::Other("the check panicked".into());
    let checks: [(Arc<dyn Check>, Failure); 2] =
        [(Arc::new(Hangs), hang), (Arc::new(Panics), panic)];
    for (check, failure) in checks {
        let (sender, mut events) = mpsc::channel(8);
        let target = tcp(|_| async {}).await;
        let runner = Runner::spawn((), target, check, brisk(), sender);
        assert!(matches!(next(&mut events).await, Output::Changed { to: Health::Down, .. }));
        assert_eq!(runner.status().last_failure, Some(failure));
        runner.replace_check(build(&CheckSpec::Connect, Protocol::Tcp).unwrap().into());
        assert_eq!(weight(&mut events).await, Some(Weight::ONE));
    }
}

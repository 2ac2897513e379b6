//! Whole checks, over loopback, of servers that answer anything in any pieces: none panics, each
//! ends within its time, and whatever fails has a reason that fits into a log.
#![no_main]

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use piranha::health::{
    Application, ApplicationSpec, BodyExpect, CheckSpec, DnsSpec, Expect, GrpcSpec, HttpSpec,
    HttpVersion, RadiusSpec, Security, TlsSpec,
};
use piranha::net::Protocol;
use piranha::runtime::checks::build;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What a check may take, and what it may take on a machine that is busy.
const LIMIT: Duration = Duration::from_millis(30);
const PATIENCE: Duration = Duration::from_secs(20);

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (kind, pieces) = input;
    let (spec, protocol) = &KINDS[usize::from(kind) % KINDS.len()];
    RUNTIME.block_on(async {
        match protocol {
            Protocol::Udp => over_udp(spec, &pieces).await,
            _ => over_tcp(spec, &pieces).await,
        }
    });
});

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

static KINDS: LazyLock<Vec<(CheckSpec, Protocol)>> = LazyLock::new(|| {
    let (login, secret) = (private("login", "ann:hunter2"), private("secret", "shared"));
    let mut over_tcp = vec![CheckSpec::Dns(DnsSpec::default()), CheckSpec::Tls(anybody())];
    over_tcp.push(CheckSpec::Grpc(GrpcSpec::default()));
    over_tcp.extend(web());
    for (_, application) in Application::ALL {
        let spec = ApplicationSpec::new(application);
        over_tcp.push(CheckSpec::Application(spec.clone()));
        if application.has_login() {
            over_tcp.push(CheckSpec::Application(spec.clone().with_auth(Some(login.clone()))));
        }
        if application.has_starttls() {
            let spec = spec.with_security(Security::StartTls(anybody()));
            over_tcp.push(CheckSpec::Application(spec));
        }
    }
    let over_udp = [
        CheckSpec::Dns(DnsSpec::default()),
        CheckSpec::Radius(RadiusSpec::new(secret.clone())),
        CheckSpec::Radius(RadiusSpec::new(secret).with_auth(Some(login))),
        CheckSpec::Application(ApplicationSpec::new(Application::Sip)),
        CheckSpec::Datagram { send: b"x".to_vec(), expect: Expect::Regex("a+b".into()) },
    ];
    let over_tcp = over_tcp.into_iter().map(|spec| (spec, Protocol::Tcp));
    over_tcp.chain(over_udp.map(|spec| (spec, Protocol::Udp))).collect()
});

fn web() -> [CheckSpec; 4] {
    let [mut body, mut json, mut http2] = [(); 3].map(|()| HttpSpec::default());
    body.expect = Some(BodyExpect::Regex("(x+x+)+y".into()));
    json.json = vec!["/status ok".parse().unwrap()];
    http2.version = HttpVersion::Http2;
    http2.json = json.json.clone();
    [HttpSpec::default(), body, json, http2].map(CheckSpec::Http)
}

fn anybody() -> TlsSpec {
    let mut tls = TlsSpec::default();
    tls.verify = false;
    tls
}

/// A file that nobody else may read, beside what is built.
fn private(name: &str, contents: &str) -> PathBuf {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/check-");
    let path = PathBuf::from(format!("{path}{name}"));
    std::fs::write(&path, contents).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

async fn over_tcp(spec: &CheckSpec, pieces: &[Vec<u8>]) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = recite(stream, spec, pieces).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = judge(spec, Protocol::Tcp, server) => {}
        () = serve => {}
    }
}

/// Says all there is to say, and then closes its half.
async fn recite(
    mut stream: TcpStream,
    spec: &CheckSpec,
    pieces: &[Vec<u8>],
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut question = [0; 1024];
    for (number, piece) in pieces.iter().enumerate() {
        if number == 0 && matches!(spec, CheckSpec::Dns(_)) {
            let read = stream.read(&mut question).await?;
            stream.write_all(&in_answer_to(&question[..read], piece, 2)).await?;
        } else {
            stream.write_all(piece).await?;
        }
        tokio::task::yield_now().await;
    }
    stream.shutdown().await?;
    while stream.read(&mut question).await? > 0 {}
    Ok(())
}

async fn over_udp(spec: &CheckSpec, pieces: &[Vec<u8>]) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = socket.local_addr().unwrap();
    let serve = async {
        let mut question = [0; 1024];
        let (length, client) = socket.recv_from(&mut question).await.unwrap();
        for piece in pieces {
            let answer = match spec {
                CheckSpec::Dns(_) => in_answer_to(&question[..length], piece, 0),
                CheckSpec::Radius(_) => in_answer_to(&question[..length], piece, 1),
                _ => with_call_id(&question[..length], piece),
            };
            let _ = socket.send_to(&answer, client).await;
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = judge(spec, Protocol::Udp, server) => {}
        () = serve => {}
    }
}

/// `piece` with the two bytes from `at` on that tell which question it answers.
fn in_answer_to(question: &[u8], piece: &[u8], at: usize) -> Vec<u8> {
    let mut answer = piece.to_vec();
    for place in at..at + 2 {
        if let (Some(own), Some(&asked)) = (answer.get_mut(place), question.get(place)) {
            *own = asked;
        }
    }
    answer
}

/// `piece` with the `Call-ID` of the question before it, as often as not.
fn with_call_id(question: &[u8], piece: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(question);
    let Some(header) = text.lines().find(|line| line.starts_with("Call-ID")) else {
        return piece.to_vec();
    };
    match piece.split_first() {
        Some((1, rest)) => [b"SIP/2.0 200 OK\r\n", header.as_bytes(), b"\r\n", rest].concat(),
        _ => piece.to_vec(),
    }
}

async fn judge(spec: &CheckSpec, protocol: Protocol, server: SocketAddr) {
    let check = build(spec, protocol).unwrap();
    let verdict = tokio::time::timeout(PATIENCE, check.probe(server, LIMIT)).await;
    if let Err(failure) = verdict.expect("a check that does not end") {
        let reason = failure.to_string();
        assert!(!reason.is_empty() && reason.len() < 500, "{reason}");
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
}

//! Servers that mean harm, or are broken beyond what anybody thought of: each kind of check ends
//! within its time and with a reason, whatever comes.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use piranha::health::{
    Application, ApplicationSpec, BodyExpect, CheckSpec, DnsSpec, Expect, Failure, GrpcSpec,
    Health, HttpSpec, HttpVersion, MonitorConfig, Output, RadiusSpec, Security, TlsSpec,
};
use piranha::net::Protocol;
use piranha::runtime::checks::{Dialer, Method, Pool, Seat, build};
use proptest::strategy::Strategy as _;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{LOCALHOSTS, tcp, udp};

/// What a check may take; one that does not end by itself is ended by it.
const LIMIT: Duration = Duration::from_millis(700);
/// What it may take at the very most, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every kind of check over TCP that reads an answer; those that can log in with `auth` too.
fn specs(auth: &Path) -> Vec<(String, CheckSpec)> {
    let mut body = HttpSpec::default();
    body.expect = Some(BodyExpect::Regex("(x+x+)+y".into()));
    let mut json = HttpSpec::default();
    json.json = vec!["/status ok".parse().unwrap()];
    let mut specs = vec![
        (
            "send/expect".to_owned(),
            CheckSpec::SendExpect {
                send: b"hello\r\n".to_vec(),
                expect: Expect::Regex("(never)+$".into()),
            },
        ),
        (
            "exactly".to_owned(),
            CheckSpec::SendExpect { send: Vec::new(), expect: Expect::Exactly(b"never".to_vec()) },
        ),
        ("http".to_owned(), CheckSpec::Http(HttpSpec::default())),
        ("http body".to_owned(), CheckSpec::Http(body)),
        ("http json".to_owned(), CheckSpec::Http(json)),
        ("dns".to_owned(), CheckSpec::Dns(DnsSpec::default())),
    ];
    if cfg!(feature = "http2") {
        let mut http2 = HttpSpec::default();
        http2.version = HttpVersion::Http2;
        specs.push(("http2".to_owned(), CheckSpec::Http(http2)));
        specs.push(("grpc".to_owned(), CheckSpec::Grpc(GrpcSpec::default())));
    }
    let applications = Application::ALL.into_iter();
    specs.extend(applications.clone().map(|(name, application)| {
        (name.to_owned(), CheckSpec::Application(ApplicationSpec::new(application)))
    }));
    for application in [Application::Mysql, Application::Postgresql] {
        let spec = ApplicationSpec::new(application).with_auth(Some(auth.to_owned()));
        let name = format!("{} with a login", application.name());
        specs.push((name, CheckSpec::Application(spec)));
    }
    if cfg!(feature = "tls") {
        let mut tls = TlsSpec::default();
        tls.ca = Some(crate::certificates::file("ca.pem"));
        specs.push(("tls".to_owned(), CheckSpec::Tls(tls.clone())));
        let starttls = applications.filter(|(_, application)| application.has_starttls());
        specs.extend(starttls.map(|(name, application)| {
            let security = Security::StartTls(tls.clone());
            let spec = ApplicationSpec::new(application).with_security(security);
            (format!("{name} with STARTTLS"), CheckSpec::Application(spec))
        }));
    }
    specs
}

type Serve = fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// What servers do with a connection.
const SERVERS: [(&str, Serve); 12] = [
    ("says nothing", |stream| Box::pin(hold(stream))),
    ("closes", |_| Box::pin(async {})),
    ("resets", |stream| {
        Box::pin(async move {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        })
    }),
    ("closes its half", |mut stream| {
        Box::pin(async move {
            let _ = stream.shutdown().await;
            hold(stream).await;
        })
    }),
    ("sends zeros for ever", |stream| Box::pin(flood(stream, b"", &[0; 4096]))),
    ("sends a line for ever", |stream| Box::pin(flood(stream, b"220", &[b'x'; 4096]))),
    ("sends lines for ever", |stream| Box::pin(flood(stream, b"", b"220-more\r\n"))),
    ("sends untagged lines for ever", |stream| Box::pin(flood(stream, b"* OK\r\n", b"* 1 A\r\n"))),
    ("sends a body for ever", |stream| {
        Box::pin(flood(stream, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096]))
    }),
    ("sends empty chunks for ever", |stream| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Box::pin(flood(stream, head, b"1\r\nx\r\n"))
    }),
    ("announces more than there is", |mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(&[0xff; 64]).await;
            hold(stream).await;
        })
    }),
    ("sends a byte at a time", |mut stream| {
        Box::pin(async move {
            for byte in std::iter::repeat(b"220-").flatten() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }),
];

async fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    tokio::time::sleep(PATIENCE).await;
}

async fn recite(mut stream: TcpStream, answers: Vec<Vec<u8>>) {
    for answer in answers {
        let _ = stream.write_all(&answer).await;
        let _ = stream.read(&mut [0; 512]).await;
    }
}

async fn flood(mut stream: TcpStream, head: &'static [u8], piece: &'static [u8]) {
    let _ = stream.write_all(head).await;
    let pieces = piece.repeat(4096 / piece.len());
    while stream.write_all(&pieces).await.is_ok() {}
}

/// Answers without an end, each of which some protocol takes for a beginning of its own.
const ENDLESS: [(&[u8], &[u8]); 7] = [
    (b"", &[0; 4096]),
    (b"220", &[b'x'; 4096]),
    (b"", b"220-more\r\n"),
    (b"* OK\r\n", b"* 1 A\r\n"),
    (b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096]),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    (b"SIP/2.0 100 Trying\r\n\r\n", b"SIP/2.0 100 Trying\r\nA: b\r\n\r\n"),
];

/// What a check may take of an endless answer, with all that the kernel has room for on the way.
const SWALLOWED: usize = 24 << 20;

/// Checks once, and panics unless it ends in time and fails with a reason fit for a log.
async fn fails(what: &str, spec: &CheckSpec, protocol: Protocol, server: SocketAddr) {
    let check = build(spec, protocol).unwrap();
    let begun = Instant::now();
    let verdict = tokio::time::timeout(PATIENCE, check.probe(server, LIMIT)).await;
    let failure = verdict.unwrap_or_else(|_| panic!("{what} does not end")).expect_err(what);
    let reason = failure.to_string();
    assert!(!reason.is_empty() && reason.len() < 500, "{what}: {reason}");
    assert!(!reason.contains(char::is_control), "{what}: {reason}");
    assert!(!matches!(failure, Failure::Inconclusive(_)), "{what}: {reason}");
    assert!(begun.elapsed() < PATIENCE, "{what}: {reason}");
}

#[tokio::test]
async fn no_server_holds_a_check_up_or_passes_it_by_misbehaving() {
    let (_directory, auth) = crate::certificates::secret(b"ann:hunter2");
    for (manner, serve) in SERVERS {
        // A connection that is held must not keep the next check waiting.
        let server = tcp(move |stream| async move {
            tokio::spawn(serve(stream));
        })
        .await;
        let checks = specs(&auth).into_iter().map(|(name, spec)| async move {
            // Whoever asks for the status alone never sees the body.
            let body = ["sends a body for ever", "sends empty chunks for ever"].contains(&manner);
            let answered = body && name == "http";
            if !answered {
                let what = format!("{name} of a server that {manner}");
                fails(&what, &spec, Protocol::Tcp, server).await;
            }
        });
        futures_join(checks).await;
    }
}

#[tokio::test]
async fn an_endless_answer_is_given_up_after_a_bound_and_not_only_after_a_time() {
    let (_directory, auth) = crate::certificates::secret(b"ann:hunter2");
    for (head, piece) in ENDLESS {
        let taken = Arc::new(Mutex::new(HashMap::new()));
        let noted = Arc::clone(&taken);
        let server = tcp(move |stream| {
            let noted = Arc::clone(&noted);
            async move {
                tokio::spawn(async move {
                    let peer = stream.peer_addr().unwrap();
                    let written = pour(stream, head, piece).await;
                    noted.lock().unwrap().insert(peer, written);
                });
            }
        })
        .await;
        let checks = specs(&auth).into_iter().map(|(name, spec)| async move {
            let check = build(&spec, Protocol::Tcp).unwrap();
            let verdict = check.probe(server, PATIENCE).await;
            let timed_out = matches!(verdict, Err(Failure::TimedOut { .. }));
            assert!(!timed_out, "{name} reads on for ever after {}", head.escape_ascii());
        });
        futures_join(checks).await;
        let most = taken.lock().unwrap().values().copied().max();
        assert!(most.is_none_or(|most| most < SWALLOWED), "{most:?} of {}", head.escape_ascii());
    }
}

/// Writes until nobody reads, and says how much.
async fn pour(mut stream: TcpStream, head: &[u8], piece: &[u8]) -> usize {
    let pieces = piece.repeat(4096_usize.div_ceil(piece.len()));
    let mut written = head.len();
    if stream.write_all(head).await.is_ok() {
        while stream.write_all(&pieces).await.is_ok() {
            written += pieces.len();
        }
    }
    written
}

#[tokio::test]
async fn servers_that_misbehave_have_no_effect_on_the_checks_of_others() {
    let (sender, mut outputs) = tokio::sync::mpsc::channel(64);
    let pool = Pool::spawn(sender).unwrap();
    let often = MonitorConfig::new(Duration::from_millis(100), PATIENCE).unwrap();
    let paced = MonitorConfig::new(Duration::from_millis(500), LIMIT).unwrap();
    let mut hostile = Vec::new();
    for (manner, serve) in SERVERS {
        let server = tcp(move |stream| async move {
            tokio::spawn(serve(stream));
        })
        .await;
        let kinds = [Application::Imap, Application::Postgresql, Application::Redis];
        for spec in kinds.map(|kind| CheckSpec::Application(ApplicationSpec::new(kind))) {
            let check = build(&spec, Protocol::Tcp).unwrap();
            let method = Method::Check(check.into());
            hostile.push(pool.watch(manner, server, method, paced));
        }
    }
    let sound = crate::says(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let http = build(&CheckSpec::Http(HttpSpec::default()), Protocol::Tcp).unwrap();
    let methods = [Method::Connect(Dialer::default()), Method::Check(http.into())];
    let sound = methods.map(|method| pool.watch("sound", sound, method, often));
    let done = async {
        let counted = |seat: &Seat<_>, enough| seat.status().counters.passed >= enough;
        let failed = |seat: &Seat<_>| seat.status().counters.failed >= 2;
        while !(sound.iter().all(|seat| counted(seat, 20)) && hostile.iter().all(failed)) {
            let told = tokio::time::timeout(Duration::from_millis(50), outputs.recv()).await;
            if let Ok(Some(("sound", Output::Changed { to, reason, .. }))) = told {
                assert_eq!(to, Health::Up, "{reason}");
            }
        }
    };
    tokio::time::timeout(PATIENCE * 3, done).await.expect("all are checked");
    for seat in &sound {
        assert_eq!(seat.status().counters.failed, 0, "{:?}", seat.status());
    }
}

/// Waits for all of them at the same time.
async fn futures_join<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// An Access-Accept that nobody signed, for the number 7.
const RADIUS: [u8; 20] = [2, 7, 0, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];

#[tokio::test]
async fn datagrams_of_garbage_fail_a_check_with_a_reason() {
    let specs = [
        CheckSpec::Dns(DnsSpec::default()),
        CheckSpec::Application(ApplicationSpec::new(Application::Sip)),
        CheckSpec::Datagram {
            send: b"x".to_vec(),
            expect: Expect::Pattern("01 ?? 03".parse().unwrap()),
        },
    ];
    let (_directory, shared) = crate::certificates::secret(b"shared-secret");
    let radius = CheckSpec::Radius(RadiusSpec::new(shared));
    let specs = specs.into_iter().chain([radius]);
    for garbage in [&b""[..], &[0; 4096], &[0xff; 12], &RADIUS, b"SIP/2.0", b"SIP/2.0 999 \x1b[2J"]
    {
        for host in LOCALHOSTS {
            let server = udp(host, |_| garbage.to_vec()).await;
            for spec in specs.clone() {
                fails(&format!("{spec:?}"), &spec, Protocol::Udp, server).await;
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (sender, mut asked) = tokio::sync::mpsc::channel(8);
    let server = tcp(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = sender.send(()).await;
            let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n").await;
        }
    })
    .await;
    let check = build(&CheckSpec::Http(HttpSpec::default()), Protocol::Tcp).unwrap();
    assert_eq!(check.probe(server, PATIENCE).await, Ok(()));
    let mut strict = HttpSpec::default();
    strict.status = "200-299".parse().unwrap();
    fails("redirect", &CheckSpec::Http(strict), Protocol::Tcp, server).await;
    let mut count = 0;
    while asked.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, 2, "one request for each check");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_an_application_answers_no_check_panics_or_hangs(
        answers in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
                "(220|200|\\+OK|\\* OK|p2 OK|250[- ]|E|R|S|\\+PONG)[ -~]{0,20}\r\n".prop_map(String::into_bytes),
                // A greeting of MySQL and an answer of LDAP, more or less.
                proptest::prelude::any::<(u8, u8)>().prop_map(|(a, b)| vec![a % 9, 0, 0, 0, 10, b, 0]),
                proptest::prelude::any::<(u8, u8)>().prop_map(|(a, b)| vec![1, 0, 0, a, b]),
                // What PostgreSQL may want to be proved.
                proptest::prelude::any::<u8>().prop_map(|a| vec![b'R', 0, 0, 0, 8, 0, 0, 0, a % 14]),
                proptest::prelude::any::<(u8, u8)>().prop_map(|(a, b)| vec![0x30, a % 12, 2, 1, 1, 0x61, b]),
            ],
            0..4,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_directory, auth) = crate::certificates::secret(b"ann:hunter2");
        runtime.block_on(async {
            let server = tcp(move |stream| {
                let answers = answers.clone();
                async move {
                    tokio::spawn(recite(stream, answers));
                }
            })
            .await;
            let checks = Application::ALL.into_iter().map(|(name, application)| {
                let auth = application.has_login().then(|| auth.clone());
                let spec = ApplicationSpec::new(application).with_auth(auth);
                (name, CheckSpec::Application(spec))
            });
            let checks = checks.map(|(name, spec)| async move {
                let probe = build(&spec, Protocol::Tcp).unwrap();
                let probe = probe.probe(server, LIMIT / 5);
                let verdict = tokio::time::timeout(PATIENCE, probe).await;
                assert!(verdict.is_ok(), "{name} does not end");
            });
            futures_join(checks).await;
        });
    }
}

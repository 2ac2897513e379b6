//! Checks over HTTP/2, of web servers and of gRPC, against servers made of h2.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use piranha::health::{
    BodyExpect, CheckSpec, Failure, GrpcSpec, HttpSpec, HttpVersion, JsonExpect, TlsSpec,
};
use piranha::net::Protocol;
use piranha::runtime::checks::{CheckError, Dialer, Transcript, build, build_with};
use piranha::wire::grpc::health_request;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{file, secret};
use crate::{AMPLE, LOCALHOSTS, SHORT, probe, says, tcp, why};

/// What a server answers to a request: status, body, trailers.
type Answer = (u16, Vec<u8>, HeaderMap);

/// Answers as many requests as come on `stream`.
async fn serve<S>(stream: S, answer: impl Fn(&http::request::Parts, &[u8]) -> Answer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, mut stream) = request.into_parts();
        let mut sent = Vec::new();
        // The connection has to be polled for the body to come; it came with the headers.
        while let Some(Ok(piece)) = tokio::select! {
            piece = stream.data() => piece,
            _ = connection.accept() => None,
        } {
            sent.extend_from_slice(&piece);
        }
        let (status, body, trailers) = answer(&head, &sent);
        let response = Response::builder().status(status).body(()).unwrap();
        let mut send = respond.send_response(response, false).unwrap();
        send.send_data(Bytes::from(body), false).unwrap();
        send.send_trailers(trailers).unwrap();
    }
}

async fn clear(
    host: IpAddr,
    answer: impl Fn(&http::request::Parts, &[u8]) -> Answer + Copy + Send + Sync + 'static,
) -> SocketAddr {
    crate::tcp_on(host, move |stream| async move {
        tokio::spawn(serve(stream, answer));
    })
    .await
}

/// Over TLS, agreeing on these protocols.
async fn secure(
    protocols: &[&[u8]],
    answer: impl Fn(&http::request::Parts, &[u8]) -> Answer + Copy + Send + Sync + 'static,
) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((LOCALHOSTS[0], 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, answer));
            }
        }
    });
    address
}

fn tls() -> TlsSpec {
    let mut tls = TlsSpec::default();
    tls.ca = Some(file("ca.pem"));
    tls
}

fn http2(change: impl FnOnce(&mut HttpSpec)) -> CheckSpec {
    let mut spec = HttpSpec::default();
    spec.version = HttpVersion::Http2;
    change(&mut spec);
    CheckSpec::Http(spec)
}

fn grpc(service: &str, tls: Option<TlsSpec>) -> CheckSpec {
    let mut spec = GrpcSpec::default();
    (spec.service, spec.tls) = (service.to_owned(), tls);
    CheckSpec::Grpc(spec)
}

/// Says what it was asked, in JSON.
fn echo(head: &http::request::Parts, body: &[u8]) -> Answer {
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or("");
    let text = format!(
        r#"{{"asked": "{} {}", "of": "{}", "body": {}, "agent": "{}"}}"#,
        head.method,
        head.uri.path(),
        head.uri.authority().unwrap(),
        body.len(),
        header("user-agent"),
    );
    let status = if head.uri.path() == "/broken" { 503 } else { 200 };
    (status, text.into_bytes(), HeaderMap::new())
}

/// A health service that knows `up` and `down`, and itself.
fn health(head: &http::request::Parts, body: &[u8]) -> Answer {
    assert_eq!(head.uri.path(), "/grpc.health.v1.Health/Check");
    assert_eq!((head.method.as_str(), &head.headers["te"]), ("POST", &"trailers".parse().unwrap()));
    let status = [("", 1), ("up", 1), ("down", 2)]
        .into_iter()
        .find_map(|(service, status)| (body == health_request(service)).then_some(status));
    let mut trailers = HeaderMap::new();
    let Some(status) = status else {
        trailers.insert("grpc-status", "5".parse().unwrap());
        trailers.insert("grpc-message", "unknown service".parse().unwrap());
        return (200, Vec::new(), trailers);
    };
    trailers.insert("grpc-status", "0".parse().unwrap());
    (200, vec![0, 0, 0, 0, 2, 8, status], trailers)
}

fn json(texts: &[&str]) -> Vec<JsonExpect> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn http2_in_clear_passes_by_status_and_body() {
    for host in LOCALHOSTS {
        let server = clear(host, echo).await;
        assert_eq!(probe(&http2(|_| ()), server, AMPLE).await, Ok(()));
        let named = http2(|spec| {
            (spec.method, spec.path) = ("POST".into(), "/up".into());
            (spec.host, spec.body) = (Some("shop.example.org".into()), b"12345".to_vec());
            spec.headers = vec!["user-agent: probe".parse().unwrap()];
            spec.json =
                json(&["/asked POST /up", "/of shop.example.org", "/body 5", "/agent probe"]);
        });
        assert_eq!(probe(&named, server, AMPLE).await, Ok(()));
        let body = http2(|spec| spec.expect = Some(BodyExpect::Contains(b"GET /".into())));
        assert_eq!(probe(&body, server, AMPLE).await, Ok(()));
        let other = http2(|spec| spec.json = json(&["/body 0", "/asked HEAD"]));
        let reason = why(&other, server, AMPLE).await;
        assert_eq!(reason, r#"expected HEAD at "/asked", got "GET /""#);
        let broken = http2(|spec| spec.path = "/broken".into());
        assert!(why(&broken, server, AMPLE).await.ends_with("got 503"));
    }
}

#[tokio::test]
async fn http2_over_tls_is_agreed_on_or_fails() {
    let server = secure(&[b"http/1.1", b"h2"], echo).await;
    let secure_check = http2(|spec| spec.tls = Some(tls()));
    assert_eq!(probe(&secure_check, server, AMPLE).await, Ok(()));
    assert_eq!(probe(&CheckSpec::Tls(tls()), server, AMPLE).await, Ok(()));
    let silent = secure(&[], echo).await;
    let reason = why(&secure_check, silent, AMPLE).await;
    assert_eq!(reason, "TLS: the server does not offer HTTP/2");
    let old = secure(&[b"http/1.1"], echo).await;
    let reason = why(&secure_check, old, AMPLE).await;
    assert!(reason.starts_with("TLS: received fatal alert: "), "{reason}");
    let stranger = http2(|spec| spec.tls = Some(TlsSpec::default()));
    assert!(why(&stranger, server, AMPLE).await.contains("UnknownIssuer"));
}

#[tokio::test]
async fn a_server_of_http1_is_told_from_one_of_http2() {
    let old = says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let reason = why(&http2(|_| ()), old, AMPLE).await;
    assert!(reason.starts_with("HTTP/2: ") && reason.contains("speak HTTP/2?"), "{reason}");
    assert_eq!(
        why(&http2(|_| ()), says(b"").await, SHORT).await,
        "waiting for the answer timed out after 200ms"
    );
    let gone = tcp(|_| async {}).await;
    let reason = why(&http2(|_| ()), gone, AMPLE).await;
    assert!(reason.contains("closed before") || reason.contains("reset"), "{reason}");
}

#[tokio::test]
async fn a_grpc_server_passes_while_it_says_that_it_is_serving() {
    for host in LOCALHOSTS {
        let server = clear(host, health).await;
        assert_eq!(probe(&grpc("", None), server, AMPLE).await, Ok(()));
        assert_eq!(probe(&grpc("up", None), server, AMPLE).await, Ok(()));
        assert_eq!(
            why(&grpc("down", None), server, AMPLE).await,
            r#"expected SERVING of the service "down", got "NOT_SERVING""#
        );
        assert_eq!(
            why(&grpc("gone", None), server, AMPLE).await,
            r#"expected gRPC status 0 of the service "gone", got "5 unknown service""#
        );
    }
    let server = secure(&[b"h2"], health).await;
    assert_eq!(probe(&grpc("up", Some(tls())), server, AMPLE).await, Ok(()));
    let web = clear(LOCALHOSTS[0], echo).await;
    let reason = why(&grpc("", None), web, AMPLE).await;
    assert_eq!(reason, r#"expected gRPC status 0 of the server, got "none""#);
}

#[tokio::test]
async fn over_udp_and_with_impossible_names_no_check_is_made() {
    let refusal = |spec: &CheckSpec, protocol| build(spec, protocol).err().unwrap();
    assert_eq!(refusal(&grpc("", None), Protocol::Udp), CheckError::HttpOverUdp);
    let long = refusal(&grpc(&"x".repeat(2000), None), Protocol::Tcp);
    assert_eq!(long, CheckError::Service { limit: GrpcSpec::SERVICE_MAX });
}

#[tokio::test]
async fn a_transcript_of_http2_shows_the_dialogue_and_no_secret() {
    let server = clear(LOCALHOSTS[0], echo).await;
    let (_directory, auth) = secret(b"ann:hunter2\n");
    let spec = http2(|spec| (spec.auth, spec.json) = (Some(auth), json(&["/body 0"])));
    let transcript = Transcript::default();
    let dialer = Dialer::default().with_transcript(transcript.clone());
    let check = build_with(&spec, Protocol::Tcp, &dialer).unwrap();
    assert_eq!(check.probe(server, AMPLE).await, Ok(()));
    let lines: Vec<_> = transcript.lines().iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(text.contains(&format!("HTTP/2 GET http://{server}/ ")), "{text}");
    assert!(text.contains("HTTP/2 200 OK") && text.contains("the end of the body"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("YW5uOmh1bnRlcjI"), "{text}");
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn floods_of_frames_end_within_bounds_and_with_a_reason() {
    const HEADERS_WITH_STATUS_200: &[u8] = &[0x88];
    let settings = frame(4, 0, 0, &[]);
    let open = [settings.clone(), frame(1, 4, 1, HEADERS_WITH_STATUS_200)].concat();
    let floods: [(&str, Vec<u8>, Vec<u8>); 9] = [
        ("pings", settings.clone(), frame(6, 0, 0, &[7; 8])),
        ("settings", Vec::new(), settings.clone()),
        ("window updates", settings.clone(), frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("frames of no known kind", settings.clone(), frame(0xee, 0, 0, &[0; 4096])),
        ("priorities", settings.clone(), frame(2, 0, 1, &[0, 0, 0, 3, 1])),
        (
            "continuations of headers",
            [settings.clone(), frame(1, 0, 1, HEADERS_WITH_STATUS_200)].concat(),
            frame(9, 0, 1, b"\x40\x01a\x7f\xff\xff\xff\x03"),
        ),
        (
            "headers that expand",
            [settings.clone(), frame(1, 0, 1, HEADERS_WITH_STATUS_200)].concat(),
            // An indexed field each byte: `accept-encoding: gzip, deflate`.
            frame(9, 0, 1, &[0x90; 4096]),
        ),
        ("a body", open.clone(), frame(0, 0, 1, &[b'x'; 4096])),
        ("empty pieces of a body", open, frame(0, 0, 1, &[])),
    ];
    for (what, head, piece) in floods {
        let pieces = Bytes::from(piece.repeat((1 << 14) / piece.len() + 1));
        let server = tcp(move |mut stream| {
            let (head, pieces) = (head.clone(), pieces.clone());
            async move {
                tokio::spawn(async move {
                    let _ = stream.write_all(&head).await;
                    while stream.write_all(&pieces).await.is_ok() {}
                });
            }
        })
        .await;
        let body = http2(|spec| spec.expect = Some(BodyExpect::Regex("(never)+$".into())));
        for spec in [body, grpc("", None)] {
            let begun = std::time::Instant::now();
            let failure = probe(&spec, server, SHORT * 5).await.unwrap_err();
            let reason = failure.to_string();
            assert!(begun.elapsed() < AMPLE, "{what}: {reason}");
            assert!(!reason.is_empty() && reason.len() < 400, "{what}: {reason}");
            assert!(!reason.contains(char::is_control), "{what}: {reason}");
            assert!(!matches!(failure, Failure::Inconclusive(_)), "{what}: {reason}");
            eprintln!("{what}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_long_farewell_is_cut_in_the_reason() {
    let farewell = [&[0, 0, 0, 0, 0, 0, 0, 11][..], &[b'\n'; 8000]].concat();
    let bytes = [frame(4, 0, 0, &[]), frame(7, 0, 0, &farewell)].concat();
    let server = tcp(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
        }
    })
    .await;
    let reason = why(&http2(|_| ()), server, AMPLE).await;
    assert!(reason.starts_with("HTTP/2: ") && reason.len() < 300, "{reason}");
    assert!(!reason.contains(char::is_control), "{reason}");
}

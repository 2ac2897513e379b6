//! Checks over TLS, against servers that are and are not who they should be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use piranha::health::{CheckSpec, HttpSpec, Identity, Pin, TlsSpec};
use piranha::net::Protocol;
use piranha::runtime::checks::{Dialer, Transcript, build, build_with};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{file, secret};
use crate::{AMPLE, LOCALHOSTS, SHORT, probe, says, tcp, why};

/// A web server over TLS with the certificate of this name, which asks for one where `mutual`.
async fn server(name: &str, mutual: bool) -> SocketAddr {
    server_on(LOCALHOSTS[0], name, mutual).await
}

async fn server_on(host: std::net::IpAddr, name: &str, mutual: bool) -> SocketAddr {
    server_with(host, name, mutual, 1).await
}

/// As [`server_on`], with its certificate so many times in the chain.
async fn server_with(host: std::net::IpAddr, name: &str, mutual: bool, times: usize) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap();
    let chain = vec![certificate; times];
    let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(clients.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let sni = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            let _ = stream.read(&mut [0; 2048]).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\n\r\nI am {name}, asked for {sni}", name = "well");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn tls(change: impl FnOnce(&mut TlsSpec)) -> TlsSpec {
    let mut tls = TlsSpec::default();
    tls.ca = Some(file("ca.pem"));
    change(&mut tls);
    tls
}

fn https(tls: TlsSpec) -> CheckSpec {
    let mut http = HttpSpec::default();
    http.tls = Some(tls);
    CheckSpec::Http(http)
}

/// What openssl says is the pin of the server's key.
fn pin_of(name: &str) -> Pin {
    let der = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap();
    let parsed = rustls::server::ParsedCertificate::try_from(&der).unwrap();
    Pin::new(sha2::Sha256::digest(parsed.subject_public_key_info()).into())
}

#[tokio::test]
async fn https_passes_by_status_and_body_with_the_name_asked_for() {
    for host in LOCALHOSTS {
        let server = server_on(host, "server", false).await;
        assert_eq!(probe(&https(tls(|_| ())), server, AMPLE).await, Ok(()));
        let mut http = HttpSpec::default();
        http.host = Some("www.example.org:443".into());
        http.expect = Some(piranha::health::BodyExpect::Regex("asked for www.example.org$".into()));
        http.tls = Some(tls(|_| ()));
        assert_eq!(probe(&CheckSpec::Http(http.clone()), server, AMPLE).await, Ok(()));
        http.expect = Some(piranha::health::BodyExpect::Contains(b"asked for none".into()));
        assert_eq!(
            why(&CheckSpec::Http(http), server, AMPLE).await,
            r#"expected "asked for none" in the 36 bytes read of the body"#
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_expired_or_for_another_name_fails() {
    let good = server("server", false).await;
    let unknown = https(TlsSpec::default());
    assert!(why(&unknown, good, AMPLE).await.contains("UnknownIssuer"));
    let other = https(tls(|tls| tls.name = Some("shop.example.org".into())));
    let reason = why(&other, good, AMPLE).await;
    assert!(reason.contains("not valid for name"), "{reason}");
    let expired = server("expired", false).await;
    let reason = why(&https(tls(|_| ())), expired, AMPLE).await;
    assert!(reason.ends_with("Expired"), "{reason}");
}

#[tokio::test]
async fn without_verification_anybody_passes_but_the_wrong_key() {
    let expired = server("expired", false).await;
    let blind = tls(|tls| (tls.verify, tls.ca) = (false, None));
    assert_eq!(probe(&CheckSpec::Tls(blind.clone()), expired, AMPLE).await, Ok(()));
    let mut pinned = blind;
    pinned.pins = vec![pin_of("server")];
    let reason = why(&CheckSpec::Tls(pinned), expired, AMPLE).await;
    assert!(reason.ends_with(&format!("not a pinned one but {}", pin_of("expired"))), "{reason}");
}

#[tokio::test]
async fn a_pin_takes_the_place_of_the_chain_and_with_a_ca_both_must_hold() {
    let expired = server("expired", false).await;
    let pinned = |ca| {
        CheckSpec::Tls(tls(|tls| {
            (tls.ca, tls.pins) = (ca, vec![pin_of("server"), pin_of("expired")]);
        }))
    };
    assert_eq!(probe(&pinned(None), expired, AMPLE).await, Ok(()));
    assert!(why(&pinned(Some(file("ca.pem"))), expired, AMPLE).await.ends_with("Expired"));
    let good = server("server", false).await;
    assert_eq!(probe(&pinned(Some(file("ca.pem"))), good, AMPLE).await, Ok(()));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_configured() {
    let strict = server("server", true).await;
    let (_directory, key) = secret(&std::fs::read(file("client.key")).unwrap());
    let identity = Identity::new(file("client.pem"), key);
    let with = https(tls(|tls| tls.identity = Some(identity)));
    assert_eq!(probe(&with, strict, AMPLE).await, Ok(()));
    let reason = why(&https(tls(|_| ())), strict, AMPLE).await;
    assert!(reason.contains("ertificate") || reason.contains("reset"), "{reason}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_hangs_is_told_from_one_that_does() {
    let check = CheckSpec::Tls(tls(|_| ()));
    let plain = says(b"220 no TLS here, and more than five bytes\r\n").await;
    let reason = why(&check, plain, AMPLE).await;
    assert!(reason.starts_with("TLS: received corrupt message"), "{reason}");
    assert_eq!(
        why(&check, says(b"").await, SHORT).await,
        "the TLS handshake timed out after 200ms"
    );
    let gone = tcp(|_| async {}).await;
    let reason = why(&check, gone, AMPLE).await;
    assert!(reason.contains("eof") || reason.contains("reset"), "{reason}");
}

#[tokio::test]
async fn a_bomb_of_certificates_ends_the_handshake_with_a_reason() {
    for times in [200, 20_000] {
        let bomb = server_with(LOCALHOSTS[0], "server", false, times).await;
        let reason = why(&CheckSpec::Tls(tls(|_| ())), bomb, AMPLE).await;
        assert!(reason.starts_with("TLS: ") && reason.len() < 400, "{times}: {reason}");
    }
    let mut http = HttpSpec::default();
    http.tls = Some(tls(|_| ()));
    let bomb = server_with(LOCALHOSTS[0], "server", false, 20_000).await;
    assert!(probe(&CheckSpec::Http(http), bomb, AMPLE).await.is_err());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_is_sent() {
    let problem =
        |tls: TlsSpec| build(&CheckSpec::Tls(tls), Protocol::Tcp).err().unwrap().to_string();
    let missing = problem(tls(|tls| tls.ca = Some("/nonexistent/ca.pem".into())));
    assert!(missing.starts_with("/nonexistent/ca.pem: "), "{missing}");
    let (_directory, empty) = secret(b"");
    assert!(problem(tls(|tls| tls.ca = Some(empty))).ends_with("no PEM certificate in it"));
    let (directory, key) = secret(&std::fs::read(file("client.key")).unwrap());
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, permissions).unwrap();
    let identity = Identity::new(file("client.pem"), key);
    let exposed = problem(tls(|tls| tls.identity = Some(identity)));
    assert!(exposed.contains("others may read it"), "{exposed}");
    drop(directory);
    let name = problem(tls(|tls| tls.name = Some("not a name".into())));
    assert!(name.contains("DNS name"), "{name}");
}

#[tokio::test]
async fn a_transcript_shows_the_dialogue_and_no_secret() {
    let server = server("server", false).await;
    let (_directory, auth) = secret(b"ann:hunter2\n");
    let mut http = HttpSpec::default();
    (http.tls, http.auth) = (Some(tls(|tls| tls.expiry_warning = Duration::MAX)), Some(auth));
    let transcript = Transcript::default();
    let dialer = Dialer::default().with_transcript(transcript.clone());
    let check = build_with(&CheckSpec::Http(http), Protocol::Tcp, &dialer).unwrap();
    assert_eq!(check.probe(server, AMPLE).await, Ok(()));
    let lines: Vec<_> = transcript.lines().iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(text.contains("TLSv1_3, key sha256:") && text.contains("Authorization: (secret)"));
    assert!(text.contains("HTTP/1.1 200 OK") && !text.contains("hunter2"), "{text}");
    assert!(!text.contains("YW5uOmh1bnRlcjI"), "{text}");
}

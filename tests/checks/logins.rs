//! Logins to databases whose servers Debian does not have, and to servers that lie.

use std::net::SocketAddr;

use piranha::health::{Application, ApplicationSpec, CheckSpec, Failure};
use piranha::net::Protocol;
use piranha::runtime::checks::{Dialer, Transcript, build, build_with};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::secret;
use crate::{AMPLE, LOCALHOSTS, probe, tcp, tcp_on, why};

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const NATIVE: &[u8] = b"mysql_native_password";
const CACHING: &[u8] = b"caching_sha2_password";

fn spec(application: Application, auth: &std::path::Path) -> CheckSpec {
    CheckSpec::Application(ApplicationSpec::new(application).with_auth(Some(auth.to_owned())))
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

async fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[0])];
    stream.read_exact(&mut payload).await.unwrap();
    payload
}

fn greeting(method: &[u8]) -> Vec<u8> {
    let (begin, end) = NONCE.split_at(8);
    let zeros = [0; 10];
    let tail = [end, &[0], method, &[0]].concat();
    [b"\x0a8.0.36\0\x01\0\0\0", begin, b"\0\xff\xf7\x21\x02\0\xff\xdf\x15", &zeros, &tail].concat()
}

/// Whether `proof` was made of `password`, as a server knows that keeps only the hash of its hash.
fn holds(password: &[u8], proof: &[u8]) -> bool {
    let kept = Sha256::digest(Sha256::digest(password));
    let mask = Sha256::new().chain_update(kept).chain_update(NONCE).finalize();
    let once: Vec<u8> = proof.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    proof.len() == 32 && Sha256::digest(once) == kept
}

/// A server of MySQL 8 that knows the password `hunter2`, and where `known` has it at hand.
async fn mysql_8(mut stream: TcpStream, first: &[u8], known: bool) {
    stream.write_all(&packet(0, &greeting(first))).await.unwrap();
    let login = read_packet(&mut stream).await;
    let (user, rest) = login[32..].split_at(4);
    assert_eq!(user, b"ann\0");
    let mut proof = rest[1..=usize::from(rest[0])].to_vec();
    let mut number = 2;
    if first != CACHING {
        let switch = [&[0xfe], CACHING, &[0], &NONCE[..], &[0]].concat();
        stream.write_all(&packet(number, &switch)).await.unwrap();
        proof = read_packet(&mut stream).await;
        number += 2;
    }
    if !known {
        let _ = stream.write_all(&packet(number, &[1, 4])).await;
        return;
    }
    if holds(b"hunter2", &proof) {
        stream.write_all(&packet(number, &[1, 3])).await.unwrap();
        stream.write_all(&packet(number + 1, &[0, 0, 0, 2, 0, 0, 0])).await.unwrap();
        assert_eq!(read_packet(&mut stream).await, [1], "the check takes leave");
    } else {
        let denied = b"\xff\x15\x04#28000Access denied for user 'ann'";
        stream.write_all(&packet(number, denied)).await.unwrap();
    }
}

async fn mysql_server(host: std::net::IpAddr, first: &'static [u8], known: bool) -> SocketAddr {
    tcp_on(host, move |stream| mysql_8(stream, first, known)).await
}

#[tokio::test]
async fn caching_sha2_password_is_proved_without_sending_it() {
    let (_right, right) = secret(b"ann:hunter2");
    let (_wrong, wrong) = secret(b"ann:hunter3");
    for host in LOCALHOSTS {
        for first in [CACHING, NATIVE, b"client_ed25519"] {
            let server = mysql_server(host, first, true).await;
            assert_eq!(probe(&spec(Application::Mysql, &right), server, AMPLE).await, Ok(()));
            let refused = why(&spec(Application::Mysql, &wrong), server, AMPLE).await;
            assert!(refused.contains("28000Access denied"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_password_is_not_given_away_in_clear() {
    let (_right, right) = secret(b"ann:hunter2");
    let server = mysql_server(LOCALHOSTS[0], CACHING, false).await;
    let refused = why(&spec(Application::Mysql, &right), server, AMPLE).await;
    assert!(refused.contains("write `check_tls = starttls`"), "{refused}");
    let server = tcp(|mut stream| async move {
        stream.write_all(&packet(0, &greeting(NATIVE))).await.unwrap();
        read_packet(&mut stream).await;
        let switch = [&b"\xfemysql_clear_password\0"[..], NONCE, &[0]].concat();
        stream.write_all(&packet(2, &switch)).await.unwrap();
        let mut sent = Vec::new();
        let _ = stream.read_to_end(&mut sent).await;
        assert!(sent.is_empty(), "{sent:?}");
    })
    .await;
    let refused = why(&spec(Application::Mysql, &right), server, AMPLE).await;
    assert!(refused.contains("got \"mysql_clear_password"), "{refused}");
}

#[tokio::test]
async fn a_transcript_of_a_login_has_no_secret() {
    let (_right, right) = secret(b"ann:hunter2");
    let server = mysql_server(LOCALHOSTS[0], CACHING, true).await;
    let transcript = Transcript::default();
    let dialer = Dialer::default().with_transcript(transcript.clone());
    let check = build_with(&spec(Application::Mysql, &right), Protocol::Tcp, &dialer).unwrap();
    assert_eq!(check.probe(server, AMPLE).await, Ok(()));
    let lines: Vec<_> = transcript.lines().iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(text.contains("a login (secret)") && text.contains("8.0.36"), "{text}");
}

#[test]
fn a_login_without_a_user_is_refused() {
    let (_directory, auth) = secret(b"hunter2");
    for application in [Application::Mysql, Application::Postgresql] {
        let refused = build(&spec(application, &auth), Protocol::Tcp).err().unwrap().to_string();
        assert!(refused.ends_with("it must have `user:password`, a user of at most 128 bytes"));
    }
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], content].concat()
}

fn authentication(kind: u8, content: &[u8]) -> Vec<u8> {
    message(b'R', &[&[0, 0, 0, kind], content].concat())
}

/// A server of PostgreSQL that asks for so many rounds and then claims to know the password.
async fn impostor(mut stream: TcpStream, rounds: u32) {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer).await;
    let _ = stream.write_all(&authentication(10, b"SCRAM-SHA-256\0\0")).await;
    let read = stream.read(&mut buffer).await.unwrap();
    let first = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let nonce = first.rsplit("r=").next().unwrap();
    let answer = format!("r={nonce}more,s=c2FsdA==,i={rounds}");
    let _ = stream.write_all(&authentication(11, answer.as_bytes())).await;
    if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
        let last = [authentication(12, b"v=bm8="), authentication(0, b""), message(b'Z', b"I")];
        let _ = stream.write_all(&last.concat()).await;
        let _ = stream.read(&mut buffer).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_or_asks_for_too_much_work_fails() {
    let (_auth, auth) = secret(b"ann:hunter2");
    for host in LOCALHOSTS {
        let server = tcp_on(host, |stream| impostor(stream, 10)).await;
        let reason = why(&spec(Application::Postgresql, &auth), server, AMPLE).await;
        assert!(reason.starts_with("expected a server that knows the password"), "{reason}");
    }
    let endless = tcp(|stream| impostor(stream, u32::MAX)).await;
    let failure = probe(&spec(Application::Postgresql, &auth), endless, AMPLE).await.unwrap_err();
    assert!(matches!(failure, Failure::Unexpected { .. }), "{failure}");
    assert!(failure.to_string().contains("SCRAM with at most 100000 rounds"), "{failure}");
}

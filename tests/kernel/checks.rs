//! Health checks that need protocols which not every kernel has.

use std::net::SocketAddr;
use std::time::Duration;

use piranha::health::{CheckPath, CheckSpec, Failure};
use piranha::net::Protocol;
use piranha::runtime::checks::{Dialer, Transcript, build_with};

use crate::lab::{lab, modprobe};
use crate::net::sctp;

const LIMIT: Duration = Duration::from_secs(5);

fn probe(dialer: &Dialer, server: SocketAddr) -> Result<(), Failure> {
    let check = build_with(&CheckSpec::Connect, Protocol::Sctp, dialer).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check.probe(server, LIMIT))
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_sctp_server_passes_while_it_listens_and_is_refused_afterwards() {
    let _lab = lab();
    modprobe("sctp");
    for server in ["127.0.0.1:9095", "[::1]:9095"] {
        let server: SocketAddr = server.parse().unwrap();
        let listener = sctp(server).unwrap();
        listener.bind(&server.into()).unwrap();
        listener.listen(16).unwrap();
        for _ in 0..3 {
            assert_eq!(probe(&Dialer::default(), server), Ok(()), "{server}");
        }
        drop(listener);
        assert_eq!(probe(&Dialer::default(), server), Err(Failure::Refused), "{server}");
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_sctp_check_comes_from_the_address_it_is_given() {
    let _lab = lab();
    modprobe("sctp");
    let server: SocketAddr = "127.0.0.1:9096".parse().unwrap();
    let listener = sctp(server).unwrap();
    listener.bind(&server.into()).unwrap();
    listener.listen(16).unwrap();
    let transcript = Transcript::default();
    let path = CheckPath::default().with_source(Some("127.0.0.7".parse().unwrap()));
    let dialer = Dialer::new(path).with_transcript(transcript.clone());
    assert_eq!(probe(&dialer, server), Ok(()));
    let said: Vec<_> = transcript.lines().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|line| line.contains("connected from 127.0.0.7:")), "{said:?}");
}

//! The way of the partner's requests to a control socket of this node.

use std::io;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::state::Peer;
use super::tls::Connection;
use crate::control::peer::{Opening, Refused};
use crate::control::protocol::{Daemon, MAX_REQUEST, Problem, ProblemCode};
use crate::runtime::control::socket;

/// What a request grows by when it is told whose it is: the line stays one that daemons accept.
const ROOM: usize = 512;

/// Leads the partner to what it asked for, until either side ends.
pub(super) async fn lead(peer: &Arc<Peer>, mut connection: Connection, opening: &Opening) {
    let Some((daemon, partner)) = opening.to.daemon().zip(peer.trust.partner()) else { return };
    let author = opening.author(&partner.node);
    match UnixStream::connect(socket(&peer.settings.control.directory, daemon)).await {
        Ok(socket) => {
            let _ended = pass(connection, socket, &author).await;
        }
        Err(error) => {
            let refused = Refused::new(not_running(daemon, &error));
            let _ended = connection.write_line(&refused).await;
        }
    }
}

async fn pass(connection: Connection, socket: UnixStream, author: &str) -> io::Result<()> {
    let (requests, mut answers) = tokio::io::split(connection.stream);
    let (mut from_daemon, to_daemon) = socket.into_split();
    tokio::select! {
        ended = forward(BufReader::new(requests), to_daemon, author) => ended?,
        ended = tokio::io::copy(&mut from_daemon, &mut answers) => {
            ended?;
        }
    }
    answers.shutdown().await
}

/// Passes requests on, each with its author. What is no request ends it.
async fn forward(
    mut requests: impl AsyncBufReadExt + Unpin,
    mut daemon: impl AsyncWrite + Unpin,
    author: &str,
) -> io::Result<()> {
    let mut line = Vec::new();
    while read_line(&mut requests, &mut line).await? {
        daemon.write_all(&attributed(&line, author)?).await?;
    }
    Ok(())
}

async fn read_line(
    requests: &mut (impl AsyncBufReadExt + AsyncRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    let mut bounded = requests.take((MAX_REQUEST - ROOM) as u64);
    bounded.read_until(b'\n', line).await?;
    match line.last() {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The two fields of a request, whose call may be one of a later version: the daemon says so.
#[derive(serde::Deserialize)]
struct Line<'a> {
    id: u64,
    #[serde(borrow)]
    call: &'a RawValue,
}

/// The request in `line` as one of `author`.
fn attributed(line: &[u8], author: &str) -> io::Result<Vec<u8>> {
    let Line { id, call } = serde_json::from_slice(line)?;
    let author = serde_json::to_string(author)?;
    let call = format!(r#"{{"from_partner":{{"author":{author},"call":{call}}}}}"#);
    Ok(format!("{{\"id\":{id},\"call\":{call}}}\n").into_bytes())
}

fn not_running(daemon: Daemon, error: &io::Error) -> Problem {
    let message = format!("{daemon} on the other node cannot be asked: {error}");
    Problem::new(ProblemCode::State, message, format!("see that {daemon} runs there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Call, Request};

    #[test]
    fn a_request_of_the_partner_is_told_with_its_author_whatever_it_says_itself() {
        let line = br#"{"id":4,"call":{"hand_over":{}},"author":"root"}"#;
        let passed = attributed(line, "a\"b@lb2").unwrap();
        let request: Request = serde_json::from_slice(&passed).unwrap();
        let call = Box::new(Call::HandOver { reason: None });
        let expected = Call::FromPartner { author: "a\"b@lb2".to_owned(), call };
        assert_eq!(request, Request { id: 4, call: expected });
        assert!(!passed[..passed.len() - 1].contains(&b'\n'));
    }

    #[test]
    fn what_is_no_request_is_not_passed_on() {
        for line in ["", "{}", "[1]", r#"{"id":-1,"call":1}"#, r#"{"id":1}"#, "\u{0}"] {
            assert!(attributed(line.as_bytes(), "ann@lb2").is_err(), "{line}");
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_ends_the_passage() {
        let endless = vec![b' '; MAX_REQUEST];
        let passed = forward(&endless[..], tokio::io::sink(), "ann@lb2").await;
        assert_eq!(passed.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

//! SIP's `OPTIONS` (RFC 3261, 11), over TCP or UDP.

use std::net::SocketAddr;

use super::unexpected;
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::network::Budget;
use crate::runtime::checks::{Dialer, random};

pub(super) async fn speak(mut line: Conversation) -> Result<(), Failure> {
    let request = request(line.server(), "TCP", random::bytes()?);
    line.send(request.as_bytes()).await?;
    let answer = line.read_line().await?;
    line.close();
    judge(&answer)
}

pub(super) async fn exchange(
    dialer: &Dialer,
    target: SocketAddr,
    budget: &Budget,
) -> Result<(), Failure> {
    let request = request(dialer.target(target), "UDP", random::bytes()?);
    let answer = dialer.exchange(target, request.as_bytes(), budget).await?;
    judge(answer.split(|&byte| byte == b'\r').next().unwrap_or_default())
}

/// Without an address of its own in `Via`: `rport` (RFC 3581) has the answer come to the port it
/// was asked from.
fn request(server: SocketAddr, transport: &str, random: [u8; 8]) -> String {
    let id = u64::from_be_bytes(random);
    format!(
        "OPTIONS sip:{server} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} piranha.invalid;rport;branch=z9hG4bK{id:x}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:piranha@piranha.invalid>;tag={id:x}\r\n\
         To: <sip:{server}>\r\n\
         Call-ID: {id:x}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:piranha@piranha.invalid>\r\n\
         Accept: application/sdp\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn judge(line: &[u8]) -> Result<(), Failure> {
    let status = line.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3));
    let status: Option<u16> =
        status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    match status {
        Some(200..=499) => Ok(()),
        _ => Err(unexpected("after OPTIONS", "SIP/2.0 with a status from 200 to 499", line)),
    }
}

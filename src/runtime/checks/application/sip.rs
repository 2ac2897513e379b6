//! SIP's `OPTIONS` (RFC 3261, 11), over TCP or UDP.

use std::net::SocketAddr;

use super::unexpected;
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::network::Budget;
use crate::runtime::checks::{Dialer, random};

/// How many provisional answers may come before the final one.
const PROVISIONAL: usize = 10;
/// The most lines of one answer.
const LINES: usize = 100;

pub(super) async fn speak(mut line: Conversation) -> Result<(), Failure> {
    let request = request(line.server(), "TCP", &identifier()?);
    line.send(request.as_bytes()).await?;
    let mut answer = line.read_line().await?;
    for _ in 0..PROVISIONAL {
        if !is_provisional(&answer) {
            break;
        }
        skip_headers(&mut line).await?;
        answer = line.read_line().await?;
    }
    line.close();
    judge(&answer)
}

pub(super) async fn exchange(
    dialer: &Dialer,
    target: SocketAddr,
    budget: &Budget,
) -> Result<(), Failure> {
    let id = identifier()?;
    let request = request(dialer.target(target), "UDP", &id);
    let request = request.as_bytes();
    let accept = |answer: &[u8]| accept(answer, &id);
    let answer = dialer.exchange_until(target, (request, request), budget, accept).await?;
    judge(&answer)
}

/// Of each request its own, so that its answer is told from others.
fn identifier() -> Result<String, Failure> {
    Ok(format!("{:x}", u64::from_be_bytes(random::bytes()?)))
}

/// The status line of the final answer to this request (RFC 3261, 8.1.3.3 and 17.1.3).
fn accept(answer: &[u8], id: &str) -> Result<Vec<u8>, Failure> {
    let mut lines = answer.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status = lines.next().unwrap_or_default();
    let ours = lines.take_while(|line| !line.is_empty()).any(|line| is_call_id(line, id));
    match status.starts_with(b"SIP/2.0 ") && ours && !is_provisional(status) {
        true => Ok(status.to_vec()),
        false => Err(unexpected("after OPTIONS", "a final answer to this request", status)),
    }
}

/// Whether the header `line` is the `Call-ID` of this identifier, in its long or short form.
fn is_call_id(line: &[u8], id: &str) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return false;
    };
    let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    (name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i"))
        && value == id.as_bytes()
}

fn is_provisional(status: &[u8]) -> bool {
    status.starts_with(b"SIP/2.0 1")
}

/// Reads to the end of an answer's headers; a provisional one has no body.
async fn skip_headers(line: &mut Conversation) -> Result<(), Failure> {
    for _ in 0..LINES {
        if line.read_line().await?.is_empty() {
            return Ok(());
        }
    }
    Err(Failure::AnswerTooLarge { limit: LINES * Conversation::LIMIT })
}

/// Without an address of its own in `Via`: `rport` (RFC 3581) has the answer come to the port it
/// was asked from.
fn request(server: SocketAddr, transport: &str, id: &str) -> String {
    format!(
        "OPTIONS sip:{server} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} piranha.invalid;rport;branch=z9hG4bK{id}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:piranha@piranha.invalid>;tag={id}\r\n\
         To: <sip:{server}>\r\n\
         Call-ID: {id}\r\n\
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_final_answer_to_this_request_counts() {
        let taken = |answer: &str| accept(answer.as_bytes(), "1f").is_ok();
        assert!(taken("SIP/2.0 200 OK\r\nVia: x\r\nCall-ID: 1f\r\n\r\n"));
        assert!(taken("SIP/2.0 503 Busy\r\ni:1f\r\n\r\n"));
        assert!(!taken("SIP/2.0 200 OK\r\nCall-ID: 1e\r\n\r\n"));
        assert!(!taken("SIP/2.0 100 Trying\r\nCall-ID: 1f\r\n\r\n"));
        assert!(!taken("SIP/2.0 200 OK\r\n\r\nCall-ID: 1f\r\n"), "that is the body");
        assert!(!taken("OPTIONS sip:x SIP/2.0\r\nCall-ID: 1f\r\n\r\n"));
    }
}

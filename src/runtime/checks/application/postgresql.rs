//! PostgreSQL's start-up, protocol 3.0 (its documentation, "Message Formats").

use super::unexpected;
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::tls::Tls;

const VERSION_3: u32 = 3 << 16;
const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const TERMINATE: &[u8] = b"X\0\0\0\x04";
/// Turned away for the password, the rules of access, or a database that is not there.
const TURNED_AWAY: [&[u8]; 3] = [b"28P01", b"28000", b"3D000"];

pub(super) async fn speak(mut line: Conversation, starttls: Option<&Tls>) -> Result<(), Failure> {
    if let Some(tls) = starttls {
        line.send(&message(SSL_REQUEST, b"")).await?;
        let answer = line.read_exactly(1).await?;
        if answer != b"S" {
            return Err(unexpected("after the request for TLS", "S", &answer));
        }
        line = line.start_tls(tls).await?;
    }
    line.send(&message(VERSION_3, b"user\0piranha\0database\0postgres\0\0")).await?;
    let head = line.read_exactly(5).await?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    match head[0] {
        b'R' => {}
        b'E' => {
            let fields = line.read_exactly(length.saturating_sub(4)).await?;
            if !field(&fields, b'C').is_some_and(|code| TURNED_AWAY.contains(&code)) {
                let text = field(&fields, b'M').unwrap_or(&fields);
                return Err(unexpected("after the start-up", "an answer", text));
            }
        }
        _ => return Err(unexpected("after the start-up", "R or E", &head)),
    }
    line.leave(TERMINATE).await;
    Ok(())
}

fn message(code: u32, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len() + 8).unwrap_or_default();
    [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

/// The field of an error with this letter.
fn field(fields: &[u8], letter: u8) -> Option<&[u8]> {
    let mut fields = fields.split(|&byte| byte == 0);
    fields.find(|field| field.first() == Some(&letter)).map(|field| &field[1..])
}

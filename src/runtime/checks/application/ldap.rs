//! LDAP's simple bind (RFC 4511, 4.2), behind StartTLS (4.14) where that is wanted.

use super::{Access, unexpected};
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::wire::ber::{Malformed, Reader, encode, tag};

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const REQUEST_NAME: u8 = 0x80;
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const SIMPLE: u8 = 0x80;
const SUCCESS: &[u8] = &[0];

pub(super) async fn speak(mut line: Conversation, access: Access<'_>) -> Result<(), Failure> {
    if let Some(tls) = access.starttls {
        let name = encode(REQUEST_NAME, START_TLS);
        line.send_shown_as(&message(1, &encode(EXTENDED_REQUEST, &name)), b"StartTLS").await?;
        succeeded(&mut line, EXTENDED_RESPONSE, "after StartTLS").await?;
        line = line.start_tls(tls).await?;
    }
    let login = access.login;
    let (name, password) = login.map_or(("", ""), |login| (&login.user, &login.password));
    let version = encode(tag::INTEGER, &[3]);
    let name = encode(tag::OCTET_STRING, name.as_bytes());
    let password = encode(SIMPLE, password.as_bytes());
    let bind = encode(BIND_REQUEST, &[version, name, password].concat());
    line.send_shown_as(&message(2, &bind), b"a simple bind (secret)").await?;
    let verdict = succeeded(&mut line, BIND_RESPONSE, "after the bind").await;
    line.leave(&message(3, &encode(UNBIND_REQUEST, &[]))).await;
    verdict
}

/// Reads the answer to `step`, which must say that it went well.
async fn succeeded(line: &mut Conversation, response: u8, step: &str) -> Result<(), Failure> {
    let answer = read_message(line, step).await?;
    match result_code(&answer, response) {
        Ok(SUCCESS) => Ok(()),
        Ok(code) => Err(unexpected(step, "success", &shown(code))),
        Err(Malformed) => Err(unexpected(step, "an answer in LDAP", &answer)),
    }
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    encode(tag::SEQUENCE, &[&encode(tag::INTEGER, &[id]), operation].concat())
}

/// Reads one message whole, whose length stands in its first bytes.
async fn read_message(line: &mut Conversation, step: &str) -> Result<Vec<u8>, Failure> {
    let mut head = line.read_exactly(2).await?;
    let (long, short) = (head[1] & 0x80 != 0, usize::from(head[1] & 0x7f));
    let length = match (long, short) {
        (false, length) => length,
        (true, 1..=4) => {
            let digits = line.read_exactly(short).await?;
            head.extend(&digits);
            digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit))
        }
        (true, _) => return Err(unexpected(step, "an answer in LDAP", &head)),
    };
    head.extend(line.read_exactly(length).await?);
    Ok(head)
}

fn result_code(message: &[u8], response: u8) -> Result<&[u8], Malformed> {
    let mut message = Reader::new(Reader::new(message).expect(tag::SEQUENCE)?);
    message.expect(tag::INTEGER)?;
    Reader::new(message.expect(response)?).expect(tag::ENUMERATED)
}

/// The number of a result, as RFC 4511 lists them.
fn shown(code: &[u8]) -> Vec<u8> {
    let number = code.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    format!("result {number}").into_bytes()
}

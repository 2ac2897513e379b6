//! MySQL's connection phase, protocol 10, as its internals manual describes it.
//!
//! A client that hangs up after the greeting counts as a broken connection, and after a hundred
//! of those (`max_connect_errors`) the server blocks the host. So a check without a login answers
//! as a user without a password, and being turned away is the answer it wants.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Access, unexpected};
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::wire::mysql::{CAN_TLS, Greeting, Method};

const OK: u8 = 0x00;
const MORE: u8 = 0x01;
const ERROR: u8 = 0xff;
const OTHER_METHOD: u8 = 0xfe;
/// Access denied, to a database, for lack of a password, or by the method of authentication.
const TURNED_AWAY: [u16; 5] = [1044, 1045, 1251, 1698, 2059];
/// CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const LARGEST_PACKET: u32 = 1 << 24;
const UTF8: u8 = 33;
const QUIT: u8 = 0x01;
/// The most packets of one authentication.
const ROUNDS: usize = 6;

const NATIVE: &[u8] = b"mysql_native_password";
const CACHING: &[u8] = b"caching_sha2_password";
/// What `caching_sha2_password` says on its way: the hash was right, or it wants the password.
const FAST: &[u8] = &[3];
const FULL: &[u8] = &[4];

pub(super) async fn speak(mut line: Conversation, access: Access<'_>) -> Result<(), Failure> {
    let (number, packet) = read_packet(&mut line).await?;
    let Some(greeting) = Greeting::parse(&packet) else {
        return Err(refusal("as a greeting", "protocol 10", &packet));
    };
    let mut number = number.wrapping_add(1);
    if let Some(tls) = access.starttls {
        if greeting.capabilities & CAN_TLS == 0 {
            return Err(unexpected("as a greeting", "a server with TLS", b"one without"));
        }
        line.send(&framed(number, &head(CAPABILITIES | CAN_TLS))).await?;
        line = line.start_tls(tls).await?;
        number = number.wrapping_add(1);
    }
    send_login(&mut line, number, &access, greeting.method).await?;
    match authenticate(&mut line, &access).await? {
        true => line.leave(&framed(0, &[QUIT])).await,
        false => line.close(),
    }
    Ok(())
}

/// Goes on until the client is let in, or, where nobody wants to log in, turned away.
async fn authenticate(line: &mut Conversation, access: &Access<'_>) -> Result<bool, Failure> {
    for _ in 0..ROUNDS {
        let (number, packet) = read_packet(line).await?;
        let number = number.wrapping_add(1);
        match packet.split_first() {
            Some((&OK, _)) => return Ok(true),
            Some((&ERROR, _)) if access.login.is_none() && is_turned_away(&packet) => {
                return Ok(false);
            }
            Some((&OTHER_METHOD, rest)) => {
                let answer = prove(access, Method::parse(rest), rest)?;
                send_secret(line, &framed(number, &answer)).await?;
            }
            Some((&MORE, FAST)) => {}
            Some((&MORE, FULL)) => {
                let password = full(access)?;
                send_secret(line, &framed(number, &password)).await?;
            }
            _ => return Err(refusal("after the login", "to be let in", &packet)),
        }
    }
    Err(unexpected("after the login", "to be let in", b"ever more questions"))
}

async fn send_login(
    line: &mut Conversation,
    number: u8,
    access: &Access<'_>,
    method: Method<'_>,
) -> Result<(), Failure> {
    // A method that is not known may not be that of the user either: the server then names it.
    let known = [NATIVE, CACHING].contains(&method.name);
    let method = if known { method } else { Method { name: NATIVE, ..method } };
    let user = access.login.map_or("piranha", |login| &login.user);
    let proof = prove(access, Some(method), method.name)?;
    let mut login = head(CAPABILITIES);
    login.extend([user.as_bytes(), &[0]].concat());
    login.extend(u8::try_from(proof.len()));
    login.extend([&proof, method.name, &[0]].concat());
    send_secret(line, &framed(number, &login)).await
}

async fn send_secret(line: &mut Conversation, packet: &[u8]) -> Result<(), Failure> {
    line.send_shown_as(packet, b"a login (secret)").await
}

/// What proves the password by `method`, that the server `asked` for.
fn prove(
    access: &Access<'_>,
    method: Option<Method<'_>>,
    asked: &[u8],
) -> Result<Vec<u8>, Failure> {
    let password = access.login.map_or("", |login| &login.password).as_bytes();
    match method {
        _ if password.is_empty() => Ok(Vec::new()),
        Some(Method { name: NATIVE, nonce, .. }) => Ok(native(password, &nonce)),
        Some(Method { name: CACHING, nonce, .. }) => Ok(caching(password, &nonce)),
        _ => Err(unexpected("after the login", "a known method of authentication", asked)),
    }
}

fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    let once = Sha1::digest(password);
    let mask = Sha1::new().chain_update(nonce).chain_update(Sha1::digest(once)).finalize();
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

fn caching(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    let once = Sha256::digest(password);
    let mask = Sha256::new().chain_update(Sha256::digest(once)).chain_update(nonce).finalize();
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

/// The password as it is, which goes over TLS only. In clear the server would have it encrypted
/// with a key that it sends itself, and that might be anybody's.
fn full(access: &Access<'_>) -> Result<Vec<u8>, Failure> {
    let password = access.login.map_or("", |login| &login.password).as_bytes();
    match access.is_secure {
        true => Ok([password, &[0]].concat()),
        false => {
            let wanted = "to be let in without TLS (write `check_tls = starttls`)";
            Err(unexpected("after the login", wanted, b"a request for the password"))
        }
    }
}

/// The message of an error packet, or the packet as it is.
fn refusal(step: &str, wanted: &str, packet: &[u8]) -> Failure {
    let text = if packet.first() == Some(&ERROR) { packet.get(3..) } else { None };
    unexpected(step, wanted, text.unwrap_or(packet))
}

fn is_turned_away(packet: &[u8]) -> bool {
    match *packet {
        [ERROR, low, high, ..] => TURNED_AWAY.contains(&u16::from_le_bytes([low, high])),
        _ => false,
    }
}

async fn read_packet(line: &mut Conversation) -> Result<(u8, Vec<u8>), Failure> {
    let head = line.read_exactly(4).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
    Ok((head[3], line.read_exactly(length).await?))
}

fn framed(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// What a login and the request for TLS begin with.
fn head(capabilities: u32) -> Vec<u8> {
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend(LARGEST_PACKET.to_le_bytes());
    head.push(UTF8);
    head.extend([0; 23]);
    head
}

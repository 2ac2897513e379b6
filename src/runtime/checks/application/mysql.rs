//! MySQL's connection phase, protocol 10, as its internals manual describes it.
//!
//! A client that hangs up after the greeting counts as a broken connection, and after a hundred
//! of those (`max_connect_errors`) the server blocks the host. So the check answers as a user
//! without a password, and being turned away is the answer it wants.

use super::unexpected;
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;

const PROTOCOL: u8 = 10;
const OK: u8 = 0x00;
const ERROR: u8 = 0xff;
const OTHER_METHOD: u8 = 0xfe;
/// Access denied, to a database, for lack of a password, or by the method of authentication.
const TURNED_AWAY: [u16; 5] = [1044, 1045, 1251, 1698, 2059];
/// CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const LARGEST_PACKET: u32 = 1 << 24;
const UTF8: u8 = 33;

pub(super) async fn speak(mut line: Conversation) -> Result<(), Failure> {
    let (number, greeting) = read_packet(&mut line).await?;
    if greeting.first() != Some(&PROTOCOL) {
        return Err(refusal("as a greeting", "protocol 10", &greeting));
    }
    line.send(&packet(number.wrapping_add(1), &login())).await?;
    let (number, mut answer) = read_packet(&mut line).await?;
    if answer.first() == Some(&OTHER_METHOD) {
        // The server wants another method of authentication: no password in that one either.
        line.send(&packet(number.wrapping_add(1), &[])).await?;
        (_, answer) = read_packet(&mut line).await?;
    }
    line.close();
    match (answer.first(), error_code(&answer)) {
        (Some(&OK), _) => Ok(()),
        (_, Some(code)) if TURNED_AWAY.contains(&code) => Ok(()),
        _ => Err(refusal("after the login", "an answer", &answer)),
    }
}

/// The message of an error packet, or the packet as it is.
fn refusal(step: &str, wanted: &str, packet: &[u8]) -> Failure {
    let text = if packet.first() == Some(&ERROR) { packet.get(3..) } else { None };
    unexpected(step, wanted, text.unwrap_or(packet))
}

fn error_code(packet: &[u8]) -> Option<u16> {
    match *packet {
        [ERROR, low, high, ..] => Some(u16::from_le_bytes([low, high])),
        _ => None,
    }
}

async fn read_packet(line: &mut Conversation) -> Result<(u8, Vec<u8>), Failure> {
    let head = line.read_exactly(4).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
    Ok((head[3], line.read_exactly(length).await?))
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// The answer to the greeting: capabilities, sizes, user, no password, method.
fn login() -> Vec<u8> {
    let mut login = CAPABILITIES.to_le_bytes().to_vec();
    login.extend(LARGEST_PACKET.to_le_bytes());
    login.push(UTF8);
    login.extend([0; 23]);
    login.extend(b"piranha\0\0mysql_native_password\0");
    login
}

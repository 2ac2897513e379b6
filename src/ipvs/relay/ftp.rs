//! FTP control connections (RFC 959, RFC 2428): what they say about data connections.
//!
//! A control connection names the address and port of each data connection, in a reply (227, 229)
//! or a command (PORT, EPRT). Behind a relay these are of no use to the other side. [`Control`]
//! reads both directions, picks those lines out and passes everything else byte for byte, without
//! waiting for a line to be complete unless it may be one of those. The driver listens on behalf
//! of the announced port and sends the line on with its own address in it.
//!
//! - The address in a 227 reply is ignored: data connections go to the server that the control
//!   connection goes to, so a reply can point the relay at no other machine.
//! - PORT and EPRT for an address other than the client's own, or for a port below 1024, are
//!   answered with 504 and not passed on (the bounce attack, RFC 2577 section 3). Malformed or
//!   overlong ones get 501: a server might read them differently.
//! - Lines of a multi-line reply (`213-` to `213 `) are never taken for a 227 or 229 (file names
//!   chosen by users can turn up in them).
//! - After reply 234 (RFC 4217, the control connection becomes TLS) everything passes.
//! - A line that may matter is held back up to [`MAX_LINE`] bytes; a longer reply passes
//!   untouched.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// The longest line that is looked at, its end included.
pub const MAX_LINE: usize = 512;

/// The lowest port a data connection may go to: none of the machine's services listens there by
/// right (RFC 2577 section 3).
const FIRST_DATA_PORT: u16 = 1024;

/// What to do next. Bytes go on in the direction they came from unless said otherwise.
#[allow(clippy::exhaustive_enums, reason = "a driver must carry out each of them")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send these bytes on.
    Forward(Vec<u8>),
    /// Prepare for the client to connect and send on what
    /// [`rewritten`](PassiveReply::rewritten) makes of the reply.
    Passive(PassiveReply),
    /// Prepare for the server to connect and send on what
    /// [`rewritten`](ActiveCommand::rewritten) makes of the command.
    Active(ActiveCommand),
    /// Send this reply back to the client; the command goes no further.
    Answer(&'static [u8]),
}

/// Sent instead of a 227 or 229 reply, or back for a PORT or EPRT command, when the relay cannot
/// prepare the data connection.
pub const CANNOT_OPEN: &[u8] = b"425 Can't open data connection.\r\n";
const SYNTAX: &[u8] = b"501 Syntax error in parameters.\r\n";
const NOT_YOURS: &[u8] = b"504 Data connections go to the client itself only.\r\n";

/// One control connection, both directions.
#[derive(Debug)]
pub struct Control {
    client: IpAddr,
    commands: Line,
    replies: Line,
    multiline: Option<[u8; 3]>,
    secured: bool,
}

/// Where one direction stands within its current line.
#[derive(Debug)]
enum Line {
    /// Held back: it may be a line that matters.
    Held(Vec<u8>),
    /// It does not matter; passing to its end.
    Passing,
    /// Refused; dropping to its end.
    Dropping,
}

impl Control {
    /// The control connection of `client`.
    #[must_use]
    pub const fn new(client: IpAddr) -> Self {
        Self {
            client,
            commands: Line::Held(Vec::new()),
            replies: Line::Held(Vec::new()),
            multiline: None,
            secured: false,
        }
    }

    /// What the client sent. Never returns two [`Action::Forward`] in a row.
    pub fn from_client(&mut self, bytes: &[u8]) -> Vec<Action> {
        let mut actions = Actions::default();
        if self.secured {
            actions.forward(&self.finish_client());
            actions.forward(bytes);
            return actions.0;
        }
        for &byte in bytes {
            self.command_byte(byte, &mut actions);
        }
        actions.0
    }

    /// What the server sent. Never returns two [`Action::Forward`] in a row.
    pub fn from_server(&mut self, bytes: &[u8]) -> Vec<Action> {
        let mut actions = Actions::default();
        for &byte in bytes {
            self.reply_byte(byte, &mut actions);
        }
        actions.0
    }

    /// The client has finished sending: the rest of an incomplete line, to be sent on.
    pub fn finish_client(&mut self) -> Vec<u8> {
        self.commands.take()
    }

    /// The server has finished sending: the rest of an incomplete line, to be sent on.
    pub fn finish_server(&mut self) -> Vec<u8> {
        self.replies.take()
    }

    fn command_byte(&mut self, byte: u8, actions: &mut Actions) {
        let Some(held) = self.commands.advance(byte, actions) else {
            return;
        };
        if byte == b'\n' {
            let line = self.commands.take();
            actions.0.push(judge_command(&line, self.client));
        } else if !may_be_port_command(held) {
            actions.forward(&self.commands.give_up());
        } else if held.len() >= MAX_LINE {
            actions.0.push(Action::Answer(SYNTAX));
            self.commands = Line::Dropping;
        }
    }

    fn reply_byte(&mut self, byte: u8, actions: &mut Actions) {
        if self.secured {
            actions.forward(&self.finish_server());
            actions.forward(&[byte]);
            return;
        }
        let Some(held) = self.replies.advance(byte, actions) else {
            return;
        };
        let matters = match held.len() {
            0..=3 => held.iter().all(u8::is_ascii_digit),
            4 => matters(held, &mut self.multiline),
            length => length <= MAX_LINE,
        };
        let complete = byte == b'\n' && matters;
        self.secured = !matters && self.multiline.is_none() && held.starts_with(b"234 ");
        if complete {
            let line = self.replies.take();
            actions.reply(PassiveReply::parse(&line), &line);
        } else if !matters {
            actions.forward(&self.replies.give_up());
        }
    }
}

impl Line {
    /// Takes one more byte in. Returns the line so far if it is held back.
    fn advance(&mut self, byte: u8, actions: &mut Actions) -> Option<&[u8]> {
        match self {
            Self::Held(line) => {
                line.push(byte);
                return Some(line);
            }
            Self::Passing => actions.forward(&[byte]),
            Self::Dropping => {}
        }
        if byte == b'\n' {
            *self = Self::Held(Vec::new());
        }
        None
    }

    /// Takes out what is held and begins a new line.
    fn take(&mut self) -> Vec<u8> {
        match std::mem::replace(self, Self::Held(Vec::new())) {
            Self::Held(line) => line,
            Self::Passing | Self::Dropping => Vec::new(),
        }
    }

    /// Takes out what is held and lets the rest of the line pass.
    fn give_up(&mut self) -> Vec<u8> {
        let line = self.take();
        if line.last() != Some(&b'\n') {
            *self = Self::Passing;
        }
        line
    }
}

#[derive(Default)]
struct Actions(Vec<Action>);

impl Actions {
    fn forward(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Action::Forward(before)) => before.extend_from_slice(bytes),
            _ => self.0.push(Action::Forward(bytes.to_vec())),
        }
    }

    fn reply(&mut self, parsed: Option<PassiveReply>, line: &[u8]) {
        match parsed {
            Some(reply) => self.0.push(Action::Passive(reply)),
            None => self.forward(line),
        }
    }
}

/// Judges a reply by its first four bytes: is it a single-line 227 or 229?
fn matters(start: &[u8], multiline: &mut Option<[u8; 3]>) -> bool {
    let (Some(code), Some(separator)) = (start.first_chunk::<3>(), start.get(3)) else {
        return false;
    };
    match (*multiline, separator) {
        (Some(open), b' ') if open == *code => {
            *multiline = None;
            false
        }
        (None, b'-') => {
            *multiline = Some(*code);
            false
        }
        (None, b' ') => matches!(code, b"227" | b"229"),
        _ => false,
    }
}

fn may_be_port_command(start: &[u8]) -> bool {
    [b"PORT ", b"EPRT "].iter().any(|command| {
        let length = start.len().min(command.len());
        start[..length].eq_ignore_ascii_case(&command[..length])
    })
}

fn judge_command(line: &[u8], client: IpAddr) -> Action {
    let Some((verb, parameters)) = line.split_at_checked(5) else {
        return Action::Forward(line.to_vec());
    };
    let extended = verb.eq_ignore_ascii_case(b"EPRT ");
    if !extended && !verb.eq_ignore_ascii_case(b"PORT ") {
        return Action::Forward(line.to_vec());
    }
    let address = match extended {
        true => extended_address(parameters.trim_ascii()),
        false => plain_address(parameters.trim_ascii()),
    };
    match address {
        None => Action::Answer(SYNTAX),
        Some(address) if address.ip() != client || address.port() < FIRST_DATA_PORT => {
            Action::Answer(NOT_YOURS)
        }
        Some(address) => Action::Active(ActiveCommand { address, extended }),
    }
}

/// A PORT or EPRT command that may be carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveCommand {
    address: SocketAddr,
    extended: bool,
}

impl ActiveCommand {
    /// Where the client waits for the data connection.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command to the server when the relay waits at `at`. PORT becomes EPRT where `at` is
    /// IPv6.
    #[must_use]
    pub fn rewritten(&self, at: SocketAddr) -> Vec<u8> {
        match at {
            SocketAddr::V4(v4) if !self.extended => {
                format!("PORT {}\r\n", six_numbers(v4.ip().octets(), v4.port()))
            }
            SocketAddr::V4(v4) => format!("EPRT |1|{}|{}|\r\n", v4.ip(), v4.port()),
            SocketAddr::V6(v6) => format!("EPRT |2|{}|{}|\r\n", v6.ip(), v6.port()),
        }
        .into_bytes()
    }
}

/// A 227 or 229 reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveReply {
    line: Vec<u8>,
    port: u16,
    /// Where in the line the address or port to be replaced stands.
    place: Range<usize>,
    extended: bool,
}

impl PassiveReply {
    /// The server's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The reply to the client when the relay waits at `at`; all other words of it stay.
    /// [`CANNOT_OPEN`] for a 227 where `at` is IPv6, which has no place in it.
    #[must_use]
    pub fn rewritten(&self, at: SocketAddr) -> Vec<u8> {
        let replacement = match at {
            _ if self.extended => at.port().to_string(),
            SocketAddr::V4(v4) => six_numbers(v4.ip().octets(), v4.port()),
            SocketAddr::V6(_) => return CANNOT_OPEN.to_vec(),
        };
        let mut line = self.line.clone();
        line.splice(self.place.clone(), replacement.into_bytes());
        line
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let extended = line.starts_with(b"229");
        let (place, port) = match extended {
            true => find_extended_port(line)?,
            false => find_six_numbers(line)?,
        };
        (port >= FIRST_DATA_PORT).then(|| Self { line: line.to_vec(), port, place, extended })
    }
}

fn six_numbers([a, b, c, d]: [u8; 4], port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

/// The first run of six numbers after the code; parentheses are not required (RFC 1123, 4.1.2.6).
fn find_six_numbers(line: &[u8]) -> Option<(Range<usize>, u16)> {
    let is_number_byte = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
    let mut from = 4;
    while let Some(skip) = line.get(from..)?.iter().position(is_number_byte) {
        let start = from + skip;
        let rest = &line[start..];
        let length = rest.iter().position(|b| !is_number_byte(b)).unwrap_or(rest.len());
        if let Some(address) = plain_address(&rest[..length]) {
            return Some((start..start + length, address.port()));
        }
        from = start + length;
    }
    None
}

/// The port in `(|||port|)`, whatever the delimiter.
fn find_extended_port(line: &[u8]) -> Option<(Range<usize>, u16)> {
    let start = line.iter().position(|byte| *byte == b'(')? + 1;
    let (delimiters, rest) = line.get(start..)?.split_at_checked(3)?;
    let delimiter = delimiters[0];
    if delimiters != [delimiter; 3] || delimiter.is_ascii_digit() {
        return None;
    }
    let length = rest.iter().position(|byte| *byte == delimiter)?;
    if rest.get(length + 1) != Some(&b')') {
        return None;
    }
    let place = start + 3..start + 3 + length;
    Some((place, number(&rest[..length])?))
}

/// `h1,h2,h3,h4,p1,p2`
fn plain_address(text: &[u8]) -> Option<SocketAddr> {
    let mut numbers = [0_u8; 6];
    let mut parts = text.split(|byte| *byte == b',');
    for slot in &mut numbers {
        *slot = number(parts.next()?)?;
    }
    let [a, b, c, d, high, low] = numbers;
    let port = u16::from_be_bytes([high, low]);
    parts.next().is_none().then(|| SocketAddr::from(([a, b, c, d], port)))
}

/// `|1|132.235.1.2|6275|` or `|2|1080::8:800:200C:417A|5282|`
fn extended_address(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let delimiter = text.chars().next()?;
    let mut parts = text.split(delimiter);
    let (before, family, address, port, after) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let address: IpAddr = address.parse().ok()?;
    let family_fits = match address {
        IpAddr::V4(_) => family == "1",
        IpAddr::V6(_) => family == "2",
    };
    let framed = before.is_empty() && after.is_empty() && parts.next().is_none();
    (framed && family_fits).then_some(SocketAddr::new(address, number(port.as_bytes())?))
}

/// Decimal digits only: no sign, no space.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "ftp_tests.rs"]
mod tests;

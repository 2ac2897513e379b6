//! The kinds of values: how each is read, and what is said when it cannot be.

mod address;
mod number;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) use address::Mask;
pub(crate) use text::encode;

use super::model::{Relay, WebUrl, mail_address};
use super::suggest::nearest;
use super::{Code, Diagnostic, LeastWeight, Span};
use crate::health::{BytePattern, Header, JsonExpect, Pin, SlowStart, StatusSet};
use crate::ipvs::SchedulerName;

/// What a directive takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A number in C's notation, within bounds.
    Integer(i64, i64),
    /// 0 or 1.
    Boolean,
    /// A number, true unless 0.
    Flag,
    /// A time of at least so many milliseconds: seconds, or a number with a unit.
    Duration(u64),
    /// A port of at least this number, or the name of a well-known service.
    Port(u16),
    Host,
    AddressDevice,
    /// Addresses, each perhaps with a port.
    Endpoints,
    AddressPair,
    Mask,
    Choice(&'static [&'static str]),
    Scheduler,
    /// Names with commas or blanks between.
    SchedulerFlags,
    /// Some of these, with commas or blanks between.
    Words(&'static [&'static str]),
    /// The address of a webhook.
    WebUrl,
    /// A host, perhaps with a port.
    Relay,
    /// Addresses for mail, with commas or blanks between.
    Mails,
    /// One of them.
    Mail,
    /// Text that is taken as it is.
    Text,
    Path,
    /// Text without blanks and control characters, for a line of a protocol.
    Printable,
    /// Bytes with escapes.
    Payload,
    /// `[ a b ]`
    List,
    /// `200-299,304`
    Status,
    /// `Name: value`, of which there may be several.
    Header,
    /// A pointer into JSON and a value, of which there may be several.
    Json,
    /// `81 ?? 00`
    Hex,
    /// A hash of a key, of which there may be several.
    Pin,
    SlowStart,
    /// `3` or `50%`
    Quorum,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i64),
    Boolean(bool),
    Duration(Duration),
    Port(u16),
    Host(IpAddr),
    AddressDevice(IpAddr, String),
    Endpoints(Vec<(IpAddr, Option<u16>)>),
    AddressPair(IpAddr, IpAddr),
    Mask(Option<Mask>),
    Choice(&'static str),
    Scheduler(SchedulerName),
    SchedulerFlags(Vec<&'static str>),
    Words(Vec<&'static str>),
    WebUrl(WebUrl),
    Relay(Relay),
    Mails(Vec<String>),
    Text(String),
    Payload(Vec<u8>),
    Status(StatusSet),
    Headers(Vec<Header>),
    Json(Vec<JsonExpect>),
    Pins(Vec<Pin>),
    Hex(BytePattern),
    SlowStart(SlowStart),
    Quorum(LeastWeight),
}

/// Something to say about a value; the place is added by whoever knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn at(self, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::new(self.code, span, self.message);
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

impl Value {
    /// Puts `before`, the value of the same directive further up, in front, if the directive may
    /// stand several times.
    pub(crate) fn gather(&mut self, before: &Self) -> bool {
        match (self, before) {
            (Self::Headers(all), Self::Headers(before)) => all.splice(0..0, before.clone()).count(),
            (Self::Json(all), Self::Json(before)) => all.splice(0..0, before.clone()).count(),
            (Self::Pins(all), Self::Pins(before)) => all.splice(0..0, before.clone()).count(),
            _ => return false,
        };
        true
    }
}

impl Kind {
    /// How many values it takes; `None` is any number.
    pub(crate) const fn arity(self) -> Option<usize> {
        match self {
            Self::AddressDevice | Self::AddressPair | Self::Json => Some(2),
            Self::List | Self::SchedulerFlags | Self::Words(_) | Self::Endpoints | Self::Mails => {
                None
            }
            _ => Some(1),
        }
    }

    /// Reads the values of one directive, quotes already taken off.
    pub(crate) fn read(self, words: &[&[u8]]) -> Result<Value, Problem> {
        let first = words.first().copied().unwrap_or_default();
        if let Self::Payload = self {
            return Ok(Value::Payload(first.to_vec()));
        }
        let first = utf8(first)?;
        match self {
            Self::Integer(least, most) => number::integer_within(first, least, most),
            Self::Boolean => number::boolean(first),
            Self::Flag => Ok(Value::Boolean(number::integer(first)? != 0)),
            Self::Duration(least) => {
                number::duration(first, Duration::from_millis(least)).map(Value::Duration)
            }
            Self::Port(least) => number::port(first, least).map(Value::Port),
            Self::Host => address::host(first).map(Value::Host),
            Self::AddressDevice => {
                let device = utf8(words.get(1).copied().unwrap_or_default())?;
                address::address_device(first, device)
            }
            Self::Endpoints => address::endpoints(words),
            Self::AddressPair => {
                let second = utf8(words.get(1).copied().unwrap_or_default())?;
                Ok(Value::AddressPair(address::host(first)?, address::host(second)?))
            }
            Self::Mask => address::mask(first).map(Value::Mask),
            Self::Choice(words) => choice(first, words),
            Self::Scheduler => scheduler(first),
            Self::SchedulerFlags => {
                some_of("scheduler flag", SCHEDULER_FLAGS, words).map(Value::SchedulerFlags)
            }
            Self::WebUrl => parsed(first).map(Value::WebUrl),
            Self::Relay => parsed(first).map(Value::Relay),
            Self::Mails => mails(words),
            Self::Mail => mails(&words[..1]),
            Self::Words(allowed) => some_of("word", allowed, words).map(Value::Words),
            Self::Text | Self::Path => Ok(Value::Text(first.to_owned())),
            Self::Printable => text::printable(first),
            Self::Payload => Ok(Value::Payload(first.as_bytes().to_vec())),
            Self::List => list(words),
            Self::Status => number::status(first).map(Value::Status),
            Self::Header => parsed(first).map(|header| Value::Headers(vec![header])),
            Self::Json => {
                let value = utf8(words.get(1).copied().unwrap_or_default())?;
                let expect = JsonExpect::new(first, value);
                let expect = expect.map_err(|problem| Problem::new(Code::InvalidText, problem))?;
                Ok(Value::Json(vec![expect]))
            }
            Self::Hex => parsed(first).map(Value::Hex),
            Self::Pin => parsed(first).map(|pin| Value::Pins(vec![pin])),
            Self::SlowStart => slow_start(first).map(Value::SlowStart),
            Self::Quorum => number::quorum(first).map(Value::Quorum),
        }
    }

    /// What is worth saying about values that were read.
    pub(crate) fn remark(self, words: &[&[u8]]) -> Option<Problem> {
        let first = std::str::from_utf8(words.first()?).ok()?;
        match self {
            Self::Integer(..) | Self::Flag | Self::Duration(_) | Self::Port(_) | Self::Quorum => {
                number::octal(first)
            }
            Self::Host | Self::AddressDevice => address::remark(first),
            Self::Endpoints | Self::AddressPair => {
                let words = words.iter().filter_map(|word| std::str::from_utf8(word).ok());
                words.filter_map(address::remark).next()
            }
            Self::Scheduler if first == "pcc" => Some(
                Problem::new(Code::RenamedScheduler, "`pcc` is called `lc` today")
                    .help("write `scheduler = lc`"),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer(..) | Self::Flag => "number",
            Self::Boolean => "0 or 1",
            Self::Duration(_) => "seconds, or a number with ms, s, m, h or d",
            Self::Port(_) => "port number or service name",
            Self::Host => "IP address",
            Self::AddressDevice => "IP address and device",
            Self::Endpoints => "IP addresses, each alone or as address:port",
            Self::AddressPair => "two IP addresses",
            Self::Mask => "netmask",
            Self::Choice(words) => return f.write_str(&words.join(", ")),
            Self::Scheduler => "scheduler",
            Self::SchedulerFlags => return f.write_str(&SCHEDULER_FLAGS.join(", ")),
            Self::Words(words) => return f.write_str(&words.join(", ")),
            Self::WebUrl => "URL with https or http",
            Self::Relay => "host name or IP address, perhaps with a port",
            Self::Mails => "addresses for mail",
            Self::Mail => "address for mail",
            Self::Text | Self::Payload => "text",
            Self::Path => "file name",
            Self::Printable => "text without blanks",
            Self::List => "list in brackets",
            Self::Status => "status codes such as 200-399",
            Self::Header => "header such as `X-Probe: yes`",
            Self::Json => "JSON pointer and value such as `/status ok`",
            Self::Hex => "bytes in hexadecimal such as `81 ?? 00`",
            Self::Pin => "sha256: and 64 hexadecimal digits",
            Self::SlowStart => "historical, 0, or a duration",
            Self::Quorum => "number, or percentage such as 50%",
        })
    }
}

/// The schedulers of the kernel.
const SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// The flags that schedulers give a meaning, as `ipvsadm -b` calls them.
const SCHEDULER_FLAGS: &[&str] = &["sh-fallback", "sh-port", "mh-fallback", "mh-port"];

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        let message = format!("the value is not UTF-8: byte 0x{byte:02x}");
        Problem::new(Code::InvalidText, message).help("save the file as UTF-8")
    })
}

fn choice(word: &str, allowed: &[&'static str]) -> Result<Value, Problem> {
    match allowed.iter().find(|&&candidate| candidate == word) {
        Some(candidate) => Ok(Value::Choice(candidate)),
        None => Err(unknown(Code::InvalidChoice, "value", word, allowed)),
    }
}

fn scheduler(word: &str) -> Result<Value, Problem> {
    let name = if word == "pcc" { "lc" } else { word };
    match name.parse() {
        Ok(scheduler) if SCHEDULERS.contains(&name) => Ok(Value::Scheduler(scheduler)),
        _ => Err(unknown(Code::UnknownScheduler, "scheduler", word, SCHEDULERS)),
    }
}

/// Words out of `allowed`, with commas or blanks between.
fn some_of(
    what: &str,
    allowed: &[&'static str],
    words: &[&[u8]],
) -> Result<Vec<&'static str>, Problem> {
    let mut found = Vec::new();
    for word in words {
        for name in utf8(word)?.split(',').filter(|name| !name.is_empty()) {
            let known = allowed.iter().find(|&&known| known == name);
            let problem = || unknown(Code::InvalidChoice, what, name, allowed);
            found.push(*known.ok_or_else(problem)?);
        }
    }
    Ok(found)
}

/// The most addresses of one directive.
const MAILS_MAX: usize = 64;

fn mails(words: &[&[u8]]) -> Result<Value, Problem> {
    let mut mails = Vec::new();
    for word in words {
        for text in utf8(word)?.split(',').filter(|text| !text.is_empty()) {
            mails.push(
                mail_address(text).map_err(|reason| Problem::new(Code::InvalidText, reason))?,
            );
        }
    }
    if mails.len() > MAILS_MAX || mails.is_empty() {
        let message = format!("{} addresses are not between 1 and {MAILS_MAX}", mails.len());
        return Err(Problem::new(Code::OutOfRange, message));
    }
    Ok(Value::Mails(mails))
}

fn unknown(code: Code, what: &str, word: &str, allowed: &[&str]) -> Problem {
    let all = allowed.join(", ");
    Problem::new(code, format!("unknown {what} `{word}`")).help(
        match nearest(word, allowed.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? (there are {all})"),
            None => format!("write one of {all}"),
        },
    )
}

/// A value whose type knows how it is written.
fn parsed<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|reason: String| Problem::new(Code::InvalidText, reason))
}

fn list(words: &[&[u8]]) -> Result<Value, Problem> {
    match words {
        [b"[", items @ .., b"]"] => {
            Ok(Value::Text(String::from_utf8_lossy(&items.join(&b' ')).into_owned()))
        }
        _ => {
            Err(Problem::new(Code::InvalidText, "a list is needed")
                .help("write it as `[ one two ]`"))
        }
    }
}

fn slow_start(word: &str) -> Result<SlowStart, Problem> {
    if word == "historical" {
        return Ok(SlowStart::Historical);
    }
    let ramp = number::duration(word, Duration::ZERO)
        .map_err(|problem| problem.help("write `historical`, `0`, or a duration such as `30s`"))?;
    Ok(if ramp.is_zero() { SlowStart::Off } else { SlowStart::Ramp(ramp) })
}

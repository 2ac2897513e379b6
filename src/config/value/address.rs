use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Problem, Value, number};
use crate::config::Code;
use crate::net::Family;

/// A netmask as the number of bits it keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mask {
    pub(crate) prefix: u8,
    pub(crate) style: MaskStyle,
}

/// How a netmask was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MaskStyle {
    /// `255.255.255.0`
    Dotted,
    /// `24`, which 0.8.6 takes for 0.0.0.24.
    Bare,
    /// `/24`
    Slash,
}

impl Mask {
    /// The prefix, if an address of `family` can have it.
    pub(crate) fn prefix_for(self, family: Family) -> Result<u8, Problem> {
        let fits = self.prefix <= family.bits();
        if fits && (self.style != MaskStyle::Dotted || family == Family::Ipv4) {
            return Ok(self.prefix);
        }
        let message = "this netmask does not go with the address";
        Err(Problem::new(Code::InvalidMask, message).help(match family {
            Family::Ipv4 => "an IPv4 netmask is like 255.255.255.0",
            Family::Ipv6 => "an IPv6 netmask is a prefix length such as 64",
        }))
    }

    /// What 0.8.6 would make of it.
    pub(crate) fn remark(self, family: Family) -> Option<Problem> {
        if self.style != MaskStyle::Bare || family == Family::Ipv6 {
            return None;
        }
        let prefix = self.prefix;
        let message = format!("`{prefix}` means /{prefix} here, and 0.0.0.{prefix} in 0.8.6");
        let bits = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
        let help = format!("write `{}`", Ipv4Addr::from_bits(bits));
        Some(Problem::new(Code::BareMask, message).help(help))
    }
}

pub(super) fn host(text: &str) -> Result<IpAddr, Problem> {
    if let Some(address) = dotted(text) {
        return Ok(address.into());
    }
    text.parse().map_err(|_invalid| {
        let looks_numeric = text.contains(':') || !text.contains(|c: char| c.is_alphabetic());
        if looks_numeric {
            let message = format!("`{text}` is not an IP address");
            Problem::new(Code::InvalidAddress, message)
                .help("write an address such as 192.0.2.1 or 2001:db8::1")
        } else {
            Problem::new(Code::HostName, format!("`{text}` is a host name")).help(
                "write the address: names are not looked up, so that no name server can stop a takeover",
            )
        }
    })
}

/// An IPv4 address in any form the C function `inet_aton` takes: one to four numbers, each
/// decimal, octal or hexadecimal, the last one filling the bytes that are left.
fn dotted(text: &str) -> Option<Ipv4Addr> {
    let mut numbers = [0_u32; 4];
    let mut count = 0;
    for part in text.split('.') {
        if !part.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        *numbers.get_mut(count)? = u32::try_from(number::integer(part).ok()?).ok()?;
        count += 1;
    }
    let (last, leading) = numbers[..count].split_last()?;
    let mut bits = 0_u32;
    for (index, &number) in leading.iter().enumerate() {
        bits |= u32::from(u8::try_from(number).ok()?) << (24 - 8 * index);
    }
    let room = u64::from(*last) < 1_u64 << (32 - 8 * leading.len());
    room.then(|| Ipv4Addr::from_bits(bits | last))
}

pub(super) fn address_device(text: &str, device: &str) -> Result<Value, Problem> {
    const LONGEST: usize = 15;
    let interface = device.split(':').next().unwrap_or_default();
    let usable = !interface.is_empty()
        && interface.len() <= LONGEST
        && device.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    let address = host(text)?;
    if usable {
        return Ok(Value::AddressDevice(address, device.to_owned()));
    }
    let message = format!("`{device}` cannot be the name of a device");
    Err(Problem::new(Code::InvalidText, message).help("a device is like `eth0` or `eth0:1`"))
}

/// The most endpoints of one directive.
const ENDPOINTS_MAX: usize = 64;

pub(super) fn endpoints(words: &[&[u8]]) -> Result<Value, Problem> {
    if words.len() > ENDPOINTS_MAX {
        let message = format!("{} addresses are more than {ENDPOINTS_MAX}", words.len());
        return Err(Problem::new(Code::OutOfRange, message).help("name fewer"));
    }
    let read = |word: &&[u8]| endpoint(super::utf8(word)?);
    words.iter().map(read).collect::<Result<_, _>>().map(Value::Endpoints)
}

fn endpoint(text: &str) -> Result<(IpAddr, Option<u16>), Problem> {
    match text.parse::<SocketAddr>() {
        Ok(endpoint) if endpoint.port() > 0 => Ok((endpoint.ip(), Some(endpoint.port()))),
        _ => host(text).map(|address| (address, None)),
    }
}

/// Reads a netmask; 0.0.0.0 and 0 are none.
pub(super) fn mask(text: &str) -> Result<Option<Mask>, Problem> {
    let bare = |text: &str| text.parse().ok().filter(|&prefix: &u8| prefix <= 128);
    let (prefix, style) = if let Some(length) = text.strip_prefix('/') {
        (bare(length), MaskStyle::Slash)
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        (bare(text), MaskStyle::Bare)
    } else {
        (dotted(text).and_then(contiguous), MaskStyle::Dotted)
    };
    match prefix {
        Some(0) => Ok(None),
        Some(prefix) => Ok(Some(Mask { prefix, style })),
        None => Err(Problem::new(Code::InvalidMask, format!("`{text}` is not a netmask"))
            .help("write it as 255.255.255.0")),
    }
}

fn contiguous(mask: Ipv4Addr) -> Option<u8> {
    let ones = mask.to_bits().leading_ones();
    let rest = mask.to_bits().checked_shl(ones).unwrap_or(0);
    u8::try_from(ones).ok().filter(|_| rest == 0)
}

/// A remark on an address that means something else than it seems to.
pub(super) fn remark(text: &str) -> Option<Problem> {
    let address = dotted(text)?;
    let octal = |part: &str| number::octal(part).is_some();
    if text.split('.').any(octal) {
        let message = format!("`{text}` has octal numbers and means {address}");
        return Some(
            Problem::new(Code::Octal, message).help("write numbers without leading zeros"),
        );
    }
    (text.split('.').count() < 4).then(|| {
        Problem::new(Code::ShortAddress, format!("`{text}` is short for {address}"))
            .help(format!("write `{address}`"))
    })
}

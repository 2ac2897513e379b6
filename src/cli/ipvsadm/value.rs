//! The grammars of values: numbers, addresses, masks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Names;
use crate::net::{Family, Protocol};

/// A decimal number within `range`; leading zeros do not make it octal.
pub(super) fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let number = text.parse().ok()?;
    range.contains(&number).then_some(number)
}

/// An address and, where one is given, a port: `10.0.0.1`, `www:http`, `[2001:db8::1]:80`,
/// `2001:db8::1`.
///
/// `protocol` is whose service names a port may have; with `None` there are none.
pub(super) fn endpoint(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<(IpAddr, Option<u16>)> {
    let read_port = |text| port(text, protocol, names);
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once("]:")?;
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((address.into(), Some(read_port(port)?)));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            Some((text.parse::<Ipv6Addr>().ok()?.into(), None))
        }
        Some((host, port)) => Some((self::host(host, names)?, Some(read_port(port)?))),
        None if text.bytes().all(|b| b.is_ascii_digit()) => None,
        None => Some((host(text, names)?, None)),
    }
}

fn host(text: &str, names: &dyn Names) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    inet_aton(text).map(IpAddr::V4).or_else(|| names.address(text))
}

fn port(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<u16> {
    match text.parse::<u32>() {
        Ok(number) => u16::try_from(number).ok(),
        Err(_) if text.is_empty() => None,
        Err(_) => names.port(text, protocol?),
    }
}

/// An IPv4 address in any form of the C library: one to four numbers, decimal, octal (`012`) or
/// hexadecimal (`0x0a`), the last of which fills the rest.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts = Vec::with_capacity(4);
    for part in text.split('.') {
        if parts.len() == 4 {
            return None;
        }
        parts.push(inet_number(part)?);
    }
    let (&last, leading) = parts.split_last()?;
    let last_bits = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if u64::from(last) >= 1 << last_bits || leading.iter().any(|&part| part > 255) {
        return None;
    }
    let leading = leading.iter().fold(0, |bits, part| bits << 8 | part);
    let high = leading.checked_shl(last_bits).unwrap_or(0);
    Some(Ipv4Addr::from_bits(high | last))
}

fn inet_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix('0') {
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None if rest.is_empty() => (text, 10),
            None => (rest, 8),
        },
        None => (text, 10),
    };
    let plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

/// How many leading bits `--netmask` keeps of a client's address.
///
/// IPv6 takes a number of bits, 1 to 128. IPv4 takes a mask (`255.255.255.0`) and, unlike the
/// original, which reads `24` as the mask 0.0.0.24, a number of bits. A mask with a gap is
/// refused, and so is one of no bits.
pub(super) fn netmask(text: &str, family: Family) -> Option<u8> {
    let bits = number(text, 1..=family.bits().into());
    if let Some(bits) = bits {
        return u8::try_from(bits).ok();
    }
    if family == Family::Ipv6 {
        return None;
    }
    let mask = inet_aton(text)?.to_bits();
    let ones = mask.leading_ones();
    let run = ones > 0 && mask.checked_shl(ones).unwrap_or(0) == 0;
    run.then(|| u8::try_from(ones).ok()).flatten()
}

/// The mask of `prefix` leading bits in the dotted form.
pub(super) fn dotted_mask(prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from_bits(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_every_form_of_the_c_library() {
        let read = |text| inet_aton(text).map(|address| address.to_string());
        let forms = ["10.0.0.1", "012.0.0.1", "0x0a000001", "10.1", "10.0.1", "167772161"];
        assert!(forms.iter().all(|form| read(form).as_deref() == Some("10.0.0.1")));
        for bad in
            ["", "10.", ".1", "1.2.3.4.5", "256.1", "1.2.3.256", "08.1", "0x", "+1.2", "1.-2"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read("0").as_deref(), Some("0.0.0.0"));
        assert_eq!(read("4294967296"), None);
    }

    #[test]
    fn a_mask_is_a_run_of_ones() {
        assert_eq!(netmask("255.255.255.0", Family::Ipv4), Some(24));
        assert_eq!(netmask("24", Family::Ipv4), Some(24));
        assert_eq!(netmask("0.0.0.0", Family::Ipv4), None);
        assert_eq!(netmask("255.255.255.255", Family::Ipv4), Some(32));
        assert_eq!(netmask("255.0.255.0", Family::Ipv4), None);
        assert_eq!(netmask("64", Family::Ipv6), Some(64));
        assert_eq!(netmask("0", Family::Ipv6), None);
        for prefix in 1..=32 {
            let dotted = dotted_mask(prefix).to_string();
            assert_eq!(netmask(&dotted, Family::Ipv4), Some(prefix));
        }
    }
}

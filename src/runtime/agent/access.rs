use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Who may ask an agent. Without an entry everybody may.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessList(Vec<Prefix>);

/// A text that is no [`Prefix`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an address, or one with the length of a prefix such as 10.0.0.0/8")]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to say about it")]
pub struct BadPrefix;

impl Prefix {
    /// Whether it covers `address`. An IPv4 address is the same when IPv6 carries it
    /// (`::ffff:10.0.0.1`).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address, address.to_canonical());
        own.is_ipv4() == other.is_ipv4()
            && (bits(own) ^ bits(other)).leading_zeros() >= leading(own, self.length)
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_no_address| BadPrefix)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse().map_err(|_no_number| BadPrefix)?,
            None => most,
        };
        if length <= most { Ok(Self { address, length }) } else { Err(BadPrefix) }
    }
}

impl AccessList {
    /// Whether `client` may ask.
    #[must_use]
    pub fn allows(&self, client: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|prefix| prefix.contains(client))
    }

    /// Whether everybody may.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Prefix> for AccessList {
    fn from_iter<T: IntoIterator<Item = Prefix>>(prefixes: T) -> Self {
        Self(prefixes.into_iter().collect())
    }
}

/// IPv4 addresses as IPv6 carries them.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn leading(address: IpAddr, length: u8) -> u32 {
    let mapped = Ipv6Addr::BITS - 32;
    u32::from(length) + if address.is_ipv4() { mapped } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(prefixes: &[&str]) -> AccessList {
        prefixes.iter().map(|prefix| prefix.parse::<Prefix>().unwrap()).collect()
    }

    #[test]
    fn a_prefix_covers_what_begins_with_its_bits_in_its_own_family() {
        let allowed = |prefix: &str, client: &str| list(&[prefix]).allows(client.parse().unwrap());
        for (prefix, inside, outside) in [
            ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.0/23", "::ffff:10.1.3.9", "::ffff:10.1.4.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            assert!(allowed(prefix, inside), "{prefix} {inside}");
            assert!(!allowed(prefix, outside), "{prefix} {outside}");
        }
        assert!(list(&[]).allows(IpAddr::from([203, 0, 113, 1])));
        assert!(list(&["::1", "127.0.0.1"]).allows(IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "host", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Prefix>(), Err(BadPrefix), "{text}");
        }
    }
}

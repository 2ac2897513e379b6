//! Ethernet addresses that move with floating addresses (`virtual_mac`).

use std::net::IpAddr;

use crate::net::Family;
use crate::wire::ethernet::MacAddr;

/// The Ethernet address of the virtual router `id` in this family: 00-00-5E-00-01-ID for IPv4,
/// 00-00-5E-00-02-ID for IPv6 (RFC 9568 section 7.3).
#[must_use]
pub const fn of_router(id: u8, family: Family) -> MacAddr {
    let family = match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 2,
    };
    MacAddr([0, 0, 0x5e, 0, family, id])
}

/// The Ethernet address of a pair that speaks the pulse protocol: 02-50 and four bytes that come of
/// the two public addresses and the port of the heartbeats, so that both directors have the same
/// and other pairs another. It is locally administered (IEEE 802 section 8.4).
#[must_use]
pub fn of_pair(primary: IpAddr, backup: Option<IpAddr>, port: u16) -> MacAddr {
    let name = format!("{primary} {backup:?} {port}");
    let [a, b, c, d, e, f, g, h] = fnv1a(name.as_bytes()).to_be_bytes();
    MacAddr([0x02, b'P', a ^ e, b ^ f, c ^ g, d ^ h])
}

/// The hash FNV-1a: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_router_has_the_addresses_of_the_rfc() {
        assert_eq!(of_router(51, Family::Ipv4).to_string(), "00:00:5e:00:01:33");
        assert_eq!(of_router(255, Family::Ipv6).to_string(), "00:00:5e:00:02:ff");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn pairs_have_an_address_each_that_no_vendor_gives() {
        let of =
            |host: u8, port| of_pair([192, 0, 2, host].into(), Some([192, 0, 2, 1].into()), port);
        let all: BTreeSet<_> = (2..250).flat_map(|host| [of(host, 539), of(host, 540)]).collect();
        assert_eq!(all.len(), 2 * 248);
        assert!(all.iter().all(|mac| mac.0[0] & 3 == 2), "locally administered, one station");
    }
}

//! What dh, sh and mh share: an address as one number, and the hash of the first two.

use std::net::IpAddr;

/// An address as 32 bits: IPv4 in host order, IPv6 as the exclusive or of its four words.
pub(super) fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments().map(u32::from);
            ((a ^ c ^ e ^ g) << 16) | (b ^ d ^ f ^ h)
        }
    }
}

/// The bucket of 256 that `value` belongs to: the top byte of its product with 2^32 divided by the
/// golden ratio (the kernel's `hash_32`).
pub(super) const fn bucket(value: u32) -> u8 {
    value.wrapping_mul(0x61c8_8647).to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_folds_into_the_exclusive_or_of_its_words() {
        let address: IpAddr = "2001:db8:102:304:506:708:90a:b0c".parse().unwrap();
        let words = [0x2001_0db8, 0x0102_0304, 0x0506_0708, 0x090a_0b0c_u32];
        assert_eq!(fold(address), words.into_iter().fold(0, |all, word| all ^ word));
        assert_eq!(fold("10.1.2.3".parse().unwrap()), 0x0a01_0203);
    }
}

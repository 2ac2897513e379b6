//! Socket addresses as the kernel reads and writes them (ip(7), ipv6(7)), field by field.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for a `sockaddr_in` or a `sockaddr_in6`.
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub(super) struct Name {
    bytes: [u8; Self::SIZE],
}

impl Name {
    /// The size of a `sockaddr_in6`, the larger of the two.
    pub(super) const SIZE: usize = 28;

    const SIZE_V4: usize = 16;

    /// The name of `address` and its length.
    pub(super) fn of(address: SocketAddr) -> (Self, usize) {
        let mut name = Self::default();
        name.set(2, address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                name.set(0, family(libc::AF_INET).to_ne_bytes());
                name.set(4, address.ip().octets());
                (name, Self::SIZE_V4)
            }
            SocketAddr::V6(address) => {
                name.set(0, family(libc::AF_INET6).to_ne_bytes());
                name.set(4, address.flowinfo().to_ne_bytes());
                name.set(8, address.ip().octets());
                name.set(24, address.scope_id().to_ne_bytes());
                (name, Self::SIZE)
            }
        }
    }

    /// The address, if it is one of the two families.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.get(2));
        let of = u16::from_ne_bytes(self.get(0));
        if of == family(libc::AF_INET) {
            return Some(SocketAddr::from((self.get::<4>(4), port)));
        }
        let address = SocketAddrV6::new(
            Ipv6Addr::from(self.get::<16>(8)),
            port,
            u32::from_ne_bytes(self.get(4)),
            u32::from_ne_bytes(self.get(24)),
        );
        (of == family(libc::AF_INET6)).then_some(SocketAddr::V6(address))
    }

    fn set<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&value);
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&self.bytes[at..at + N]);
        value
    }
}

/// An address family as it stands in a name.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sa_family_t is 16 bits wide, and families are small"
)]
const fn family(family: libc::c_int) -> u16 {
    family as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_comes_back_from_its_name(
            ip: std::net::IpAddr, port: u16, flow: u32, scope: u32,
        ) {
            let mut address = SocketAddr::new(ip, port);
            if let SocketAddr::V6(address) = &mut address {
                address.set_flowinfo(flow);
                address.set_scope_id(scope);
            }
            prop_assert_eq!(Name::of(address).0.address(), Some(address));
        }
    }

    #[test]
    fn a_name_of_another_family_is_no_address() {
        assert_eq!(Name::default().address(), None);
    }
}

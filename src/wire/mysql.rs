//! What a MySQL or MariaDB server sends while a client connects (protocol 10), without the four
//! bytes before each packet. How a password is proved is up to whoever has it.

/// Length of the random bytes a password is proved with.
pub const NONCE: usize = 20;
/// The capability to go over to TLS (CLIENT_SSL).
pub const CAN_TLS: u32 = 0x0000_0800;

const PROTOCOL: u8 = 10;
const NONCE_BEGIN: usize = 8;
/// Between the capabilities: character set and status; behind them: ten bytes of nothing.
const CHARSET_AND_STATUS: usize = 3;
const RESERVED: usize = 10;

/// The first packet of a server.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Greeting<'a> {
    /// What the server can, in bits.
    pub capabilities: u32,
    /// How it wants a password proved, and with which random bytes.
    pub method: Method<'a>,
}

/// A method of authentication: its name, and the random bytes for it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Method<'a> {
    /// Such as `mysql_native_password`; empty where a server names none.
    pub name: &'a [u8],
    /// The random bytes.
    pub nonce: [u8; NONCE],
}

impl<'a> Greeting<'a> {
    /// Reads a greeting; `None` if it is none of protocol 10.
    #[must_use]
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let (&protocol, rest) = packet.split_first()?;
        let (_version, rest) = until_zero(rest)?;
        let (_thread, rest) = rest.split_at_checked(4)?;
        let (begin, rest) = rest.split_at_checked(NONCE_BEGIN)?;
        let (&[_filler, low_0, low_1], rest) = rest.split_first_chunk()?;
        let (_, rest) = rest.split_at_checked(CHARSET_AND_STATUS)?;
        let (&[high_0, high_1, _length], rest) = rest.split_first_chunk()?;
        let (_, rest) = rest.split_at_checked(RESERVED)?;
        let (end, name) = rest.split_at_checked(NONCE - NONCE_BEGIN)?;
        let mut nonce = [0; NONCE];
        nonce[..NONCE_BEGIN].copy_from_slice(begin);
        nonce[NONCE_BEGIN..].copy_from_slice(end);
        let name = name.strip_prefix(&[0]).and_then(until_zero).map_or(&[][..], |(name, _)| name);
        let capabilities = u32::from_le_bytes([low_0, low_1, high_0, high_1]);
        (protocol == PROTOCOL).then_some(Self { capabilities, method: Method { name, nonce } })
    }
}

impl<'a> Method<'a> {
    /// Reads what follows the first byte of a request to prove the password by another method.
    #[must_use]
    pub fn parse(rest: &'a [u8]) -> Option<Self> {
        let (name, rest) = until_zero(rest)?;
        let nonce = *rest.first_chunk()?;
        Some(Self { name, nonce })
    }
}

fn until_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GREETING: &[u8] =
        b"\x0a10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15\
        \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";

    #[test]
    fn a_greeting_has_its_random_bytes_in_two_places() {
        let greeting = Greeting::parse(GREETING).unwrap();
        assert_eq!(greeting.capabilities, 0x81ff_fffe);
        assert_eq!(greeting.method.name, b"mysql_native_password");
        assert_eq!(&greeting.method.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(Greeting::parse(b"\x09old"), None);
        let bare = GREETING.len() - b"\0mysql_native_password\0".len();
        assert_eq!(Greeting::parse(&GREETING[..bare]).unwrap().method.name, b"");
        for end in 0..bare {
            assert_eq!(Greeting::parse(&GREETING[..end]), None, "{end}");
        }
        let switch = Method::parse(b"caching_sha2_password\0abcdefghijklmnopqrst\0").unwrap();
        assert_eq!((switch.name, &switch.nonce[..2]), (&b"caching_sha2_password"[..], &b"ab"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            cut in 0..90_usize, bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = Greeting::parse(&bytes);
            let _ = Method::parse(&bytes);
            let _ = Greeting::parse(&[&GREETING[..cut.min(GREETING.len())], &bytes].concat());
        }
    }
}

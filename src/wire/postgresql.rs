//! What a PostgreSQL server says while a client logs in (protocol 3.0; its documentation, "Message
//! Formats"). How a password is proved is up to whoever has it.

/// What a server wants, or says, about who the client is: the content of a message `R`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authentication<'a> {
    /// The client is let in.
    Ok,
    /// The password, as it is.
    Cleartext,
    /// The password's hash, with this salt.
    Md5([u8; 4]),
    /// A proof by one of these mechanisms: names, each with a zero behind it.
    Sasl(&'a [u8]),
    /// The server's part of such a proof.
    SaslContinue(&'a [u8]),
    /// The server's last part of it.
    SaslFinal(&'a [u8]),
    /// Any other way.
    Other(u32),
}

impl<'a> Authentication<'a> {
    /// Reads the content of a message; `None` if it is too short.
    #[must_use]
    pub fn parse(content: &'a [u8]) -> Option<Self> {
        let (kind, rest) = content.split_first_chunk()?;
        Some(match u32::from_be_bytes(*kind) {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => Self::Md5(*rest.first_chunk()?),
            10 => Self::Sasl(rest),
            11 => Self::SaslContinue(rest),
            12 => Self::SaslFinal(rest),
            other => Self::Other(other),
        })
    }

    /// Whether a mechanism is among those of a list.
    #[must_use]
    pub fn offers(mechanisms: &[u8], name: &[u8]) -> bool {
        mechanisms.split(|&byte| byte == 0).any(|mechanism| mechanism == name)
    }
}

/// The field of an error or notice with this letter: `C` its code, `M` its text.
#[must_use]
pub fn field(content: &[u8], letter: u8) -> Option<&[u8]> {
    let mut fields = content.split(|&byte| byte == 0);
    fields.find(|field| field.first() == Some(&letter)).map(|field| &field[1..])
}

/// The first message of a server in a proof by SCRAM (RFC 5802, 7): `r=...,s=...,i=...`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScramFirst<'a> {
    /// The client's random text with the server's behind it.
    pub nonce: &'a str,
    /// The salt, in base64.
    pub salt: &'a str,
    /// How often the password is hashed.
    pub iterations: u32,
}

impl<'a> ScramFirst<'a> {
    /// Reads it; `None` if it is not of this form, or demands an extension.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(message).ok()?.split(',');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let (nonce, salt, iterations) = (part("r")?, part("s")?, part("i")?);
        Some(Self { nonce, salt, iterations: iterations.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_way_to_authenticate_is_told_from_the_others() {
        assert_eq!(Authentication::parse(&[0, 0, 0, 0]), Some(Authentication::Ok));
        let md5 = Authentication::parse(&[0, 0, 0, 5, 1, 2, 3, 4]);
        assert_eq!(md5, Some(Authentication::Md5([1, 2, 3, 4])));
        assert_eq!(Authentication::parse(&[0, 0, 0, 5, 1, 2, 3]), None);
        assert_eq!(Authentication::parse(&[0, 0, 0]), None);
        let list = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        assert!(Authentication::offers(list, b"SCRAM-SHA-256"));
        assert!(!Authentication::offers(b"SCRAM-SHA-256-PLUS\0\0", b"SCRAM-SHA-256"));
    }

    #[test]
    fn the_example_of_rfc_7677_is_read() {
        let message = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let first = ScramFirst::parse(message).unwrap();
        assert!(first.nonce.starts_with("rOprNGfwEbeRWgbNEkqO"));
        assert_eq!((first.salt, first.iterations), ("W22ZaJ0SNY7soEsUEjb6gQ==", 4096));
        for bad in ["", "r=a", "r=a,s=b", "m=x,r=a,s=b,i=1", "r=a,s=b,i=-1", "s=b,r=a,i=1"] {
            assert_eq!(ScramFirst::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Authentication::parse(&bytes);
            let _ = ScramFirst::parse(&bytes);
            let _ = field(&bytes, b'M');
        }
    }
}

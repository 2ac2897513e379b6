//! A reader of ASN.1 values in BER or DER (X.690) with definite lengths, as certificates and LDAP
//! have them. It nests no deeper than its caller goes, and copies nothing.
//!
//! ```
//! use piranha::wire::ber::{Reader, tag};
//!
//! let mut outer = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x2a]);
//! let mut inner = Reader::new(outer.expect(tag::SEQUENCE)?);
//! assert_eq!(inner.expect(tag::INTEGER)?, [0x2a]);
//! assert!(inner.is_empty());
//! # Ok::<(), piranha::wire::ber::Malformed>(())
//! ```

/// First octets of values.
pub mod tag {
    /// BOOLEAN
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER
    pub const INTEGER: u8 = 0x02;
    /// OCTET STRING
    pub const OCTET_STRING: u8 = 0x04;
    /// ENUMERATED
    pub const ENUMERATED: u8 = 0x0a;
    /// UTCTime
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE, constructed
    pub const SEQUENCE: u8 = 0x30;
}

/// The bytes are not the value that was looked for, or end in the middle of one.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed ASN.1")]
pub struct Malformed;

/// One value as it stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Value<'a> {
    /// Its first octet: class, form and number.
    pub tag: u8,
    /// What it holds.
    pub content: &'a [u8],
    /// All of it, tag and length included.
    pub whole: &'a [u8],
}

/// Reads one value after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first octet of the next value, if there is one.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value.
    ///
    /// # Errors
    /// [`Malformed`] if none is there whole, for numbers beyond 30, and for indefinite lengths.
    pub fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let &[tag, short, ..] = self.0 else {
            return Err(Malformed);
        };
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (head, length) = match short {
            0..0x80 => (2, usize::from(short)),
            0x80 => return Err(Malformed),
            _ => self.long_length(usize::from(short & 0x7f))?,
        };
        let end = length.checked_add(head).ok_or(Malformed)?;
        let whole = self.0.get(..end).ok_or(Malformed)?;
        self.0 = &self.0[end..];
        Ok(Value { tag, content: &whole[head..], whole })
    }

    /// The content of the next value, which has this tag.
    ///
    /// # Errors
    /// [`Malformed`], as [`value`](Self::value), and for another tag.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let value = self.value()?;
        if value.tag == tag { Ok(value.content) } else { Err(Malformed) }
    }

    fn long_length(&self, octets: usize) -> Result<(usize, usize), Malformed> {
        let digits = self.0.get(2..2 + octets).ok_or(Malformed)?;
        let length = digits.iter().try_fold(0_usize, |length, &digit| {
            length.checked_mul(256)?.checked_add(usize::from(digit))
        });
        Ok((2 + octets, length.ok_or(Malformed)?))
    }
}

/// A value with this tag around `content`, which has less than 64 KiB.
#[must_use]
pub fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let mut whole = match length {
        0..0x80 => vec![tag, low],
        _ => vec![tag, 0x82, high, low],
    };
    whole.extend_from_slice(&content[..usize::from(length)]);
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ends_early_or_has_no_definite_length_is_malformed() {
        for bytes in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80, 0, 0], &[0x30, 0x81], &[0x1f, 0]]
        {
            assert_eq!(Reader::new(bytes).value(), Err(Malformed), "{bytes:x?}");
        }
        let huge = [0x30, 0x88, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(Reader::new(&huge).value(), Err(Malformed));
        let beyond = [0x30, 0x89, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(Reader::new(&beyond).value(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_and_any_bytes_are_survived(
            content in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let whole = encode(tag::OCTET_STRING, &content);
            let mut reader = Reader::new(&whole);
            prop_assert_eq!(reader.expect(tag::OCTET_STRING).unwrap(), &content[..]);
            prop_assert!(reader.is_empty());
            let mut reader = Reader::new(&content);
            while reader.value().is_ok() {}
        }
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes, some of which may be any, written in hexadecimal: `81 ?? 00`.
///
/// ```
/// # use piranha::health::BytePattern;
/// let pattern: BytePattern = "0a ??0b".parse()?;
/// assert!(pattern.begins(&[10, 99, 11, 12]) && !pattern.begins(&[10, 99]));
/// assert_eq!(pattern.to_string(), "0a ?? 0b");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BytePattern(Vec<Option<u8>>);

impl BytePattern {
    /// The longest one, in bytes.
    pub const MAX: usize = 4096;

    /// How many bytes it stands for.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it stands for no byte, as no pattern does that was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `bytes` begin like this.
    #[must_use]
    pub fn begins(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.len() && self.allows(bytes)
    }

    /// Whether `bytes` agree as far as both go.
    pub(crate) fn allows(&self, bytes: &[u8]) -> bool {
        self.0.iter().zip(bytes).all(|(want, got)| want.is_none_or(|want| want == *got))
    }

    /// The bytes, unless some may be any.
    #[must_use]
    pub fn exact(&self) -> Option<Vec<u8>> {
        self.0.iter().copied().collect()
    }
}

impl FromStr for BytePattern {
    type Err = String;

    /// Reads pairs of hexadecimal digits and `??`, with blanks between where one likes.
    ///
    /// # Errors
    /// What cannot be read.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let pair = |pair: &[u8]| match *pair {
            [b'?', b'?'] => Some(None),
            [high, low] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(high)? << 4 | digit(low)?).ok().map(Some)
            }
            _ => None,
        };
        let bytes: Option<Vec<_>> = digits.chunks(2).map(pair).collect();
        match bytes {
            Some(bytes) if (1..=Self::MAX).contains(&bytes.len()) => Ok(Self(bytes)),
            Some(_) => Err(format!("there must be 1 to {} bytes", Self::MAX)),
            None => Err("bytes are pairs of hexadecimal digits, or `??` for any".to_owned()),
        }
    }
}

impl TryFrom<String> for BytePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BytePattern> for String {
    fn from(pattern: BytePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for BytePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { " " })?;
            match byte {
                Some(byte) => write!(f, "{byte:02x}")?,
                None => f.write_str("??")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", " ", "0", "0g", "?0", "zz", &"00".repeat(4097)] {
            assert!(bad.parse::<BytePattern>().is_err(), "{bad}");
        }
        let pattern: BytePattern = "DEADbeef ??".parse().unwrap();
        assert_eq!((pattern.len(), pattern.exact()), (5, None));
    }
}

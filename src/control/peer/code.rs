//! The one-time code that an administrator carries from one node to the other.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32: no letter in it is taken for another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many letters there are between hyphens.
const GROUP: usize = 4;

/// A one-time code of 80 bits, for [`pairing`](super::pairing).
///
/// Written as sixteen letters and digits in four groups. Read in either case, with or without
/// hyphens and blanks, and with `O` for `0`, `I` and `L` for `1`.
///
/// ```
/// use piranha::control::peer::Code;
///
/// let code = Code::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// assert_eq!(code.to_string(), "000G-40R4-0M30-E209");
/// assert_eq!("ooog40r4 0m30-e2o9".parse(), Ok(code));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Code([u8; Self::BYTES]);

/// What is not a [`Code`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a pairing code has sixteen letters and digits, as `piranha pair new` prints it")]
pub struct CodeError;

impl Code {
    /// The bytes of a code: 80 bits are out of the reach of guessing, before and after its use.
    pub const BYTES: usize = 10;

    /// The code of these bytes, which nobody can guess.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes, the secret.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn number(&self) -> u128 {
        self.0.iter().fold(0, |number, &byte| number << 8 | u128::from(byte))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        for place in 0..16 {
            if place > 0 && place % GROUP == 0 {
                f.write_str("-")?;
            }
            let letter = ALPHABET[(number >> (75 - 5 * place) & 0x1f) as usize];
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

/// The code is a secret: what is printed for debugging does not show it.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let letters = text.bytes().filter(|letter| !matches!(letter, b'-' | b' '));
        let (mut number, mut count) = (0_u128, 0);
        for letter in letters {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            };
            let digit = ALPHABET.iter().position(|&known| known == letter).ok_or(CodeError)?;
            number = number << 5 | digit as u128;
            count += 1;
            if count > 16 {
                return Err(CodeError);
            }
        }
        if count < 16 {
            return Err(CodeError);
        }
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&number.to_be_bytes()[16 - Self::BYTES..]);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_code_is_read_as_it_is_written(bytes: [u8; Code::BYTES]) {
            let code = Code::new(bytes);
            prop_assert_eq!(code.to_string().parse(), Ok(code.clone()));
            prop_assert_eq!(code.to_string().to_lowercase().replace('-', "").parse(), Ok(code));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,24}") {
            let _ = text.parse::<Code>();
        }
    }

    #[test]
    fn what_is_too_short_too_long_or_has_other_letters_is_no_code() {
        for text in ["", "0000-0000-0000-000", "0000-0000-0000-00000", "U000-0000-0000-0000"] {
            assert_eq!(text.parse::<Code>(), Err(CodeError), "{text}");
        }
    }

    #[test]
    fn a_code_is_not_shown_by_debugging() {
        assert_eq!(format!("{:?}", Code::new([7; 10])), "Code(..)");
    }
}

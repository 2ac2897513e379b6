use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A value that must stand in a body of JSON: a pointer (RFC 6901) and what is there.
///
/// It is met by the string of this text, and by the number, `true`, `false`, `null`, object or
/// array that the text denotes: `3` by `3` and by `"3"`.
///
/// ```
/// # use piranha::health::JsonExpect;
/// let up: JsonExpect = "/checks/0/status up".parse()?;
/// assert_eq!((up.pointer.as_str(), up.value.as_str()), ("/checks/0/status", "up"));
/// # Ok::<(), String>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JsonExpect {
    /// Where it stands: keys and places in arrays, each behind a `/`; `~0` is `~`, `~1` is `/`.
    pub pointer: String,
    /// What stands there.
    pub value: String,
}

impl JsonExpect {
    /// `value` at `pointer`.
    ///
    /// # Errors
    /// What is wrong with the pointer (RFC 6901, 3).
    pub fn new(pointer: &str, value: &str) -> Result<Self, String> {
        if !pointer.starts_with('/') {
            return Err(format!("`{pointer}` is no JSON pointer: it begins with `/`"));
        }
        let escapes = pointer.split('~').skip(1);
        if escapes.into_iter().any(|rest| !rest.starts_with(['0', '1'])) {
            return Err(format!("in the JSON pointer `{pointer}` a `~` is written `~0`"));
        }
        Ok(Self { pointer: pointer.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for JsonExpect {
    type Err = String;

    /// Reads a pointer without blanks, a blank, and the value.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (pointer, value) = text
            .split_once(' ')
            .ok_or_else(|| format!("`{text}` has no value behind the JSON pointer"))?;
        Self::new(pointer, value)
    }
}

impl fmt::Display for JsonExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pointer, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_begins_with_a_slash_and_escapes_its_tildes() {
        for text in ["status ok", " ok", "/a~2 x", "/a~ x", "/status"] {
            assert!(text.parse::<JsonExpect>().is_err(), "{text}");
        }
        let expect: JsonExpect = "/a~1b~0 all is well".parse().unwrap();
        assert_eq!((expect.pointer.as_str(), expect.value.as_str()), ("/a~1b~0", "all is well"));
        assert_eq!(expect.to_string().parse(), Ok(expect));
    }
}

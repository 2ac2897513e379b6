//! `application/x-www-form-urlencoded`: forms, query strings; and cookies.

/// The values of a form or query string. Broken escapes stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `text`; at most a hundred fields of it.
    pub(crate) fn parse(text: &str) -> Self {
        let fields = text.split('&').filter(|field| !field.is_empty()).take(100);
        let pairs = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
        Self(pairs.map(|(name, value)| (decode(name, true), decode(value, true))).collect())
    }

    /// The first field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The first field of this name, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// `text` without its percent escapes, and with blanks for plus signs where `plus` says so. What
/// is not UTF-8 then is replaced.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let ahead = rest.clone();
        match byte {
            b'+' if plus => bytes.push(b' '),
            b'%' => match escaped(&mut rest) {
                Some(byte) => bytes.push(byte),
                None => {
                    rest = ahead;
                    bytes.push(b'%');
                }
            },
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(rest.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high << 4 | low).ok()
}

/// `text` with everything escaped that means something in a URL.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The cookie `name` in a `Cookie` header field (RFC 6265, section 5.4).
pub(crate) fn cookie<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    field.split(';').find_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_nothing_panics(text in ".{0,60}", noise in ".{0,60}") {
            prop_assert_eq!(decode(&encode(&text), true), text.clone());
            let form = Form::parse(&format!("a={}&{noise}", encode(&text)));
            prop_assert_eq!(form.text("a"), text);
            let _ = (decode(&noise, false), cookie(&noise, "a"));
        }
    }

    #[test]
    fn broken_escapes_stay_and_cookies_are_told_apart() {
        assert_eq!(decode("100%+%4", true), "100% %4");
        assert_eq!(decode("%zz+", false), "%zz+");
        assert_eq!(cookie("a=1; __Host-p=xyz; b", "__Host-p"), Some("xyz"));
        assert_eq!(cookie("x__Host-p=1", "__Host-p"), None);
    }
}

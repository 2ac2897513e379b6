use super::{Problem, Value};
use crate::config::Code;

/// Decodes the escapes of `send` and `expect`: `\\ \r \n \t \' \"`. Any other backslash stays.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escape = (byte == b'\\').then(|| bytes.peek().copied().and_then(escaped));
        match escape.flatten() {
            Some(meant) => {
                decoded.push(meant);
                bytes.next();
            }
            None => decoded.push(byte),
        }
    }
    decoded
}

const fn escaped(letter: u8) -> Option<u8> {
    match letter {
        b'\\' | b'\'' | b'"' => Some(letter),
        b'r' => Some(b'\r'),
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

/// The text in double quotes that [`decode`] turns back into `plain`.
pub(crate) fn encode(plain: &str) -> String {
    let mut encoded = String::from("\"");
    for letter in plain.chars() {
        match letter {
            '\r' => encoded.push_str("\\r"),
            '\n' => encoded.push_str("\\n"),
            '\t' => encoded.push_str("\\t"),
            '\\' | '"' => encoded.extend(['\\', letter]),
            other => encoded.push(other),
        }
    }
    encoded.push('"');
    encoded
}

pub(super) fn printable(text: &str) -> Result<Value, Problem> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Value::Text(text.to_owned()));
    }
    let message = "the value must be printable ASCII without blanks";
    Err(Problem::new(Code::InvalidText, message).help("write a blank in a URL as `%20`"))
}

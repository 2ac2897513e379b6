use super::{Problem, Value};
use crate::config::Code;

/// The text in double quotes that [`decode_escapes`](crate::health::decode_escapes) turns back
/// into `plain`.
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

use regex::bytes::Regex;
use serde_json::Value;

use crate::health::{BodyExpect, Excerpt, Failure, HttpSpec, JsonExpect};
use crate::runtime::checks::CheckError;
use crate::runtime::checks::send_expect::compile;

/// Whether the JSON in `body` has every one of these values.
///
/// # Errors
/// [`Failure::Unexpected`] with the first that is not there, or with the body where it is no JSON
/// (RFC 8259) or nests deeper than 128.
pub fn judge_json(expects: &[JsonExpect], body: &[u8]) -> Result<(), Failure> {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return Err(unexpected("as the body", "JSON", body));
    };
    for expect in expects {
        let found = document.pointer(&expect.pointer);
        if !found.is_some_and(|found| is_it(found, &expect.value)) {
            let got = found.map_or_else(|| "nothing".to_owned(), plain);
            let step = format!("at {}", Excerpt::new(expect.pointer.as_bytes()));
            return Err(unexpected(&step, &expect.value, got.as_bytes()));
        }
    }
    Ok(())
}

/// What the body of an answer must be like.
pub(super) struct Wanted {
    text: Option<Text>,
    json: Vec<JsonExpect>,
}

/// What is looked for in a body. Plain text is an expression too: its search takes time in
/// proportion to the body, whatever a server sends.
struct Text {
    regex: Regex,
    shown: Excerpt,
}

impl Wanted {
    /// `None` if the body does not matter.
    pub(super) fn new(spec: &HttpSpec) -> Result<Option<Self>, CheckError> {
        let text = spec.expect.as_ref().map(Text::new).transpose()?;
        let matters = text.is_some() || !spec.json.is_empty();
        Ok(matters.then(|| Self { text, json: spec.json.clone() }))
    }

    /// Looks at a body that grows.
    pub(super) const fn search(&self) -> Search<'_> {
        Search { wanted: self, searched: 0 }
    }

    /// The verdict on a body of which no more is read. One of JSON must have ended before `limit`.
    pub(super) fn judge(&self, body: &[u8], limit: usize) -> Result<(), Failure> {
        if let Some(text) = self.text.as_ref().filter(|text| !text.regex.is_match(body)) {
            return Err(Failure::NotInBody { wanted: text.shown.clone(), searched: body.len() });
        }
        match self.json.as_slice() {
            [] => Ok(()),
            _ if body.len() >= limit => Err(Failure::AnswerTooLarge { limit }),
            expects => judge_json(expects, body),
        }
    }
}

/// A look at a body that grows.
pub(super) struct Search<'a> {
    wanted: &'a Wanted,
    searched: usize,
}

impl Search<'_> {
    /// Whether `body` passes already and will, whatever comes.
    ///
    /// Searching again after each piece would take time with the square of the size, so it waits
    /// until that has doubled.
    pub(super) fn is_settled(&mut self, body: &[u8]) -> bool {
        let Some(text) = self.wanted.text.as_ref().filter(|_| self.wanted.json.is_empty()) else {
            return false;
        };
        if body.len() < self.searched * 2 {
            return false;
        }
        self.searched = body.len();
        text.regex.is_match(body)
    }
}

impl Text {
    fn new(expect: &BodyExpect) -> Result<Self, CheckError> {
        Ok(match expect {
            BodyExpect::Contains(text) => {
                let pattern: String = text.iter().map(|byte| format!("\\x{byte:02x}")).collect();
                Self { regex: compile(&pattern)?, shown: Excerpt::new(text) }
            }
            BodyExpect::Regex(pattern) => {
                Self { regex: compile(pattern)?, shown: Excerpt::new(pattern.as_bytes()) }
            }
        })
    }
}

fn is_it(found: &Value, wanted: &str) -> bool {
    found.as_str() == Some(wanted)
        || serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *found)
}

/// A value as it is shown, a string without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn unexpected(step: &str, wanted: &str, got: &[u8]) -> Failure {
    let (step, wanted) = (step.to_owned(), wanted.to_owned());
    Failure::Unexpected { step, wanted, got: Excerpt::new(got) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#" {"status": "ok", "n": 3, "s": "3", "up": true, "none": null,
        "a/b": [{"m~n": "x"}], "": {"": 1.5}, "deep": {"a": [1, {"b": 2}]}} "#;

    fn judge(expect: &str) -> Result<(), String> {
        let expect = expect.parse().unwrap();
        judge_json(&[expect], BODY).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_value_is_met_by_its_text_and_by_what_the_text_denotes() {
        for expect in [
            "/status ok",
            "/status \"ok\"",
            "/n 3",
            "/s 3",
            "/s \"3\"",
            "/up true",
            "/none null",
            "/a~1b/0/m~0n x",
            "// 1.5",
            "/deep {\"a\": [1, {\"b\":2}]}",
        ] {
            assert_eq!(judge(expect), Ok(()), "{expect}");
        }
    }

    #[test]
    fn what_is_missing_or_other_has_its_reason() {
        assert_eq!(judge("/status up").unwrap_err(), r#"expected up at "/status", got "ok""#);
        assert_eq!(judge("/stat up").unwrap_err(), r#"expected up at "/stat", got "nothing""#);
        assert_eq!(judge("/a~1b/1 x").unwrap_err(), r#"expected x at "/a~1b/1", got "nothing""#);
        assert_eq!(judge("/n \"3\"").unwrap_err(), r#"expected "3" at "/n", got "3""#);
        assert!(judge("/up True").is_err());
    }

    #[test]
    fn bombs_of_brackets_and_bodies_cut_at_the_limit_fail_with_a_reason() {
        let expect: JsonExpect = "/a b".parse().unwrap();
        let bomb = vec![b'['; 100_000];
        let reason = judge_json(std::slice::from_ref(&expect), &bomb).unwrap_err().to_string();
        assert!(reason.starts_with("expected JSON as the body, got \"[[["), "{reason}");
        let spec = HttpSpec { json: vec![expect], ..HttpSpec::default() };
        let wanted = Wanted::new(&spec).unwrap().unwrap();
        let body = br#"{"a": "b"}"#;
        assert_eq!(wanted.judge(body, 11), Ok(()));
        assert_eq!(wanted.judge(body, 10), Err(Failure::AnswerTooLarge { limit: 10 }));
        assert!(!wanted.search().is_settled(body), "what follows may spoil it");
    }

    proptest! {
        #[test]
        fn every_value_of_a_document_is_found_by_its_pointer(
            keys in proptest::collection::vec("[a-c/~]{0,3}", 1..5), value in "[a-z]{1,5}",
        ) {
            let document = keys.iter().rev().fold(Value::from(value.clone()), |inner, key| {
                Value::Object([(key.clone(), inner)].into_iter().collect())
            });
            let escaped = keys.iter().map(|key| key.replace('~', "~0").replace('/', "~1"));
            let pointer: String = escaped.map(|key| format!("/{key}")).collect();
            let expect = JsonExpect::new(&pointer, &value).unwrap();
            let verdict = judge_json(&[expect], document.to_string().as_bytes());
            prop_assert_eq!(verdict, Ok(()));
        }
    }
}

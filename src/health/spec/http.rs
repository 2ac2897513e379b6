use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{JsonExpect, TlsSpec};

/// An HTTP check. Redirects are answers like others and are not followed.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HttpSpec {
    /// The version of HTTP, 1.1 by default.
    pub version: HttpVersion,
    /// The method, `GET` by default.
    pub method: String,
    /// The request target, `/` by default.
    pub path: String,
    /// The `Host` header; the server's address and port by default.
    pub host: Option<String>,
    /// Further headers, none by default.
    pub headers: Vec<Header>,
    /// The body of the request, empty by default.
    pub body: Vec<u8>,
    /// The file with `user:password` for basic authentication. It is read when the check is
    /// made, and nobody but its owner may read it.
    pub auth: Option<PathBuf>,
    /// The status codes that pass, 200 to 499 by default: a server that answers 5xx is broken,
    /// one that answers 404 to a path it was never asked to have is not.
    pub status: StatusSet,
    /// What the body of the answer must have in it. Without this and [`json`](Self::json) it is
    /// not read.
    pub expect: Option<BodyExpect>,
    /// What must stand in the body, which is JSON then and ends within
    /// [`body_limit`](Self::body_limit); nothing by default.
    pub json: Vec<JsonExpect>,
    /// How much of the body is read, in bytes, 64 KiB by default and at most 1 MiB.
    pub body_limit: usize,
    /// HTTP over TLS; off by default.
    pub tls: Option<TlsSpec>,
}

impl HttpSpec {
    /// The largest [`body_limit`](Self::body_limit).
    pub const BODY_MAX: usize = 1 << 20;
}

impl Default for HttpSpec {
    fn default() -> Self {
        Self {
            version: HttpVersion::default(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
            auth: None,
            status: StatusSet::default(),
            expect: None,
            json: Vec::new(),
            body_limit: 64 << 10,
            tls: None,
        }
    }
}

/// A version of HTTP.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 (RFC 9113): over TLS by ALPN, in clear with prior knowledge.
    #[serde(rename = "2")]
    Http2,
}

/// One header of an HTTP request.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Headers that the check writes itself, and that decide where a request ends.
const OWN: [&str; 6] =
    ["authorization", "connection", "content-length", "host", "transfer-encoding", "upgrade"];

impl FromStr for Header {
    type Err = String;

    /// Reads `Name: value`.
    ///
    /// # Errors
    /// What is wrong with it: no token of RFC 9110 (5.6.2) as name, control characters or other
    /// than ASCII in the value, or a header the check sets itself.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once(':').ok_or_else(|| "a header is `Name: value`".to_owned())?;
        let value = value.trim_matches([' ', '\t']);
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("`{name}` is not the name of a header"));
        }
        if !value.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic()) {
            return Err(format!("the value of `{name}` must be printable ASCII"));
        }
        if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("the check writes `{name}` itself"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// What the body of an HTTP answer must have in it.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyExpect {
    /// These bytes, anywhere.
    Contains(Vec<u8>),
    /// A match of this regular expression, anywhere.
    Regex(String),
}

/// A set of HTTP status codes, written `200-299,304`.
///
/// ```
/// # use piranha::health::StatusSet;
/// let set: StatusSet = "200-299,304".parse()?;
/// assert!(set.contains(204) && set.contains(304) && !set.contains(301));
/// assert_eq!(set.to_string(), "200-299,304");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// The most ranges of one set.
    pub const MAX_RANGES: usize = 32;

    /// Whether a code is in it.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

impl Default for StatusSet {
    /// 200 to 499.
    fn default() -> Self {
        Self(vec![200..=499])
    }
}

impl FromStr for StatusSet {
    type Err = String;

    /// Reads codes from 100 to 599 and ranges of them, with commas between.
    ///
    /// # Errors
    /// What cannot be read.
    fn from_str(text: &str) -> Result<Self, String> {
        let ranges: Result<Vec<_>, _> = text.split(',').map(|part| range(part.trim())).collect();
        let ranges = ranges.map_err(|part| format!("`{part}` is not a range of status codes"))?;
        if ranges.len() > Self::MAX_RANGES {
            return Err(format!("there are more than {} ranges", Self::MAX_RANGES));
        }
        Ok(Self(ranges))
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, &str> {
    let code = |text: &str| text.parse().ok().filter(|code| (100..=599).contains(code));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(text),
    }
}

impl TryFrom<String> for StatusSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StatusSet> for String {
    fn from(set: StatusSet) -> Self {
        set.to_string()
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_no_codes_or_impossible_ones_cannot_be_made() {
        for text in ["", "99", "600", "300-200", "200,", "abc", "200-", "-1"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
        }
        assert!(vec!["200"; 33].join(",").parse::<StatusSet>().is_err());
        assert!(serde_json::from_str::<StatusSet>("\"700\"").is_err());
    }

    #[test]
    fn a_header_cannot_break_its_line_or_the_framing() {
        let header: Header = "X-Probe: yes, really".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_str()), ("X-Probe", "yes, really"));
        for text in ["X", ": y", "a b: c", "X: a\r\nY: b", "host: a", "Content-Length: 3"] {
            assert!(text.parse::<Header>().is_err(), "{text}");
        }
    }
}

//! The HTTP check: one HTTP/1.1 request, judged by the status of the answer.
//!
//! Status line and headers are all that is read, within 8 KiB, and `httparse` does that; a whole
//! HTTP client would bring connection reuse, bodies and tasks that a check has no use for.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::CheckError;
use super::network::{Budget, close_at_once, connect, introduce};
use crate::health::{Check, Excerpt, Failure, HttpSpec, Stage};
use crate::wire::proxy::ProxyProtocol;

/// The status line and headers of an HTTP answer, as they arrive.
///
/// ```
/// use piranha::runtime::checks::http::Answer;
///
/// let mut answer = Answer::default();
/// assert_eq!(answer.push(b"HTTP/1.1 204 No Con"), None);
/// assert_eq!(answer.push(b"tent\r\n\r\n"), Some(Ok(204)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Answer {
    received: Vec<u8>,
}

impl Answer {
    /// The most that is kept, in bytes.
    pub const LIMIT: usize = 8192;
    const HEADER_LIMIT: usize = 128;

    /// Takes the next bytes, and returns the status once the headers are complete.
    ///
    /// # Errors
    /// [`Failure::NotHttp`] as soon as that is certain, [`Failure::HeadersTooLarge`] at
    /// [`LIMIT`](Self::LIMIT) bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Result<u16, Failure>> {
        let room = Self::LIMIT - self.received.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.received.extend_from_slice(taken);
        if !self.begins_like_http() {
            return Some(Err(self.not_http()));
        }
        if taken.contains(&b'\n')
            && let Some(result) = self.parse()
        {
            return Some(result);
        }
        (self.received.len() == Self::LIMIT)
            .then_some(Err(Failure::HeadersTooLarge { limit: Self::LIMIT }))
    }

    /// How many bytes were kept.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received.len()
    }

    fn begins_like_http(&self) -> bool {
        const MAGIC: &[u8] = b"HTTP/1.";
        self.received.starts_with(MAGIC) || MAGIC.starts_with(&self.received)
    }

    fn parse(&self) -> Option<Result<u16, Failure>> {
        let mut headers = [httparse::EMPTY_HEADER; Self::HEADER_LIMIT];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&self.received) {
            Ok(httparse::Status::Partial) => None,
            Ok(httparse::Status::Complete(_)) => Some(response.code.ok_or_else(|| self.not_http())),
            Err(httparse::Error::TooManyHeaders) => {
                Some(Err(Failure::HeadersTooLarge { limit: Self::LIMIT }))
            }
            Err(_) => Some(Err(self.not_http())),
        }
    }

    fn not_http(&self) -> Failure {
        Failure::NotHttp { got: Excerpt::new(&self.received) }
    }
}

/// Passes if a GET is answered with an accepted status. The body is not read.
pub(super) struct Http {
    path: String,
    host: Option<String>,
    status: RangeInclusive<u16>,
    proxy: Option<ProxyProtocol>,
}

impl Http {
    pub(super) fn new(spec: &HttpSpec) -> Result<Self, CheckError> {
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !spec.path.starts_with('/') || !printable(&spec.path) {
            return Err(CheckError::Path(spec.path.clone()));
        }
        if let Some(host) = &spec.host
            && (host.is_empty() || !printable(host))
        {
            return Err(CheckError::Host(host.clone()));
        }
        let (from, to) = (*spec.status.start(), *spec.status.end());
        if from < 100 || to > 599 || from > to {
            return Err(CheckError::Status { from, to });
        }
        Ok(Self {
            path: spec.path.clone(),
            host: spec.host.clone(),
            status: spec.status.clone(),
            proxy: None,
        })
    }

    /// For a server that expects the PROXY protocol.
    pub(super) const fn with_proxy_protocol(mut self, proxy: Option<ProxyProtocol>) -> Self {
        self.proxy = proxy;
        self
    }

    fn request(&self, target: SocketAddr) -> String {
        let (path, version) = (&self.path, env!("CARGO_PKG_VERSION"));
        let host = self.host.clone().unwrap_or_else(|| target.to_string());
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: piranha/{version}\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        )
    }

    fn judge(&self, got: u16) -> Result<(), Failure> {
        if self.status.contains(&got) {
            Ok(())
        } else {
            Err(Failure::WrongStatus { wanted: self.status.clone(), got })
        }
    }
}

#[async_trait]
impl Check for Http {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        let mut stream = connect(target, &budget).await?;
        introduce(&mut stream, self.proxy, &budget).await?;
        let request = self.request(target);
        budget.spend(Stage::Send, stream.write_all(request.as_bytes())).await?;
        let mut answer = Answer::default();
        let mut piece = [0; 1024];
        loop {
            let stage = match answer.received() {
                0 => Stage::Answer,
                _ => Stage::Rest,
            };
            let read = budget.spend(stage, stream.read(&mut piece)).await?;
            if read == 0 {
                let received = answer.received();
                return Err(Failure::Closed { received });
            }
            if let Some(status) = answer.push(&piece[..read]) {
                close_at_once(&stream);
                return self.judge(status?);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(change: impl FnOnce(&mut HttpSpec)) -> Result<Http, CheckError> {
        let mut spec = HttpSpec::default();
        change(&mut spec);
        Http::new(&spec)
    }

    #[test]
    fn what_no_request_can_carry_is_refused() {
        assert!(spec(|spec| spec.path = "up".into()).is_err());
        assert!(spec(|spec| spec.path = "/ HTTP/1.1\r\nX: y".into()).is_err());
        assert!(spec(|spec| spec.host = Some("a\r\nb".into())).is_err());
        assert!(spec(|spec| spec.host = Some(String::new())).is_err());
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        let empty = spec(|spec| spec.status = 499..=200);
        assert!(empty.is_err());
        assert!(spec(|spec| spec.status = 0..=999).is_err());
    }

    #[test]
    fn the_host_is_the_servers_address_by_default() {
        let request = spec(|_| ()).unwrap().request("[::1]:8080".parse().unwrap());
        assert!(request.starts_with("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n"));
        let named = spec(|spec| spec.host = Some("www.example.org".into())).unwrap();
        let request = named.request("10.0.0.1:80".parse().unwrap());
        assert!(request.contains("\r\nHost: www.example.org\r\n"));
    }

    #[test]
    fn garbage_is_recognised_before_the_line_ends() {
        let mut answer = Answer::default();
        assert!(matches!(answer.push(b"SS"), Some(Err(Failure::NotHttp { .. }))));
        let mut answer = Answer::default();
        assert_eq!(answer.push(b"HT"), None);
        assert!(matches!(answer.push(b"CP"), Some(Err(Failure::NotHttp { .. }))));
    }

    #[test]
    fn headers_without_end_are_bounded() {
        let mut answer = Answer::default();
        assert_eq!(answer.push(b"HTTP/1.1 200 OK\r\nX: "), None);
        let failure = (0..100).find_map(|_| answer.push(&[b'x'; 1000]));
        let limit = Answer::LIMIT;
        assert_eq!(failure, Some(Err(Failure::HeadersTooLarge { limit })));
        assert_eq!(answer.received(), limit);
    }

    proptest! {
        #[test]
        fn how_an_answer_is_cut_into_pieces_does_not_matter(
            answer in prop_oneof![
                "HTTP/1\\.[01] [0-9]{3} [ -~]{0,9}\r?\n(A: [ -~]{0,9}\r?\n){0,4}\r?\n",
                "HTTP/1[ -~\r\n]{0,40}",
                "[ -~\r\n]{0,20}",
            ],
            sizes in proptest::collection::vec(1..9_usize, 1..9),
        ) {
            let whole = Answer::default().push(answer.as_bytes());
            let (mut pieces, mut rest) = (Answer::default(), answer.as_bytes());
            let mut result = None;
            for size in sizes.iter().cycle() {
                let (piece, left) = rest.split_at((*size).min(rest.len()));
                rest = left;
                result = pieces.push(piece);
                if result.is_some() || rest.is_empty() {
                    break;
                }
            }
            let status = |result: Option<Result<u16, Failure>>| result.map(Result::ok);
            prop_assert_eq!(status(result), status(whole));
        }
    }
}

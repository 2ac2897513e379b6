use super::Body;
use super::body::Framing;
use crate::health::{Excerpt, Failure};

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
    /// What came with the end of the headers and had no room.
    rest: Vec<u8>,
    head: Option<Head>,
}

/// Where the headers end, and how the body goes on.
#[derive(Clone, Debug)]
struct Head {
    length: usize,
    framing: Framing,
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
        let (taken, rest) = bytes.split_at(bytes.len().min(room));
        self.received.extend_from_slice(taken);
        if !self.begins_like_http() {
            return Some(Err(self.not_http()));
        }
        if taken.contains(&b'\n')
            && let Some(result) = self.parse()
        {
            self.rest.extend_from_slice(rest);
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

    /// The body, of which at most `limit` bytes are to be kept; empty as long as
    /// [`push`](Self::push) has returned no status. What came of it behind the headers is in it.
    ///
    /// `asked` is whether the request was one whose answer has a body, that is, not `HEAD`.
    #[must_use]
    pub fn into_body(self, asked: bool, limit: usize) -> Body {
        match self.head {
            Some(head) if asked => {
                let mut body = Body::new(head.framing, limit);
                body.push(&self.received[head.length..]);
                body.push(&self.rest);
                body
            }
            _ => Body::new(Framing::Length(0), limit),
        }
    }

    fn begins_like_http(&self) -> bool {
        const MAGIC: &[u8] = b"HTTP/1.";
        self.received.starts_with(MAGIC) || MAGIC.starts_with(&self.received)
    }

    fn parse(&mut self) -> Option<Result<u16, Failure>> {
        let mut headers = [httparse::EMPTY_HEADER; Self::HEADER_LIMIT];
        let mut response = httparse::Response::new(&mut headers);
        let code = match response.parse(&self.received) {
            Ok(httparse::Status::Partial) => return None,
            Ok(httparse::Status::Complete(length)) => {
                let framing = |code| Framing::of(code, response.headers);
                self.head = response.code.map(|code| Head { length, framing: framing(code) });
                response.code
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Some(Err(Failure::HeadersTooLarge { limit: Self::LIMIT }));
            }
            Err(_) => None,
        };
        Some(code.ok_or_else(|| self.not_http()))
    }

    fn not_http(&self) -> Failure {
        Failure::NotHttp { got: Excerpt::new(&self.received) }
    }
}

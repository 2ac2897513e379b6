//! Answers, before and as they are on the wire.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

use super::squeeze::Squeeze;
use crate::web::headers::NO_STORE;
use crate::web::problem::Problem;

/// What is shorter fits into one packet as it is.
const WORTHWHILE: usize = 1200;

/// What an endpoint answers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Reply {
    /// `text` of this media type. Not to be kept in caches, unless [`header`](Self::header) says
    /// otherwise.
    pub(super) fn new(media: &'static str, text: impl Into<Bytes>) -> Self {
        let body = Body::Whole(Some(text.into()));
        let reply = Self { status: StatusCode::OK, headers: HeaderMap::new(), body };
        reply.header("content-type", media).header("cache-control", NO_STORE)
    }

    pub(super) fn html(text: String) -> Self {
        Self::new("text/html; charset=utf-8", text)
    }

    pub(super) fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let text = serde_json::to_vec(value).map_err(Problem::system)?;
        Ok(Self::new("application/json", text))
    }

    /// Something was done, and there is nothing to say about it.
    pub(super) fn done() -> Self {
        let mut reply = Self::new("application/json", Bytes::new());
        reply.headers.remove("content-type");
        reply.status(StatusCode::NO_CONTENT)
    }

    /// Go and GET `location`.
    pub(super) fn see_other(location: &str) -> Self {
        let mut reply = Self::done().status(StatusCode::SEE_OTHER);
        reply.set("location", location);
        reply
    }

    /// A problem, told as JSON.
    pub(super) fn problem(problem: &Problem) -> Self {
        let text = problem.to_json().to_string();
        let reply = Self::new("application/problem+json", text);
        reply.status(StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST))
    }

    pub(super) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets a header field that is known to be well-formed.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        self.headers.insert(name, value);
        self
    }

    /// Sets a header field; leaves it out where the value cannot stand in one.
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    /// The same in gzip (RFC 1952), where that makes it much shorter. What has an entity tag stays
    /// the bytes it is the tag of. A secret beside what a stranger chose could be guessed from the
    /// length; cookies are never sent for a stranger here (`SameSite=Strict`).
    pub(super) fn compressed(mut self) -> Self {
        let text = match &mut self.body {
            Body::Whole(Some(text)) => text,
            Body::Whole(None) => return self,
            Body::Stream(_, squeeze) => {
                *squeeze = Some(Squeeze::default());
                return self.in_gzip();
            }
        };
        if text.len() < WORTHWHILE || self.headers.contains_key("etag") {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory cannot fail.
        if let Ok(()) = encoder.write_all(&*text)
            && let Ok(short) = encoder.finish()
        {
            self.body = Body::Whole(Some(short.into()));
            self = self.in_gzip();
        }
        self
    }

    fn in_gzip(self) -> Self {
        self.header("content-encoding", "gzip").header("vary", "accept-encoding")
    }

    /// As the response, without its body where that was not asked for.
    pub(super) fn into_response(self, without_body: bool) -> Response<Body> {
        let body = if without_body { Body::Whole(None) } else { self.body };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A body: whole, or as it comes.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Option<Bytes>),
    /// In gzip where there is somebody to make it so.
    Stream(mpsc::Receiver<Bytes>, Option<Squeeze>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(chunks, squeeze) => {
                let chunk = ready!(chunks.poll_recv(context));
                let bytes = match (chunk, &mut *squeeze) {
                    (Some(bytes), Some(squeeze)) => Some(squeeze.message(&bytes)),
                    (None, _) => squeeze.take().map(Squeeze::end),
                    (plain, None) => plain,
                };
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(..) => SizeHint::default(),
        }
    }
}

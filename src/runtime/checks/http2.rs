//! One request over HTTP/2, for the checks of web servers and of gRPC.
//!
//! `h2` reads the frames. What it may hold is bounded by the settings it is given, what it may
//! read by [`Bounded`], and how long by the budget of the check; a server that floods it with
//! frames of any kind runs into one of the three.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conversation::{Conversation, Duplex};
use super::network::{self, Budget};
use super::{CheckError, Transcript};
use crate::health::{Failure, HttpSpec, Stage, StatusSet};

/// The most that is taken of the headers of an answer, as for HTTP/1.1.
const HEADERS: u32 = 8192;
/// How far a server may run ahead of what was read.
const WINDOW: u32 = 64 << 10;
/// Headers of HTTP/1.1's connections, which have no place here (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&str; 2] = ["keep-alive", "proxy-connection"];

/// A request, ready but for the address of the server.
pub(super) struct Request {
    method: Method,
    scheme: Scheme,
    authority: Option<Authority>,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
    accepted: StatusSet,
}

/// What came back, with an accepted status.
pub(super) struct Answer {
    body: Vec<u8>,
    /// Headers, and trailers if the body was read to its end.
    fields: HeaderMap,
}

impl Request {
    /// The request of `spec`, which is valid, with this value of the `Authorization` header.
    pub(super) fn new(spec: &HttpSpec, authorization: Option<&str>) -> Result<Self, CheckError> {
        let method = Method::from_bytes(spec.method.as_bytes());
        let authority = spec
            .host
            .as_deref()
            .map(|host| host.parse().map_err(|_invalid| CheckError::Host(host.to_owned())));
        let mut headers = headers(spec)?;
        if let Some(authorization) = authorization {
            let value = HeaderValue::from_str(authorization);
            let mut value = value.map_err(|error| CheckError::Header(error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            method: method.map_err(|_invalid| CheckError::Method(spec.method.clone()))?,
            scheme: if spec.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.transpose()?,
            path: spec.path.parse().map_err(|_invalid| CheckError::Path(spec.path.clone()))?,
            headers,
            body: Bytes::copy_from_slice(&spec.body),
            accepted: spec.status.clone(),
        })
    }

    /// Sends the request on `line` and reads the answer: of its body at most `limit` bytes, and
    /// no more once `enough` says so of what has come.
    pub(super) async fn ask(
        &self,
        line: Conversation,
        limit: usize,
        enough: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Answer, Failure> {
        let request = self.head(line.server())?;
        let (stream, budget, transcript) = line.into_parts();
        let stream = Bounded { stream, left: Conversation::TOTAL };
        let begun = builder().handshake(stream);
        let begun = async { begun.await.map_err(|error| failure(&error)) };
        let (sender, connection) = budget.spend_on(Stage::Send, begun).await?;
        let exchange = Exchange { request: self, budget: &budget, transcript: transcript.as_ref() };
        // The streams hear of the connection's end themselves.
        let drive = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = exchange.run(sender, request, limit, enough) => answer,
            never = drive => never,
        }
    }

    fn head(&self, server: SocketAddr) -> Result<http::Request<()>, Failure> {
        let impossible = |error: http::Error| Failure::Inconclusive(error.to_string());
        let authority = match &self.authority {
            Some(authority) => authority.clone(),
            None => {
                server.to_string().parse().map_err(|error| impossible(http::Error::from(error)))?
            }
        };
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(authority);
        let uri = uri.path_and_query(self.path.clone()).build().map_err(impossible)?;
        let head = http::Request::builder().method(self.method.clone()).uri(uri).body(());
        let mut head = head.map_err(impossible)?;
        head.headers_mut().clone_from(&self.headers);
        Ok(head)
    }
}

impl Answer {
    /// What was read of the body.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The value of a header or trailer; of a trailer first.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name).map(HeaderValue::as_bytes)
    }
}

/// One request and its answer, on a connection that somebody else drives.
struct Exchange<'a> {
    request: &'a Request,
    budget: &'a Budget,
    transcript: Option<&'a Transcript>,
}

impl Exchange<'_> {
    async fn run(
        &self,
        sender: SendRequest<Bytes>,
        head: http::Request<()>,
        limit: usize,
        enough: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Answer, Failure> {
        self.note(|| shown_request(&head, &self.request.body));
        let body = self.request.body.clone();
        let send = async {
            let (answer, mut stream) = sender.ready().await?.send_request(head, body.is_empty())?;
            if !body.is_empty() {
                stream.send_data(body, true)?;
            }
            Ok(answer)
        };
        let answer = self.step(Stage::Send, send).await?;
        let (head, stream) = self.step(Stage::Answer, answer).await?.into_parts();
        self.note(|| format!("HTTP/2 {} {:?}", head.status, head.headers));
        let got = head.status.as_u16();
        if !self.request.accepted.contains(got) {
            return Err(Failure::WrongStatus { wanted: self.request.accepted.clone(), got });
        }
        let answer = Answer { body: Vec::new(), fields: head.headers };
        self.read_body(answer, stream, limit, enough).await
    }

    async fn read_body(
        &self,
        mut answer: Answer,
        mut stream: RecvStream,
        limit: usize,
        enough: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Answer, Failure> {
        while answer.body.len() < limit && !enough(&answer.body) {
            let next = async { stream.data().await.transpose() };
            let Some(piece) = self.step(Stage::Rest, next).await? else {
                let trailers = self.step(Stage::Rest, stream.trailers()).await?;
                self.note(|| format!("the end of the body, {trailers:?}"));
                answer.fields.extend(trailers.unwrap_or_default());
                break;
            };
            // What was taken makes room for more; a connection that is gone says so itself.
            let _ = stream.flow_control().release_capacity(piece.len());
            let taken = piece.len().min(limit - answer.body.len());
            answer.body.extend_from_slice(&piece[..taken]);
            if let Some(transcript) = self.transcript {
                transcript.received(&piece);
            }
        }
        Ok(answer)
    }

    async fn step<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, h2::Error>>,
    ) -> Result<T, Failure> {
        let work = async { work.await.map_err(|error| failure(&error)) };
        self.budget.spend_on(stage, work).await
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if let Some(transcript) = self.transcript {
            transcript.note(text().chars().take(Transcript::MAX_BYTES).collect::<String>());
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(HEADERS)
        .header_table_size(0)
        .max_concurrent_reset_streams(1);
    builder
}

/// The headers of `spec`, with the same defaults as for HTTP/1.1.
fn headers(spec: &HttpSpec) -> Result<HeaderMap, CheckError> {
    let mut headers = HeaderMap::new();
    for header in &spec.headers {
        let refused = || CheckError::Header(format!("HTTP/2 has no `{}`", header.name));
        if OF_CONNECTIONS.contains(&header.name.to_ascii_lowercase().as_str()) {
            return Err(refused());
        }
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_invalid| refused())?;
        let value = HeaderValue::from_str(&header.value).map_err(|_invalid| refused())?;
        headers.append(name, value);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(http::header::USER_AGENT, concat!("piranha/", env!("CARGO_PKG_VERSION")));
    default(http::header::ACCEPT, "*/*");
    if !spec.body.is_empty() {
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(spec.body.len()));
    }
    Ok(headers)
}

/// Secrets are marked as such in the headers, and print so.
fn shown_request(head: &http::Request<()>, body: &[u8]) -> String {
    let (method, uri, headers) = (head.method(), head.uri(), head.headers());
    format!("HTTP/2 {method} {uri} {headers:?} \"{}\"", body.escape_ascii())
}

/// An error of the network as every check has it, one of the protocol in a line.
///
/// A server may say in 16 KiB why it goes.
fn failure(error: &h2::Error) -> Failure {
    match error.get_io() {
        Some(end) if end.kind() == io::ErrorKind::BrokenPipe => {
            Failure::Http2("the connection was closed before the answer was complete".to_owned())
        }
        Some(error) => network::failure(error),
        None => {
            let text = error.to_string();
            let plain = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
            let hint = match error.reason() {
                Some(Reason::FRAME_SIZE_ERROR) if error.is_library() => {
                    " (does the server speak HTTP/2?)"
                }
                _ => "",
            };
            Failure::Http2(plain.take(200).chain(hint.chars()).collect())
        }
    }
}

/// A connection of which so much is read and no more.
struct Bounded {
    stream: Box<dyn Duplex>,
    left: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Ok(()))
            }
            None => {
                let failure = Failure::AnswerTooLarge { limit: Conversation::TOTAL };
                Poll::Ready(Err(io::Error::other(failure)))
            }
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HttpSpec)) -> Result<Request, CheckError> {
        let mut spec = HttpSpec::default();
        change(&mut spec);
        Request::new(&spec, Some("Basic c2VjcmV0"))
    }

    #[test]
    fn what_a_request_over_http2_cannot_carry_is_refused() {
        assert!(request(|spec| spec.path = "/a<b".into()).is_err());
        assert!(request(|spec| spec.host = Some("a/b".into())).is_err());
        let header = |text: &str| vec![text.parse().unwrap()];
        let refused = request(|spec| spec.headers = header("Keep-Alive: timeout=3"));
        assert!(matches!(refused, Err(CheckError::Header(_))));
        assert!(request(|spec| spec.headers = header("te: trailers")).is_ok());
    }

    #[test]
    fn the_authority_is_the_servers_address_by_default_and_secrets_are_not_shown() {
        let server = "[2001:db8::1]:8443".parse().unwrap();
        let plain = request(|spec| spec.path = "/up?deep=1".into()).unwrap();
        let head = plain.head(server).unwrap();
        assert_eq!(head.uri().to_string(), "http://[2001:db8::1]:8443/up?deep=1");
        let shown = shown_request(&head, b"");
        assert!(shown.contains("Sensitive") && !shown.contains("c2VjcmV0"), "{shown}");
        let named = request(|spec| spec.host = Some("shop.example.org".into())).unwrap();
        assert_eq!(named.head(server).unwrap().uri().host(), Some("shop.example.org"));
    }
}

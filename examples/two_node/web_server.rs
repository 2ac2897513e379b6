//! A real server for HTTP: small, strict, and honest about which machine answered.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a greeting that names the server |
//! | `GET /bytes/N` | the `N` bytes of [`Content::of_size`] |
//! | `GET /slow/MS` | the greeting, after `MS` milliseconds |
//!
//! One thread serves one connection; HTTP/1.1 connections stay open until either side closes
//! them. Every answer carries `X-Server: name`, which is how the clients know where the director
//! sent them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::content::Content;
use crate::slots::Slots;

/// The longest request head accepted, request line and fields together.
const HEAD_LIMIT: usize = 8 * 1024;
/// More header fields than any real client sends.
const FIELD_LIMIT: usize = 64;
/// How long a client may take to send a request head; also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one write may block before the client counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections served at once; one more is closed unanswered.
const CONNECTION_LIMIT: usize = 512;
/// The largest body `/bytes/N` streams: 1 GiB.
const BYTES_LIMIT: u64 = 1 << 30;
/// The longest wait `/slow/MS` grants: a minute.
const SLOW_LIMIT: u64 = 60_000;

/// Serves HTTP on `listen` as the server called `name` until the process ends.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn run(listen: SocketAddr, name: &str) -> io::Result<()> {
    serve(&TcpListener::bind(listen)?, name)
}

/// Serves HTTP on a socket that is listening already.
///
/// # Errors
/// When a thread cannot be started.
pub(crate) fn serve(listener: &TcpListener, name: &str) -> io::Result<()> {
    let name: Arc<str> = name.into();
    let slots = Slots::new(CONNECTION_LIMIT);
    for stream in listener.incoming() {
        // A connection can be gone again before it is accepted; that is not the listener's end.
        let Ok(stream) = stream else { continue };
        let Some(slot) = slots.take() else { continue };
        let name = Arc::clone(&name);
        thread::Builder::new().spawn(move || {
            let _slot = slot;
            // Whatever went wrong, the client knows: its connection is closed.
            let _ = Connection::new(stream, &name).and_then(Connection::serve);
        })?;
    }
    Ok(())
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Resource {
    Greeting,
    Bytes(u64),
    Slow(Duration),
}

impl Resource {
    /// The resource under `target`; its query, if any, is ignored.
    fn find(target: &str) -> Option<Self> {
        let path = target.split('?').next()?;
        if path == "/" {
            return Some(Self::Greeting);
        }
        if let Some(count) = path.strip_prefix("/bytes/") {
            return parse_number(count, BYTES_LIMIT).map(Self::Bytes);
        }
        let millis = parse_number(path.strip_prefix("/slow/")?, SLOW_LIMIT)?;
        Some(Self::Slow(Duration::from_millis(millis)))
    }
}

/// A decimal number up to `limit`, digits only: no sign, no blank.
fn parse_number(text: &str, limit: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())??;
    (number <= limit).then_some(number)
}

/// A request, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Request {
    resource: Option<Resource>,
    /// HEAD: the answer's head without its body.
    head_only: bool,
    keep_alive: bool,
}

/// Why a request is refused. The connection is closed after the answer, since where the next
/// request would begin is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refusal {
    /// Not a request at all, or one that HTTP/1.1 (RFC 9112) tells a server to refuse.
    BadRequest,
    /// A method other than GET and HEAD.
    MethodNotAllowed,
    /// A head beyond [`HEAD_LIMIT`] or with more than [`FIELD_LIMIT`] fields.
    HeadTooLarge,
}

impl Refusal {
    fn status(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

/// Reads one request head from the front of `bytes`: the request and the head's length, or `None`
/// while it is not complete.
fn parse_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::BadRequest),
    };
    let head_only = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Refusal::MethodNotAllowed),
    };
    let http_1_1 = head.version == Some(1);
    refuse_ambiguity(head.headers, http_1_1)?;
    let request = Request {
        resource: head.path.and_then(Resource::find),
        head_only,
        keep_alive: keep_alive(head.headers, http_1_1),
    };
    Ok(Some((request, length)))
}

/// Refuses what would leave two readers of the same bytes with different ideas of them: a body on
/// a method that has none, and a missing or doubled Host (RFC 9112, 3.2).
fn refuse_ambiguity(fields: &[httparse::Header<'_>], http_1_1: bool) -> Result<(), Refusal> {
    let count = |name: &str| fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).count();
    let body = fields.iter().any(|field| {
        field.name.eq_ignore_ascii_case("transfer-encoding")
            || field.name.eq_ignore_ascii_case("content-length") && field.value != b"0"
    });
    let hosts = count("host");
    if body || hosts > 1 || (http_1_1 && hosts == 0) {
        return Err(Refusal::BadRequest);
    }
    Ok(())
}

/// Whether the connection stays open after the answer (RFC 9112, 9.3).
fn keep_alive(fields: &[httparse::Header<'_>], http_1_1: bool) -> bool {
    let says = |token: &str| {
        fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("connection"))
            .filter_map(|field| std::str::from_utf8(field.value).ok())
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case(token))
    };
    if http_1_1 { !says("close") } else { says("keep-alive") }
}

/// One client's connection.
struct Connection<'a> {
    stream: TcpStream,
    name: &'a str,
    /// Received but not yet understood: the beginning of the next request.
    pending: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, name: &'a str) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let pending = Vec::new();
        Ok(Self { stream, name, pending })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            match self.next_request()? {
                Some(Ok(request)) => {
                    self.answer(request)?;
                    if !request.keep_alive {
                        return self.close();
                    }
                }
                Some(Err(refusal)) => return self.refuse(refusal),
                None => return Ok(()),
            }
        }
    }

    /// The next request, or `None` once the client has closed its side.
    ///
    /// The deadline is for the whole head: a client that sends a byte now and then must not hold
    /// the thread for ever.
    fn next_request(&mut self) -> io::Result<Option<Result<Request, Refusal>>> {
        let deadline = Instant::now() + HEAD_TIMEOUT;
        loop {
            match parse_request(&self.pending) {
                Ok(Some((request, length))) => {
                    self.pending.drain(..length);
                    return Ok(Some(Ok(request)));
                }
                Ok(None) if self.pending.len() >= HEAD_LIMIT => {
                    return Ok(Some(Err(Refusal::HeadTooLarge)));
                }
                Ok(None) => {}
                Err(refusal) => return Ok(Some(Err(refusal))),
            }
            if self.receive(deadline)? == 0 {
                return Ok(None);
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 2048];
        let count = self.stream.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn answer(&mut self, request: Request) -> io::Result<()> {
        match request.resource {
            None => self.answer_text("404 Not Found", "no such resource", request),
            Some(Resource::Greeting) => self.answer_text("200 OK", "hello", request),
            Some(Resource::Slow(pause)) => {
                thread::sleep(pause);
                self.answer_text("200 OK", "hello, slowly", request)
            }
            Some(Resource::Bytes(count)) => self.answer_bytes(count, request),
        }
    }

    fn answer_text(&mut self, status: &str, words: &str, request: Request) -> io::Result<()> {
        let body = format!("{words} from {}\n", self.name);
        let length = body.len() as u64;
        let mut answer = self.head(status, "text/plain", length, request.keep_alive);
        if !request.head_only {
            answer.push_str(&body);
        }
        // One write, so that the answer is one segment and never seen in halves.
        self.stream.write_all(answer.as_bytes())
    }

    fn answer_bytes(&mut self, count: u64, request: Request) -> io::Result<()> {
        let head = self.head("200 OK", "application/octet-stream", count, request.keep_alive);
        self.stream.write_all(head.as_bytes())?;
        if request.head_only {
            return Ok(());
        }
        let content = Content::of_size(count);
        let mut buffer = vec![0; 64 * 1024];
        let mut sent = 0;
        while sent < count {
            let length = content.fill(sent, &mut buffer);
            self.stream.write_all(&buffer[..length])?;
            sent += length as u64;
        }
        Ok(())
    }

    fn refuse(mut self, refusal: Refusal) -> io::Result<()> {
        let body = format!("{} from {}\n", refusal.status(), self.name);
        let mut answer = self.head(refusal.status(), "text/plain", body.len() as u64, false);
        answer.push_str(&body);
        self.stream.write_all(answer.as_bytes())?;
        self.close()
    }

    fn head(&self, status: &str, kind: &str, length: u64, keep_alive: bool) -> String {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        format!(
            "HTTP/1.1 {status}\r\nServer: two-node\r\nX-Server: {}\r\nAllow: GET, HEAD\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n",
            self.name
        )
    }

    /// Closes so that the client gets the answer: closing with unread bytes in the receive buffer
    /// would reset the connection, and a reset may overtake the answer (RFC 9112, 9.6).
    fn close(self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut rest = (&self.stream).take(64 * 1024);
        io::copy(&mut rest, &mut io::sink()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a server on a free port; its thread lives as long as the test process.
    fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, "web1"));
        address
    }

    fn exchange(server: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn the_answer_names_the_server() {
        let answer = exchange(start(), b"GET / HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nX-Server: web1\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello from web1\n"), "{answer}");
    }

    #[test]
    fn pipelined_requests_are_answered_in_order_on_one_connection() {
        let answer = exchange(
            start(),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
              GET /none HTTP/1.1\r\nHost: a\r\n\r\n\
              HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        );
        let statuses: Vec<&str> = answer.matches("HTTP/1.1 200").collect();
        assert_eq!(statuses.len(), 2, "{answer}");
        assert!(answer.contains("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(answer.ends_with("Connection: close\r\n\r\n"), "{answer}");
    }

    #[test]
    fn rubbish_is_refused_with_400_and_the_connection_closed() {
        let server = start();
        for rubbish in [
            &b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"[..],
            b"HELLO\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            let answer = exchange(server, rubbish);
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        }
    }

    #[test]
    fn an_endless_head_is_cut_off() {
        let mut request = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        request.resize(HEAD_LIMIT + 1, b'x');
        let answer = exchange(start(), &request);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[test]
    fn the_body_of_bytes_is_the_content_of_that_size() {
        let mut stream = TcpStream::connect(start()).unwrap();
        stream.write_all(b"GET /bytes/100000 HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer.len() - body, 100_000);
        assert_eq!(Content::of_size(100_000).first_difference(0, &answer[body..]), None);
    }

    #[test]
    fn numbers_out_of_range_or_odd_are_no_resource() {
        assert_eq!(Resource::find("/bytes/0"), Some(Resource::Bytes(0)));
        assert_eq!(Resource::find("/slow/5?x=/"), Some(Resource::Slow(Duration::from_millis(5))));
        for target in ["", "*", "/x", "/bytes/", "/bytes/-1", "/bytes/+1", "/bytes/1073741825"] {
            assert_eq!(Resource::find(target), None, "{target}");
        }
    }
}

//! The HTTP check: one request, judged by the status of the answer and, where that is asked for,
//! by its body.
//!
//! Of HTTP/1.1 `httparse` reads the headers, within 8 KiB, and of HTTP/2 `h2` the frames; a whole
//! HTTP client would bring connection reuse, redirects and tasks that a check has no use for.

mod answer;
mod body;
mod wanted;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

pub use answer::Answer;
pub use body::Body;
use wanted::Wanted;
pub use wanted::judge_json;

use super::conversation::Conversation;
use super::network::Budget;
use super::tls::Tls;
use super::{CheckError, Dialer, base64, http2, secret};
use crate::health::{Check, Failure, HttpSpec, HttpVersion};

/// Passes if a request is answered with an accepted status and body.
pub(in crate::runtime) struct Http {
    spec: HttpSpec,
    /// The value of the `Authorization` header.
    authorization: Option<String>,
    wanted: Option<Wanted>,
    /// The request, where HTTP/2 is to be spoken.
    http2: Option<http2::Request>,
    tls: Option<Tls>,
    dialer: Dialer,
}

impl Http {
    pub(in crate::runtime) fn new(spec: &HttpSpec, dialer: Dialer) -> Result<Self, CheckError> {
        validate(spec)?;
        let login = spec.auth.as_deref().map(secret::read_login).transpose()?;
        let authorization = login.map(|login| {
            let plain = format!("{}:{}", login.user, login.password);
            format!("Basic {}", base64::encode(plain.as_bytes()))
        });
        let host = spec.host.as_deref().map(without_port);
        let mut tls = spec.tls.as_ref().map(|tls| Tls::new(tls, host)).transpose()?;
        let mut http2 = None;
        if spec.version == HttpVersion::Http2 {
            http2 = Some(http2::Request::new(spec, authorization.as_deref())?);
            tls = tls.map(Tls::over_http2);
        }
        let wanted = Wanted::new(spec)?;
        Ok(Self { spec: spec.clone(), authorization, wanted, http2, tls, dialer })
    }

    /// With another value of the `Authorization` header, over HTTP/1.1.
    pub(in crate::runtime) fn with_authorization(self, authorization: Option<String>) -> Self {
        Self { authorization, ..self }
    }

    /// The request with the given value of the `Authorization` header, if there is to be one.
    fn request(&self, target: SocketAddr, authorization: Option<&str>) -> Vec<u8> {
        let HttpSpec { method, path, body, .. } = &self.spec;
        let host = self.spec.host.clone().unwrap_or_else(|| target.to_string());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        let mut add = |name: &str, value: &str| {
            head.extend([name, ": ", value, "\r\n"]);
        };
        let own = self.spec.headers.iter();
        own.for_each(|header| add(&header.name, &header.value));
        let mut default = |name: &str, value: &str| {
            let mut own = self.spec.headers.iter();
            if !own.any(|header| header.name.eq_ignore_ascii_case(name)) {
                add(name, value);
            }
        };
        default("User-Agent", concat!("piranha/", env!("CARGO_PKG_VERSION")));
        default("Accept", "*/*");
        if let Some(authorization) = authorization {
            add("Authorization", authorization);
        }
        if !body.is_empty() {
            add("Content-Length", &body.len().to_string());
        }
        add("Connection", "close");
        [head.as_bytes(), b"\r\n", body].concat()
    }

    async fn ask(&self, line: &mut Conversation) -> Result<(), Failure> {
        let server = line.server();
        let request = self.request(server, self.authorization.as_deref());
        let shown = self.request(server, self.authorization.as_ref().map(|_| "(secret)"));
        line.send_shown_as(&request, &shown).await?;
        let answer = self.headers(line).await?;
        match &self.wanted {
            None => Ok(()),
            Some(wanted) => self.body(line, answer, wanted).await,
        }
    }

    async fn ask_over_http2(
        &self,
        request: &http2::Request,
        line: Conversation,
    ) -> Result<(), Failure> {
        let Some(wanted) = &self.wanted else {
            return request.ask(line, 0, &mut |_| true).await.map(drop);
        };
        let mut search = wanted.search();
        let limit = self.spec.body_limit;
        let answer = request.ask(line, limit, &mut |body| search.is_settled(body)).await?;
        wanted.judge(answer.body(), limit)
    }

    async fn headers(&self, line: &mut Conversation) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        loop {
            if line.read_more().await? == 0 {
                return Err(Failure::Closed { received: answer.received() });
            }
            let Some(status) = answer.push(&line.take_pending()) else {
                continue;
            };
            let got = status?;
            return match self.spec.status.contains(got) {
                true => Ok(answer),
                false => Err(Failure::WrongStatus { wanted: self.spec.status.clone(), got }),
            };
        }
    }

    /// Reads until what is wanted has come, or the body is at its end or limit.
    async fn body(
        &self,
        line: &mut Conversation,
        answer: Answer,
        wanted: &Wanted,
    ) -> Result<(), Failure> {
        let mut body = answer.into_body(self.spec.method != "HEAD", self.spec.body_limit);
        let mut search = wanted.search();
        while !body.is_complete() && !search.is_settled(body.kept()) {
            if line.read_more().await? == 0 {
                break;
            }
            body.push(&line.take_pending());
        }
        wanted.judge(body.kept(), self.spec.body_limit)
    }
}

#[async_trait]
impl Check for Http {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let mut line = self.dialer.converse(target, Budget::new(limit)).await?;
        if let Some(tls) = &self.tls {
            line = line.start_tls(tls).await?;
        }
        if let Some(request) = &self.http2 {
            return self.ask_over_http2(request, line).await;
        }
        let verdict = self.ask(&mut line).await;
        line.close();
        verdict
    }
}

fn validate(spec: &HttpSpec) -> Result<(), CheckError> {
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let method = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if spec.method.is_empty() || !spec.method.bytes().all(method) || spec.method == "CONNECT" {
        return Err(CheckError::Method(spec.method.clone()));
    }
    if !spec.path.starts_with('/') || !printable(&spec.path) {
        return Err(CheckError::Path(spec.path.clone()));
    }
    if let Some(host) = &spec.host
        && (host.is_empty() || !printable(host))
    {
        return Err(CheckError::Host(host.clone()));
    }
    for header in &spec.headers {
        let line = format!("{}: {}", header.name, header.value);
        line.parse::<crate::health::Header>().map_err(CheckError::Header)?;
    }
    for expect in &spec.json {
        crate::health::JsonExpect::new(&expect.pointer, &expect.value).map_err(CheckError::Json)?;
    }
    if spec.body_limit > HttpSpec::BODY_MAX {
        return Err(CheckError::BodyLimit { limit: HttpSpec::BODY_MAX });
    }
    Ok(())
}

/// The name or address in a `Host` header.
fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(change: impl FnOnce(&mut HttpSpec)) -> Result<Http, CheckError> {
        let mut spec = HttpSpec::default();
        change(&mut spec);
        Http::new(&spec, Dialer::default())
    }

    #[test]
    fn what_no_request_can_carry_is_refused() {
        assert!(spec(|spec| spec.path = "up".into()).is_err());
        assert!(spec(|spec| spec.path = "/ HTTP/1.1\r\nX: y".into()).is_err());
        assert!(spec(|spec| spec.host = Some("a\r\nb".into())).is_err());
        assert!(spec(|spec| spec.host = Some(String::new())).is_err());
        assert!(spec(|spec| spec.method = "GET / HTTP/1.1\r\nX:".into()).is_err());
        assert!(spec(|spec| spec.body_limit = usize::MAX).is_err());
    }

    fn request(http: &Http, target: &str) -> String {
        String::from_utf8(http.request(target.parse().unwrap(), None)).unwrap()
    }

    #[test]
    fn the_host_is_the_servers_address_by_default() {
        let plain = request(&spec(|_| ()).unwrap(), "[::1]:8080");
        assert!(plain.starts_with("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n"));
        let named = spec(|spec| spec.host = Some("www.example.org".into())).unwrap();
        assert!(request(&named, "10.0.0.1:80").contains("\r\nHost: www.example.org\r\n"));
    }

    #[test]
    fn a_name_is_told_from_its_port() {
        let names = ["www.example.org", "www.example.org:8443", "[2001:db8::1]:443", "10.0.0.1"];
        let plain = names.map(without_port);
        assert_eq!(plain, ["www.example.org", "www.example.org", "2001:db8::1", "10.0.0.1"]);
    }

    #[test]
    fn headers_and_body_are_sent_and_defaults_give_way() {
        let post = spec(|spec| {
            (spec.method, spec.body) = ("POST".into(), b"{}".to_vec());
            spec.headers = vec!["user-agent: probe".parse().unwrap()];
        });
        assert_eq!(
            request(&post.unwrap(), "10.0.0.1:80"),
            "POST / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nuser-agent: probe\r\nAccept: */*\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{}"
        );
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

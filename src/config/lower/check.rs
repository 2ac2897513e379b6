//! Which check a `virtual` block asks for.

use super::fields::Fields;
use super::{Code, Context, Diagnostic, Directive};
use crate::config::model::Virtual;
use crate::config::value::Value;
use crate::health::{CheckSpec, Expect, HttpSpec, decode_escapes};
use crate::net::Protocol;

const HTTP: [Directive; 3] = [Directive::HttpPath, Directive::HttpHost, Directive::HttpStatus];

impl Context<'_> {
    /// The check of `service`. As in 0.8.6 a service on TCP port 80 that says nothing about its
    /// check gets an HTTP check, and every other one a connect check.
    pub(super) fn check(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        let text = [Directive::Send, Directive::Expect]
            .into_iter()
            .find(|&directive| fields.payload(directive).is_some());
        let http = HTTP.into_iter().find(|&directive| fields.mentions(directive));
        let tcp = service.protocol == Protocol::Tcp;
        match (fields.choice(Directive::Check), text, http) {
            (Some(kind @ ("connect" | "http")), ..) if !tcp => self.needs_tcp(fields, kind),
            (Some("connect"), ..) => {
                self.ignored(fields, "connect", text.into_iter().chain(http));
                CheckSpec::Connect
            }
            (Some("http"), ..) => {
                self.ignored(fields, "http", text);
                self.http(fields)
            }
            (Some(_), text, http) => {
                self.ignored(fields, "send", http);
                if text.is_none() {
                    self.nothing_to_send(fields);
                }
                self.send_expect(fields)
            }
            (None, Some(text), Some(http)) => self.contradiction(fields, text, http),
            (None, Some(_), None) => self.send_expect(fields),
            (None, None, Some(_)) if tcp => self.http(fields),
            (None, None, _) if !tcp => self.silent_udp(fields, service),
            (None, None, _) if service.port == 80 && says_nothing(fields) => self.http(fields),
            (None, None, _) => CheckSpec::Connect,
        }
    }

    fn send_expect(&mut self, fields: &Fields) -> CheckSpec {
        let send = decode_escapes(fields.payload(Directive::Send).unwrap_or_default());
        let expect = fields.payload(Directive::Expect).map(decode_escapes);
        let regex = fields.boolean(Directive::UseRegex).unwrap_or(false);
        let expect = match expect {
            None => Expect::Nothing,
            Some(bytes) if regex => match String::from_utf8(bytes) {
                Ok(pattern) => Expect::Regex(pattern),
                Err(_) => {
                    let message = "a regular expression must be UTF-8";
                    self.report_at(fields, Directive::Expect, Code::InvalidText, message);
                    Expect::Nothing
                }
            },
            Some(bytes) if bytes == b"*" => Expect::Anything,
            Some(bytes) => Expect::Prefix(bytes),
        };
        CheckSpec::SendExpect { send, expect }
    }

    fn http(&mut self, fields: &Fields) -> CheckSpec {
        let mut http = HttpSpec::default();
        if let Some(path) = fields.text(Directive::HttpPath) {
            if !path.starts_with('/') {
                let span = fields.value_span(Directive::HttpPath).unwrap_or_default();
                let message = "the path of an HTTP check begins with `/`";
                self.report(
                    Diagnostic::new(Code::InvalidText, span, message)
                        .help(format!("write `http_path = /{path}`")),
                );
            }
            http.path = path;
        }
        http.host = fields.text(Directive::HttpHost);
        if let Some(Value::Status(status)) = fields.special(Directive::HttpStatus) {
            http.status = status.clone();
        }
        CheckSpec::Http(http)
    }

    /// UDP has no connection to make: a check without `send` waits for an answer to nothing.
    fn silent_udp(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        if service.active && fields.payload(Directive::SendProgram).is_none() {
            let message =
                "this UDP service has no `send`: its check waits for an answer to nothing";
            self.report(
                Diagnostic::new(Code::SilentUdpCheck, service.span, message)
                    .help("set `send` to something the real servers answer"),
            );
        }
        self.send_expect(fields)
    }

    fn needs_tcp(&mut self, fields: &Fields, kind: &str) -> CheckSpec {
        let message = format!("`check = {kind}` needs `protocol = tcp`");
        let directive = Directive::Check;
        self.report_at(fields, directive, Code::ContradictoryCheck, message);
        CheckSpec::Connect
    }

    fn nothing_to_send(&mut self, fields: &Fields) {
        let span = fields.span(Directive::Check).unwrap_or_default();
        let message = "`check = send` needs `send` or `expect`";
        self.report(
            Diagnostic::new(Code::ContradictoryCheck, span, message)
                .help("write `check = connect` if a connection is enough"),
        );
    }

    fn contradiction(&mut self, fields: &Fields, text: Directive, http: Directive) -> CheckSpec {
        let span = fields.span(http).unwrap_or_default();
        let message = format!("`{http}` and `{text}` ask for different checks");
        self.report(
            Diagnostic::new(Code::ContradictoryCheck, span, message)
                .related(fields.span(text).unwrap_or_default(), format!("`{text}` is here"))
                .help("say which with `check = http` or `check = send`"),
        );
        CheckSpec::Connect
    }

    fn ignored(
        &mut self,
        fields: &Fields,
        kind: &str,
        directives: impl IntoIterator<Item = Directive>,
    ) {
        for directive in directives {
            let message = format!("`{directive}` has no effect with `check = {kind}`");
            self.report_at(fields, directive, Code::CheckTextIgnored, message);
        }
    }
}

/// Whether a block has no directive about its check at all. An empty `send` is one.
fn says_nothing(fields: &Fields) -> bool {
    let about = [Directive::Send, Directive::Expect, Directive::SendProgram];
    !about.iter().any(|&directive| fields.mentions(directive))
}

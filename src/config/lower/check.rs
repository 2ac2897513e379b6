//! Which check a `virtual` block asks for.

mod http;
mod path;
mod text;
mod tls;

use super::fields::Fields;
use super::{Code, Context, Diagnostic, Directive};
use crate::config::model::Virtual;
use crate::health::CheckSpec;
use crate::net::Protocol;

use Directive::{
    CheckAuth, Expect, HttpBody, HttpExpect, HttpHeader, HttpHost, HttpLimit, HttpMethod, HttpPath,
    HttpStatus, Send, SendProgram, TlsCa, TlsCertificate, TlsExpiryWarning, TlsKey, TlsName,
    TlsPin, TlsVerify,
};

const TEXT: &[Directive] = &[Send, Expect];
const HTTP: &[Directive] =
    &[HttpPath, HttpHost, HttpStatus, HttpMethod, HttpHeader, HttpBody, HttpExpect, HttpLimit];
const TLS: &[Directive] =
    &[TlsName, TlsCa, TlsPin, TlsCertificate, TlsKey, TlsVerify, TlsExpiryWarning];
const LOGIN: &[Directive] = &[CheckAuth];
const PROGRAM: &[Directive] = &[SendProgram];

/// Every directive that only some kinds of checks take.
const PARTICULAR: [&[Directive]; 5] = [TEXT, HTTP, TLS, LOGIN, PROGRAM];

/// Which of them a kind of check takes.
fn taken_by(kind: &str) -> &'static [&'static [Directive]] {
    match kind {
        "send" => &[TEXT],
        "http" => &[HTTP, LOGIN],
        "https" => &[HTTP, LOGIN, TLS],
        "tls" => &[TLS],
        _ => &[],
    }
}

/// Checks that need a TCP service.
const OVER_TCP: [&str; 4] = ["connect", "http", "https", "tls"];

impl Context<'_> {
    /// The check of `service`.
    pub(super) fn check(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        let Some(kind) = self.kind(fields, service) else {
            return CheckSpec::Connect;
        };
        let connects = kind == "connect" && service.protocol == Protocol::Sctp;
        if service.protocol != Protocol::Tcp && OVER_TCP.contains(&kind) && !connects {
            return self.needs_tcp(fields, kind);
        }
        self.ignored(fields, kind);
        match kind {
            "http" => self.http(fields, None),
            "https" => {
                let tls = self.tls(fields);
                self.http(fields, Some(tls))
            }
            "tls" => CheckSpec::Tls(self.tls(fields)),
            "send" => self.send_expect(fields, service),
            _ => CheckSpec::Connect,
        }
    }

    /// The kind of check: the one asked for, or what the other directives are about. As in 0.8.6
    /// a service on TCP port 80 that says nothing about its check gets an HTTP check, and every
    /// other one a connect check.
    fn kind(&mut self, fields: &Fields, service: &Virtual) -> Option<&'static str> {
        if let Some(kind) = fields.choice(Directive::Check) {
            return Some(kind);
        }
        let tcp = service.protocol == Protocol::Tcp;
        let text = TEXT.iter().find(|&&directive| fields.payload(directive).is_some());
        let http = HTTP.iter().find(|&&directive| fields.mentions(directive));
        match (text, http) {
            (Some(&text), Some(&http)) => {
                self.contradiction(fields, text, http);
                None
            }
            (Some(_), None) => Some("send"),
            (None, Some(_)) if tcp => Some("http"),
            (None, _) if service.protocol == Protocol::Udp => Some("send"),
            (None, _) if tcp && service.port == 80 && says_nothing(fields) => Some("http"),
            (None, _) => Some("connect"),
        }
    }

    fn needs_tcp(&mut self, fields: &Fields, kind: &str) -> CheckSpec {
        let message = format!("`check = {kind}` needs `protocol = tcp`");
        let directive = Directive::Check;
        self.report_at(fields, directive, Code::ContradictoryCheck, message);
        CheckSpec::Connect
    }

    fn contradiction(&mut self, fields: &Fields, text: Directive, http: Directive) {
        let span = fields.span(http).unwrap_or_default();
        let message = format!("`{http}` and `{text}` ask for different checks");
        self.report(
            Diagnostic::new(Code::ContradictoryCheck, span, message)
                .related(fields.span(text).unwrap_or_default(), format!("`{text}` is here"))
                .help("say which with `check = http` or `check = send`"),
        );
    }

    /// Warns of directives that belong to another kind of check.
    fn ignored(&mut self, fields: &Fields, kind: &str) {
        let chosen = fields.choice(Directive::Check).is_some();
        let taken = taken_by(kind);
        for directive in PARTICULAR.iter().filter(|group| !taken.contains(group)).copied().flatten()
        {
            let directive = *directive;
            let there = fields.special(directive).is_some() && !fields.is_empty(directive);
            // An external check is never replaced by another one unless `check` asks for that.
            if there && (chosen || directive != SendProgram) {
                let message = format!("`{directive}` has no effect with `check = {kind}`");
                self.report_at(fields, directive, Code::CheckTextIgnored, message);
            }
        }
    }
}

/// Whether a block has no directive about its check at all. An empty `send` is one.
fn says_nothing(fields: &Fields) -> bool {
    let mut about = TEXT.iter().chain(PROGRAM);
    !about.any(|&directive| fields.mentions(directive))
}

//! Which check a `virtual` block asks for.

mod application;
mod grpc;
mod http;
mod path;
mod program;
mod radius;
mod text;
mod tls;

use super::fields::Fields;
use super::{Code, Context, Diagnostic, Directive};
use crate::config::model::Virtual;
use crate::health::{Application, CheckSpec};
use crate::net::Protocol;
use application::dns;

use Directive::{
    CheckAuth, CheckTls, CheckUser, DnsExpect, DnsName, DnsType, Expect, ExpectHex, GrpcService,
    HttpBody, HttpExpect, HttpHeader, HttpHost, HttpJson, HttpLimit, HttpMethod, HttpPath,
    HttpStatus, HttpVersion, RadiusSecret, Send, SendHex, SendProgram, TlsCa, TlsCertificate,
    TlsExpiryWarning, TlsKey, TlsName, TlsPin, TlsVerify,
};

const SEND: &[Directive] = &[Send, SendHex, ExpectHex];
const EXPECT: &[Directive] = &[Expect];
const PROGRAM: &[Directive] = &[SendProgram, CheckUser];
const HTTP: &[Directive] = &[
    HttpVersion,
    HttpPath,
    HttpHost,
    HttpStatus,
    HttpMethod,
    HttpHeader,
    HttpBody,
    HttpExpect,
    HttpJson,
    HttpLimit,
];
const TLS: &[Directive] =
    &[TlsName, TlsCa, TlsPin, TlsCertificate, TlsKey, TlsVerify, TlsExpiryWarning];
const DNS: &[Directive] = &[DnsName, DnsType, DnsExpect];
const GRPC: &[Directive] = &[GrpcService];
const RADIUS: &[Directive] = &[RadiusSecret];
const SECURITY: &[Directive] = &[CheckTls];
const LOGIN: &[Directive] = &[CheckAuth];

/// Every directive that only some kinds of checks take.
const PARTICULAR: [&[Directive]; 10] =
    [SEND, EXPECT, PROGRAM, HTTP, TLS, DNS, GRPC, RADIUS, SECURITY, LOGIN];

/// Which of them a kind of check takes.
fn taken_by(kind: &str, fields: &Fields) -> &'static [&'static [Directive]] {
    let application = Application::from_name(kind);
    let secure = fields.choice(CheckTls).is_some_and(|security| security != "off");
    match (kind, application.map(Application::has_login)) {
        ("send" | "udp", _) => &[SEND, EXPECT],
        ("http", _) => &[HTTP, LOGIN],
        ("https", _) => &[HTTP, LOGIN, TLS],
        ("tls", _) => &[TLS],
        ("dns", _) => &[DNS],
        ("grpc", _) if secure => &[GRPC, SECURITY, TLS],
        ("grpc", _) => &[GRPC, SECURITY],
        ("radius", _) => &[RADIUS, LOGIN],
        ("program", _) => &[PROGRAM, EXPECT],
        (_, Some(true)) if secure => &[SECURITY, LOGIN, TLS],
        (_, Some(true)) => &[SECURITY, LOGIN],
        (_, Some(false)) if secure => &[SECURITY, TLS],
        (_, Some(false)) => &[SECURITY],
        _ => &[],
    }
}

/// Whether a kind of check can only be made of a TCP service.
fn is_over_tcp(kind: &str) -> bool {
    let application = Application::from_name(kind);
    matches!(kind, "connect" | "http" | "https" | "tls" | "grpc")
        || application.is_some_and(|application| application != Application::Sip)
}

impl Context<'_> {
    /// The check of `service`.
    pub(super) fn check(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        let Some(kind) = self.kind(fields, service) else {
            return CheckSpec::Connect;
        };
        let connects = kind == "connect" && service.protocol == Protocol::Sctp;
        if service.protocol != Protocol::Tcp && is_over_tcp(kind) && !connects {
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
            "udp" => self.datagram(fields, service),
            "icmp" => CheckSpec::Ping,
            "dns" => dns(fields),
            "radius" => self.radius(fields),
            "grpc" => self.grpc(fields),
            "program" => self.program(fields),
            other => match Application::from_name(other) {
                Some(application) => self.application(fields, service, application),
                None => CheckSpec::Connect,
            },
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
        if fields.payload(SendProgram).is_some() {
            return Some("program");
        }
        let mut text = SEND.iter().chain(EXPECT);
        let text = text.find(|&&one| fields.mentions(one) && !fields.is_empty(one));
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
        let taken = taken_by(kind, fields);
        for directive in PARTICULAR.iter().filter(|group| !taken.contains(group)).copied().flatten()
        {
            let directive = *directive;
            if fields.special(directive).is_some() && !fields.is_empty(directive) {
                let message = format!("`{directive}` has no effect with `check = {kind}`");
                self.report_at(fields, directive, Code::CheckTextIgnored, message);
            }
        }
    }
}

/// Whether a block has no directive about its check at all. An empty `send` is one.
fn says_nothing(fields: &Fields) -> bool {
    let mut about = [Send, Expect, SendProgram].into_iter();
    !about.any(|directive| fields.mentions(directive))
}

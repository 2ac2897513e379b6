use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::config::model::Virtual;
use crate::config::value::Value;
use crate::health::{CheckSpec, Expect, decode_escapes};
use crate::net::Protocol;

impl Context<'_> {
    pub(super) fn send_expect(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        let (send, expect) = self.texts(fields, service);
        CheckSpec::SendExpect { send, expect }
    }

    pub(super) fn datagram(&mut self, fields: &Fields, service: &Virtual) -> CheckSpec {
        let (send, expect) = self.texts(fields, service);
        CheckSpec::Datagram { send, expect }
    }

    fn texts(&mut self, fields: &Fields, service: &Virtual) -> (Vec<u8>, Expect) {
        let send = decode_escapes(fields.payload(Directive::Send).unwrap_or_default());
        let send = self.sent_bytes(fields).unwrap_or(send);
        let expect = match fields.special(Directive::ExpectHex) {
            Some(Value::Hex(pattern)) => Expect::Pattern(pattern.clone()),
            _ => self.expect(fields, Expect::Prefix),
        };
        if send.is_empty() && expect == Expect::Nothing {
            self.nothing_to_send(fields, service);
        }
        (send, expect)
    }

    /// `send_hex`, in which no byte may be left open.
    fn sent_bytes(&mut self, fields: &Fields) -> Option<Vec<u8>> {
        let Some(Value::Hex(pattern)) = fields.special(Directive::SendHex) else {
            return None;
        };
        let exact = pattern.exact();
        if exact.is_none() {
            let message = "`??` cannot be sent";
            self.report_at(fields, Directive::SendHex, Code::InvalidText, message);
        }
        exact
    }

    /// What `expect` wants, an expression with `use_regex`.
    ///
    /// `plain` makes what it is without: the beginning of an answer, or all of it.
    pub(super) fn expect(&mut self, fields: &Fields, plain: fn(Vec<u8>) -> Expect) -> Expect {
        let expect = fields.payload(Directive::Expect).map(decode_escapes);
        let regex = fields.boolean(Directive::UseRegex).unwrap_or(false);
        match expect {
            None => Expect::Nothing,
            Some(bytes) if regex => self
                .pattern(fields, Directive::Expect, bytes)
                .map_or(Expect::Nothing, Expect::Regex),
            Some(bytes) if bytes == b"*" => Expect::Anything,
            Some(bytes) => plain(bytes),
        }
    }

    /// A regular expression in `directive`.
    pub(super) fn pattern(
        &mut self,
        fields: &Fields,
        directive: Directive,
        bytes: Vec<u8>,
    ) -> Option<String> {
        let Ok(pattern) = String::from_utf8(bytes) else {
            let message = "a regular expression must be UTF-8";
            self.report_at(fields, directive, Code::InvalidText, message);
            return None;
        };
        if let Err(problem) = self.surroundings.check_pattern(&pattern) {
            let message = format!("this regular expression cannot be used: {problem}");
            self.report_at(fields, directive, Code::InvalidRegex, message);
        }
        Some(pattern)
    }

    /// UDP has no connection to make: a check without `send` waits for an answer to nothing.
    fn nothing_to_send(&mut self, fields: &Fields, service: &Virtual) {
        if fields.choice(Directive::Check).is_some() {
            let span = fields.span(Directive::Check).unwrap_or_default();
            let kind = fields.choice(Directive::Check).unwrap_or_default();
            let message = format!("`check = {kind}` needs `send` or `expect`");
            self.report(
                Diagnostic::new(Code::ContradictoryCheck, span, message)
                    .help("write `check = connect` if a connection is enough"),
            );
        } else if service.active && service.protocol == Protocol::Udp {
            let message =
                "this UDP service has no `send`: its check waits for an answer to nothing";
            self.report(
                Diagnostic::new(Code::SilentUdpCheck, service.span, message)
                    .help("set `send` to something the real servers answer"),
            );
        }
    }
}

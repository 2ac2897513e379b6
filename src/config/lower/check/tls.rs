use std::path::PathBuf;

use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::config::value::Value;
use crate::health::{Identity, TlsSpec};

impl Context<'_> {
    /// The `tls_` directives.
    pub(super) fn tls(&mut self, fields: &Fields) -> TlsSpec {
        let path = |directive| fields.text(directive).map(PathBuf::from);
        let defaults = TlsSpec::default();
        let tls = TlsSpec {
            name: fields.text(Directive::TlsName),
            ca: path(Directive::TlsCa),
            pins: match fields.special(Directive::TlsPin) {
                Some(Value::Pins(pins)) => pins.clone(),
                _ => defaults.pins,
            },
            identity: path(Directive::TlsCertificate).map(|certificate| {
                let key = path(Directive::TlsKey).unwrap_or_else(|| certificate.clone());
                Identity::new(certificate, key)
            }),
            verify: fields.boolean(Directive::TlsVerify).unwrap_or(defaults.verify),
            expiry_warning: fields
                .duration(Directive::TlsExpiryWarning)
                .unwrap_or(defaults.expiry_warning),
        };
        self.doubtful_tls(fields, &tls);
        tls
    }

    fn doubtful_tls(&mut self, fields: &Fields, tls: &TlsSpec) {
        if tls.identity.is_none() && fields.mentions(Directive::TlsKey) {
            let message = "`tls_key` has no effect without `tls_certificate`";
            self.report_at(fields, Directive::TlsKey, Code::CheckTextIgnored, message);
        }
        if tls.verify {
            return;
        }
        if tls.ca.is_some() {
            let message = "`tls_ca` has no effect with `tls_verify = 0`";
            self.report_at(fields, Directive::TlsCa, Code::CheckTextIgnored, message);
        }
        if tls.pins.is_empty() {
            let span = fields.span(Directive::TlsVerify).unwrap_or_default();
            let message = "this check takes any certificate, an attacker's too";
            self.report(
                Diagnostic::new(Code::TlsNotVerified, span, message)
                    .help("name a private CA with `tls_ca`, or the server's key with `tls_pin`"),
            );
        }
    }
}

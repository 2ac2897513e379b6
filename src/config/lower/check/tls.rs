use std::path::PathBuf;

use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::config::value::Value;
use crate::health::{Identity, TlsSpec};

impl Context<'_> {
    /// The `tls_` directives.
    pub(super) fn tls(&mut self, fields: &Fields) -> TlsSpec {
        let path = |directive| fields.text(directive).map(PathBuf::from);
        let mut tls = TlsSpec::default();
        tls.name = fields.text(Directive::TlsName);
        tls.ca = path(Directive::TlsCa);
        if let Some(Value::Pins(pins)) = fields.special(Directive::TlsPin) {
            tls.pins.clone_from(pins);
        }
        tls.identity = path(Directive::TlsCertificate).map(|certificate| {
            let key = path(Directive::TlsKey).unwrap_or_else(|| certificate.clone());
            Identity::new(certificate, key)
        });
        tls.verify = fields.boolean(Directive::TlsVerify).unwrap_or(true);
        let warning = fields.duration(Directive::TlsExpiryWarning);
        tls.expiry_warning = warning.unwrap_or(tls.expiry_warning);
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

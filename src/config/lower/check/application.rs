use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Directive};
use crate::config::model::Virtual;
use crate::health::{Application, ApplicationSpec, CheckSpec, DnsSpec, Security};
use crate::net::Protocol;

impl Context<'_> {
    pub(super) fn application(
        &mut self,
        fields: &Fields,
        service: &Virtual,
        application: Application,
    ) -> CheckSpec {
        let security = match fields.choice(Directive::CheckTls) {
            Some("on") => Security::Tls(self.tls(fields)),
            Some("starttls") => Security::StartTls(self.tls(fields)),
            _ => Security::Clear,
        };
        let name = application.name();
        let problem = match security {
            Security::StartTls(_) if !application.has_starttls() => {
                Some(format!("`{name}` cannot turn TLS on in the middle: write `check_tls = on`"))
            }
            Security::Clear => None,
            _ if service.protocol != Protocol::Tcp => Some(format!("`{name}` over UDP has no TLS")),
            _ => None,
        };
        if let Some(message) = problem {
            self.report_at(fields, Directive::CheckTls, Code::ContradictoryCheck, message);
        }
        let auth = application.has_login().then(|| fields.text(Directive::CheckAuth)).flatten();
        let spec = ApplicationSpec::new(application).with_security(security);
        CheckSpec::Application(spec.with_auth(auth.map(Into::into)))
    }
}

/// The question of a DNS check.
pub(super) fn dns(fields: &Fields) -> CheckSpec {
    let defaults = DnsSpec::default();
    CheckSpec::Dns(DnsSpec {
        name: fields.text(Directive::DnsName).unwrap_or(defaults.name),
        record: fields.text(Directive::DnsType).unwrap_or(defaults.record),
        expect: fields.text(Directive::DnsExpect),
    })
}

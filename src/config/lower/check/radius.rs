use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::health::{CheckSpec, RadiusSpec};

impl Context<'_> {
    pub(super) fn radius(&mut self, fields: &Fields) -> CheckSpec {
        let Some(secret) = fields.text(Directive::RadiusSecret) else {
            let span = fields.span(Directive::Check).unwrap_or_default();
            let message = "`check = radius` needs `radius_secret`";
            self.report(
                Diagnostic::new(Code::ContradictoryCheck, span, message)
                    .help("name a file with the secret the servers know this director by"),
            );
            return CheckSpec::Connect;
        };
        let auth = fields.text(Directive::CheckAuth).map(Into::into);
        CheckSpec::Radius(RadiusSpec::new(secret.into()).with_auth(auth))
    }
}

use crate::config::Directive;
use crate::config::lower::Context;
use crate::config::lower::fields::Fields;
use crate::health::CheckPath;
use crate::net::FirewallMark;

impl Context<'_> {
    /// How the checks of a service reach its servers.
    pub(in crate::config::lower) fn check_path(&self, fields: &Fields) -> CheckPath {
        let mark = fields.count(Directive::CheckMark).and_then(FirewallMark::new);
        CheckPath::default()
            .with_port(fields.port(Directive::CheckPort))
            .with_source(fields.host(Directive::CheckSource))
            .with_mark(mark)
    }
}

use crate::config::lower::Context;
use crate::config::lower::fields::Fields;
use crate::config::model::{DataPlane, Virtual};
use crate::config::{Code, Directive};
use crate::health::{CheckPath, CheckSpec};
use crate::ipvs::Forwarding;
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

    /// Whether they take the way of clients.
    pub(in crate::config::lower) fn check_through(
        &mut self,
        fields: &Fields,
        service: &mut Virtual,
        plane: DataPlane,
    ) {
        let directive = Directive::CheckThrough;
        service.check_through = fields.boolean(directive).unwrap_or(false);
        if !service.check_through {
            return;
        }
        if let Some(problem) = through_problem(service, plane) {
            self.report_at(fields, directive, Code::ThroughImpossible, problem);
        } else if service.active_servers().all(|server| server.forwarding == Forwarding::Nat) {
            let message = "servers behind NAT are checked directly; `check_through` has no effect";
            self.report_at(fields, directive, Code::ThroughIgnored, message);
        }
    }
}

fn through_problem(service: &Virtual, plane: DataPlane) -> Option<String> {
    let any_port = service.port == 0 || service.fwmark.is_some();
    match &service.check {
        _ if plane == DataPlane::Relay => {
            Some("`check_through` needs the kernel, and the relay is chosen".to_owned())
        }
        check @ (CheckSpec::Ping | CheckSpec::Program(_)) => {
            let kind = check.keyword();
            Some(format!("`check = {kind}` cannot go through the data plane: it has no port"))
        }
        _ if service.check_path.mark.is_some() => Some(
            "`check_through` marks what a check sends itself: take `check_mark` out".to_owned(),
        ),
        _ if any_port && service.check_path.port.is_none() => {
            Some("`check_through` needs a port here: set `check_port`".to_owned())
        }
        _ => None,
    }
}

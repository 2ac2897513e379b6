//! What measures the load of real servers.

use super::fields::Fields;
use super::{BlockKind, BlockSection, Code, Config, Context, Diagnostic, Directive};
use crate::config::model::{RealServer, Virtual};
use crate::health::{LoadFormula, LoadMonitor, LoadSource};
use crate::net::Weight;

/// The least weight from which half of the load is a step: below it weights hardly move.
const LEAST_WEIGHT: u32 = 10;

/// What a `virtual` block says of load monitors.
pub(super) fn monitor(fields: &Fields, config: &Config) -> Option<LoadMonitor> {
    let value = fields.text(Directive::LoadMonitor)?;
    let rsh_command = config.legacy.rsh_command.as_deref().unwrap_or("rsh");
    let port = fields.port(Directive::AgentPort).unwrap_or(LoadMonitor::PORT);
    let formula = match fields.choice(Directive::LoadFormula) {
        Some("historical") => LoadFormula::Historical,
        _ => LoadFormula::Smooth,
    };
    let interval = fields.duration(Directive::AgentInterval).unwrap_or(LoadMonitor::INTERVAL);
    let source = LoadSource::from_directive(&value, rsh_command, port)?;
    let source = source.with_user(fields.text(Directive::LoadUser));
    Some(LoadMonitor::new(source).with_formula(formula).with_interval(interval))
}

/// The load monitor of a `server` block in a service with this one.
pub(super) fn of_server(fields: &Fields, service: Option<LoadMonitor>) -> Option<LoadMonitor> {
    let mut monitor = service?;
    let own = (&mut monitor.source, fields.port(Directive::AgentPort));
    if let (LoadSource::Agent(port), Some(own)) = own {
        *port = own;
    }
    monitor.interval = fields.duration(Directive::AgentInterval).unwrap_or(monitor.interval);
    Some(monitor)
}

impl Context<'_> {
    /// Warns of directives about load that do nothing, and of weights that load cannot move.
    pub(super) fn check_load(
        &mut self,
        block: &BlockSection,
        blocks: &[BlockSection],
        service: &Virtual,
    ) {
        let children = block.children.iter().map(|&index| &blocks[index]);
        let servers = children.filter(|child| child.kind == BlockKind::Server);
        for fields in servers.map(|child| &child.fields).chain([&block.fields]) {
            self.idle_load_directives(fields, service.load_monitor.as_ref());
        }
        self.runs_load_as_daemon(&block.fields, service);
        if service.active && service.load_monitor.is_some() {
            let small = |server: &&RealServer| {
                (Weight::ONE.get()..LEAST_WEIGHT).contains(&server.weight.get())
            };
            if let Some(server) = service.active_servers().find(small) {
                self.small_weight(server);
            }
        }
    }

    fn idle_load_directives(&mut self, fields: &Fields, monitor: Option<&LoadMonitor>) {
        let asks = monitor.is_some_and(|monitor| matches!(monitor.source, LoadSource::Agent(_)));
        let runs = monitor.is_some_and(|monitor| matches!(monitor.source, LoadSource::Command(_)));
        let idle = [
            (Directive::LoadUser, !runs, "a `load_monitor` that is a command"),
            (Directive::AgentPort, !asks, "`load_monitor = agent`"),
            (Directive::AgentInterval, monitor.is_none(), "`load_monitor`"),
            (Directive::LoadFormula, monitor.is_none(), "`load_monitor`"),
        ];
        for (directive, _, needed) in idle.into_iter().filter(|(_, idle, _)| *idle) {
            if fields.mentions(directive) {
                let message = format!("`{directive}` has no effect without {needed}");
                self.report_at(fields, directive, Code::LoadDirectiveIgnored, message);
            }
        }
    }

    fn runs_load_as_daemon(&mut self, fields: &Fields, service: &Virtual) {
        let source = service.load_monitor.as_ref().map(|monitor| &monitor.source);
        let Some(LoadSource::Command(command)) = source.filter(|_| service.active) else {
            return;
        };
        if command.user.is_none() {
            let span = fields.span(Directive::LoadMonitor).unwrap_or_default();
            let message = "this command runs as the user of the daemon, mostly root";
            self.report(
                Diagnostic::new(Code::LoadCommandAsDaemon, span, message)
                    .help("name an unprivileged user: `load_user = nobody`"),
            );
        }
    }

    fn small_weight(&mut self, server: &RealServer) {
        let weight = server.weight;
        let message =
            format!("`{}` has weight {weight}, which load can hardly change", server.name);
        self.report(
            Diagnostic::new(Code::LoadWeightSmall, server.span, message)
                .help("weights are whole numbers: give the servers of this service 100 and more"),
        );
    }
}

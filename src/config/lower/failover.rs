//! `failover` blocks, with `service = fos`.

use super::fields::Fields;
use super::{BlockSection, Code, Config, Context, Diagnostic, Directive};
use crate::config::model::{Failover, HeartbeatVersion, ServiceKind};
use crate::health::decode_escapes;

/// What is said about a shared SCSI disk.
const SHARED: [Directive; 2] = [Directive::PrimaryShared, Directive::BackupShared];

impl Context<'_> {
    /// Which kind of blocks counts, and what cannot go with failover services.
    pub(super) fn service_kind(&mut self, fields: &Fields) -> ServiceKind {
        if fields.choice(Directive::Service) != Some("fos") {
            return ServiceKind::Lvs;
        }
        let preempts = fields.choice(Directive::ReservationConflictAction) == Some("preempt");
        let preempt = preempts.then_some(Directive::ReservationConflictAction);
        for directive in SHARED.into_iter().chain(preempt).filter(|&d| fields.mentions(d)) {
            self.refuse_shared_disk(fields, directive);
        }
        ServiceKind::Fos
    }

    fn refuse_shared_disk(&mut self, fields: &Fields, directive: Directive) {
        let span = fields.span(directive).unwrap_or_default();
        let message = format!("`{directive}`: shared disks are not reserved");
        let help = "0.8.6 rebooted a node that lost its reservation; fence shared disks by other \
                    means, such as SCSI-3 persistent reservations, and take this out";
        self.report(Diagnostic::new(Code::SharedDisk, span, message).help(help));
    }

    /// The heartbeats of 0.8.6 say of which kind of service they are, and those of VRRP are of
    /// virtual services.
    pub(super) fn failover_heartbeat(&mut self, fields: &Fields, config: &Config) {
        if config.service != ServiceKind::Fos {
            return;
        }
        let directive = match fields.choice(Directive::HeartbeatProtocol) {
            Some("vrrp2" | "vrrp3") => Directive::HeartbeatProtocol,
            _ if config.heartbeat_version == HeartbeatVersion::V1 => Directive::HeartbeatVersion,
            _ => return,
        };
        let message = "`service = fos` needs heartbeats of pulse, version 2";
        self.report_at(fields, directive, Code::FailoverHeartbeat, message);
    }

    /// A `failover` block, unless it is so broken that nothing can be said about it.
    pub(super) fn failover(
        &mut self,
        block: &BlockSection,
        blocks: &[BlockSection],
        config: &Config,
    ) -> Option<Failover> {
        let service = self.service(block, blocks, config)?;
        let fields = &block.fields;
        let start_cmd = self.failover_command(fields, Directive::StartCmd);
        let stop_cmd = self.failover_command(fields, Directive::StopCmd);
        if service.active && start_cmd.is_none() && stop_cmd.is_none() {
            let message = format!("`{}` has neither start_cmd nor stop_cmd", service.name);
            self.report(
                Diagnostic::new(Code::NoServiceCommand, service.span, message)
                    .help("only its address moves; the service must run on both nodes"),
            );
        }
        Some(Failover { service, start_cmd, stop_cmd })
    }

    fn failover_command(&mut self, fields: &Fields, directive: Directive) -> Option<String> {
        let command = fields.payload(directive).map(decode_escapes)?;
        let Ok(command) = String::from_utf8(command) else {
            self.report_at(fields, directive, Code::InvalidText, "a command must be UTF-8");
            return None;
        };
        self.check_command(&command, fields.value_span(directive).unwrap_or_default());
        Some(command).filter(|command| !command.trim().is_empty())
    }

    pub(super) fn check_failovers(&mut self, config: &Config) {
        if config.active_failovers().next().is_none() && !self.sink.has_errors() {
            let first = config.failovers.first();
            let span = first.map(|first| first.service.span).unwrap_or_default();
            let message = "no failover service is active";
            self.report(
                Diagnostic::new(Code::NothingActive, span, message)
                    .help("there must be at least one `failover` block with `active = 1`"),
            );
        }
        for failover in config.active_failovers() {
            if failover.service.address.is_unspecified() {
                let name = &failover.service.name;
                let message = format!("`{name}` is active without an address");
                let span = failover.service.span;
                self.report(Diagnostic::new(Code::UnusableAddress, span, message));
            }
        }
    }
}

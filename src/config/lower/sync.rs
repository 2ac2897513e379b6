//! Connection synchronisation.

use std::num::{NonZeroU8, NonZeroU16};

use super::fields::Fields;
use super::{Code, Config, Context, Diagnostic, Directive};
use crate::config::model::{DataPlane, RealServer, Virtual};
use crate::net::Family;

impl Context<'_> {
    /// Takes over how connections are synchronised, and says what of it cannot be.
    pub(super) fn sync(&mut self, fields: &Fields, config: &mut Config) {
        config.syncd_id = self.sync_id(fields);
        config.syncd_group = fields.host(Directive::SyncdGroup);
        config.syncd_port = fields.port(Directive::SyncdPort).and_then(NonZeroU16::new);
        config.syncd_ttl = fields.count(Directive::SyncdTtl).and_then(narrow_u8);
        config.syncd_maxlen = fields.count(Directive::SyncdMaxlen).and_then(narrow_u16);
        if config.syncd_group.is_some_and(|group| !group.is_multicast()) {
            let message = "a sync group is a multicast address, such as 224.0.0.81 or ff02::81";
            self.report_at(fields, Directive::SyncdGroup, Code::SyncGroup, message);
        }
        if config.syncdaemon && config.dataplane == DataPlane::Relay {
            let message = "the relay cannot synchronise connections; this has no effect";
            self.report_at(fields, Directive::Syncdaemon, Code::SyncNeedsKernel, message);
        }
    }

    /// The kernel runs no sync daemon beside a server of another family than its service.
    pub(super) fn check_sync(&mut self, service: &Virtual, server: &RealServer, global: &Fields) {
        if Family::of(service.address) == Family::of(server.address.ip()) {
            return;
        }
        let message = format!(
            "`{}` is {} and its VIP {}: connections between address families cannot be synchronised",
            server.name,
            server.address.ip(),
            service.address
        );
        let sync = global.span(Directive::Syncdaemon).unwrap_or_default();
        self.report(
            Diagnostic::new(Code::SyncFamilies, server.span, message)
                .related(sync, "synchronisation is asked for here")
                .help("set `syncdaemon = 0`, or give the server an address of the VIP's family"),
        );
    }

    fn sync_id(&mut self, fields: &Fields) -> u8 {
        let id = fields.integer(Directive::SyncdId).unwrap_or(0);
        let [low, ..] = id.to_le_bytes();
        if i64::from(low) != id {
            let message = format!("only the low 8 bits of a sync id are used: {low}");
            self.report_at(fields, Directive::SyncdId, Code::SyncIdTruncated, message);
        }
        low
    }
}

fn narrow_u8(number: u32) -> Option<NonZeroU8> {
    u8::try_from(number).ok().and_then(NonZeroU8::new)
}

fn narrow_u16(number: u32) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

//! How real servers are reached: `network` and what belongs to tunnels.

use std::num::NonZeroU16;

use super::fields::Fields;
use super::global::network;
use super::{Code, Context, Diagnostic, Directive};
use crate::ipvs::{Forwarding, Tunnel, TunnelChecksum};

const SETTINGS: [Directive; 3] =
    [Directive::TunnelType, Directive::TunnelPort, Directive::TunnelChecksum];

/// Whether a block says anything about how servers are reached.
pub(super) fn is_own(fields: &Fields) -> bool {
    fields.mentions(Directive::Network) || SETTINGS.iter().any(|&setting| fields.mentions(setting))
}

/// A block and the one around it, if there is one: what the first does not say the second does.
#[derive(Clone, Copy)]
pub(super) struct Nested<'a> {
    pub(super) inner: &'a Fields,
    pub(super) outer: Option<&'a Fields>,
}

impl<'a> Nested<'a> {
    fn holder(self, directive: Directive) -> Option<&'a Fields> {
        [Some(self.inner), self.outer].into_iter().flatten().find(|f| f.mentions(directive))
    }

    fn choice(self, directive: Directive) -> Option<&'static str> {
        self.holder(directive)?.choice(directive)
    }
}

impl Context<'_> {
    /// How the servers of a block are reached; `default` where no block says it.
    pub(super) fn forwarding(&mut self, blocks: Nested<'_>, default: Forwarding) -> Forwarding {
        let chosen = network(blocks.inner).or_else(|| network(blocks.outer?));
        let forwarding = chosen.unwrap_or(default);
        if forwarding.is_tunnel() {
            return Forwarding::Tunnel(self.tunnel(blocks));
        }
        for setting in SETTINGS.into_iter().filter(|&setting| blocks.inner.mentions(setting)) {
            let message = format!("`{setting}` has no effect with `network = {forwarding}`");
            self.report_at(blocks.inner, setting, Code::TunnelIgnored, message);
        }
        forwarding
    }

    fn tunnel(&mut self, blocks: Nested<'_>) -> Tunnel {
        match blocks.choice(Directive::TunnelType) {
            Some("gue") => self.gue(blocks),
            Some("gre") => {
                self.ignored_setting(blocks, Directive::TunnelPort, "gre");
                let checksum = checksum(blocks);
                self.check_gre(blocks, checksum);
                Tunnel::Gre { checksum }
            }
            _ => {
                self.ignored_setting(blocks, Directive::TunnelPort, "ipip");
                self.ignored_setting(blocks, Directive::TunnelChecksum, "ipip");
                Tunnel::Ipip
            }
        }
    }

    fn gue(&mut self, blocks: Nested<'_>) -> Tunnel {
        let holder = blocks.holder(Directive::TunnelPort);
        let port = holder.and_then(|fields| fields.port(Directive::TunnelPort));
        if let Some(port) = port.and_then(NonZeroU16::new) {
            return Tunnel::Gue { port, checksum: checksum(blocks) };
        }
        if let (None, Some(fields)) = (holder, blocks.holder(Directive::TunnelType)) {
            let span = fields.span(Directive::TunnelType).unwrap_or_default();
            let message = "`tunnel_type = gue` needs `tunnel_port`";
            self.report(
                Diagnostic::new(Code::MissingDirective, span, message).help(
                    "write the UDP port real servers listen on, such as `tunnel_port = 6080`",
                ),
            );
        }
        Tunnel::Ipip
    }

    fn check_gre(&mut self, blocks: Nested<'_>, checksum: TunnelChecksum) {
        if checksum == TunnelChecksum::Remote
            && let Some(fields) = blocks.holder(Directive::TunnelChecksum)
        {
            let span = fields.span(Directive::TunnelChecksum).unwrap_or_default();
            let message = "GRE has no remote checksum";
            self.report(
                Diagnostic::new(Code::TunnelImpossible, span, message)
                    .help("write `tunnel_checksum = csum` or `none`, or `tunnel_type = gue`"),
            );
        }
    }

    fn ignored_setting(&mut self, blocks: Nested<'_>, setting: Directive, kind: &str) {
        if blocks.inner.mentions(setting) {
            let message = format!("`{setting}` has no effect with `tunnel_type = {kind}`");
            self.report_at(blocks.inner, setting, Code::TunnelIgnored, message);
        }
    }
}

fn checksum(blocks: Nested<'_>) -> TunnelChecksum {
    match blocks.choice(Directive::TunnelChecksum) {
        Some("csum") => TunnelChecksum::Plain,
        Some("remcsum") => TunnelChecksum::Remote,
        _ => TunnelChecksum::None,
    }
}

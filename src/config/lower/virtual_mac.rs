//! `virtual_mac`, and where it cannot be.

use std::net::IpAddr;

use super::fields::Fields;
use super::{Code, Config, Context, Diagnostic, Directive};
use crate::config::model::HeartbeatVersion;

impl Context<'_> {
    /// Refuses what no device can be made for, and a partner that has no such address.
    pub(super) fn virtual_mac(&mut self, fields: &Fields, config: &Config) {
        let Some(span) = fields.span(Directive::VirtualMac).filter(|_| config.virtual_mac) else {
            return;
        };
        if config.vrrp.is_none() && config.heartbeat_version == HeartbeatVersion::V1 {
            let message = "a partner with `heartbeat_version = 1` has no virtual MAC address";
            self.report(
                Diagnostic::new(Code::VirtualMacImpossible, span, message)
                    .help("take `virtual_mac` out until both directors speak version 2"),
            );
        }
        if let Some(address) = on_loopback(config) {
            let message = format!("{address} is on `lo`, which can have no virtual MAC address");
            self.report(
                Diagnostic::new(Code::VirtualMacImpossible, span, message)
                    .help("name the Ethernet device it belongs on, or take `virtual_mac` out"),
            );
        }
    }
}

/// The first floating address that is to be put on loopback. Those of loopback are there anyway.
fn on_loopback(config: &Config) -> Option<IpAddr> {
    let vips = config.active_virtuals();
    let failovers = config.active_failovers().map(|failover| &failover.service);
    let vips = vips.chain(failovers).map(|v| (v.address, &v.device));
    let router = config.nat_router.iter().map(|(address, device)| (*address, device));
    let is_lo = |device: &str| device.split(':').next() == Some("lo");
    let mut all = vips.chain(router);
    all.find(|(address, device)| is_lo(device) && !address.is_loopback())
        .map(|(address, _)| address)
}

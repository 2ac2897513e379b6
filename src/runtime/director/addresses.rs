//! Which addresses a configuration floats, and how the relay holds them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::Config;
use crate::failover::{ActionError, VirtualAddress};
use crate::runtime::relay::Relay;

/// The addresses of all active virtual services, each once (the first device named for it
/// counts), and the NAT router.
pub(super) fn of(config: &Config) -> Vec<VirtualAddress> {
    let mut seen = BTreeSet::new();
    let vips = config.virtuals.iter().filter(|v| v.active && v.fwmark.is_none());
    vips.map(|v| (v.address, &v.device))
        .chain(config.nat_router.iter().map(|(address, device)| (*address, device)))
        .filter(|(address, _)| seen.insert(*address))
        .map(|(address, device)| VirtualAddress { address, device: device.clone() })
        .collect()
}

/// Has the relay listen on all of `addresses`, or on none.
pub(super) async fn acquire(relay: &Relay, addresses: &[VirtualAddress]) -> Result<(), ActionError> {
    let mut acquired: Vec<IpAddr> = Vec::new();
    for address in addresses {
        if let Err(error) = relay.acquire(address.address).await {
            for address in acquired {
                relay.release(address).await;
            }
            return Err(ActionError(error.to_string()));
        }
        acquired.push(address.address);
    }
    Ok(())
}

/// Has the relay stop listening on `addresses`; connections go on.
pub(super) async fn release(relay: &Relay, addresses: &[VirtualAddress]) {
    for address in addresses {
        relay.release(address.address).await;
    }
}

//! How the relay holds the addresses of the service.

use std::net::IpAddr;

use crate::failover::{ActionError, VirtualAddress};
use crate::runtime::relay::Relay;

/// Has the relay listen on all of `addresses`, or on none.
pub(super) async fn acquire(
    relay: &Relay,
    addresses: &[VirtualAddress],
) -> Result<(), ActionError> {
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

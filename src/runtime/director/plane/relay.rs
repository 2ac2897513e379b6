//! The relay as the data plane of a director.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Measured, Plane};
use crate::config::Config;
use crate::control::Event;
use crate::control::status::{ConnectionSync, Traffic};
use crate::failover::{ActionError, VirtualAddress};
use crate::ipvs::relay::{RelayOptions, ServiceStatus};
use crate::ipvs::{BackendError, Load, ServiceKey};
use crate::runtime::clock;
use crate::runtime::director::watch::ServerKey;
use crate::runtime::relay::{Relay, RelayConfig};

/// A relay with the timeouts of `config`.
pub(super) fn start(config: &Config) -> io::Result<Relay> {
    let mut relay = RelayConfig::default();
    let given = |timeout: Option<Duration>| timeout.filter(|timeout| !timeout.is_zero());
    relay.idle_timeout = given(config.tcp_timeout).unwrap_or(relay.idle_timeout);
    relay.udp_idle_timeout = given(config.udp_timeout).unwrap_or(relay.udp_idle_timeout);
    Relay::new(relay)
}

pub(super) fn options(config: &Config) -> BTreeMap<ServiceKey, RelayOptions> {
    let services = config.active_virtuals();
    services.map(|service| (service.key(), service.relay_options())).collect()
}

#[async_trait]
impl Plane for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn outlives_us(&self) -> bool {
        false
    }

    /// A configuration that asks for ways is refused with the relay.
    fn allow_ways(&mut self, _: Vec<ServiceKey>) -> Vec<Event> {
        Vec::new()
    }

    async fn configure(&mut self, config: &Config) -> Result<Vec<Event>, BackendError> {
        let set = self.set_options(options(config));
        set.map_err(|error| BackendError::System {
            object: "options".to_owned(),
            attempted: "set them",
            source: io::Error::other(error),
        })?;
        let lack = config.syncdaemon.then(|| Event::Warning {
            text: "connections are not synchronised: the relay cannot do that".to_owned(),
        });
        Ok(lack.into_iter().collect())
    }

    async fn tend(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn is_warm(&self) -> bool {
        true
    }

    fn connection_sync(&self) -> Option<ConnectionSync> {
        None
    }

    async fn acquire(&mut self, addresses: &[VirtualAddress]) -> Result<(), ActionError> {
        let addresses: Vec<_> = addresses.iter().map(|vip| vip.address).collect();
        let acquired = self.acquire_all(&addresses).await;
        acquired.map_err(|error| ActionError(error.to_string()))
    }

    async fn release(&mut self, addresses: &[VirtualAddress]) {
        let addresses: Vec<_> = addresses.iter().map(|vip| vip.address).collect();
        self.release_all(&addresses).await;
    }

    async fn drained(&mut self, servers: &[ServerKey]) -> Vec<ServerKey> {
        let mut drained = Vec::new();
        for status in self.status() {
            for destination in &status.destinations {
                let server = ServerKey { service: status.key, address: destination.address };
                let empty = destination.weight.is_quiesced() && destination.load.total() == 0;
                if empty && servers.contains(&server) {
                    drained.push(server);
                }
            }
        }
        drained
    }

    fn traffic(&self) -> Option<Arc<Measured>> {
        Some(Arc::new(measure(&self.status())))
    }

    fn traffic_of(&self, services: &[ServiceKey]) -> Option<Arc<Measured>> {
        Some(Arc::new(measure(&self.status_of(services))))
    }

    fn tells_rates(&self) -> bool {
        false
    }

    async fn drain(&mut self, limit: Duration) {
        Self::drain(self, limit).await;
    }

    /// Nothing of it does.
    async fn tear_down(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn shutdown(&mut self) {
        Self::shutdown(self);
    }
}

fn measure(status: &[ServiceStatus]) -> Measured {
    let server = |service: &ServiceStatus, address| ServerKey { service: service.key, address };
    let each = status.iter().flat_map(|service| {
        let servers = service.destinations.iter();
        servers.map(move |s| (server(service, s.address), Traffic::new(s.load, s.counters, None)))
    });
    let whole = |service: &ServiceStatus| {
        let load = Load::sum(service.destinations.iter().map(|server| server.load));
        (service.key, Traffic::new(load, service.counters, None))
    };
    let servers = each.collect();
    let services = status.iter().map(whole).collect();
    Measured { taken: clock::now(), services, servers }
}

//! What checks, agents and operators say of servers, and what follows for the table.
//!
//! Verdicts that have come in are taken down together: when many servers die at the same moment,
//! each of their services is worked out and written once, not once for each server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Director;
use super::load::News;
use super::watch::ServerKey;
use crate::control::{Desired, Event, QuorumState};
use crate::health::{self, Failure, Health};
use crate::ipvs::ServiceKey;
use crate::net::Weight;
use crate::runtime::clock;

/// How many verdicts of checks are taken down together; requests and orders wait for no more.
const TOGETHER: usize = 256;

/// How things stood before verdicts were taken down, as far as they are concerned.
#[derive(Default)]
struct Before {
    services: BTreeMap<ServiceKey, Standing>,
    weights: BTreeMap<ServerKey, Option<Weight>>,
}

struct Standing {
    sorry: Vec<SocketAddr>,
    quorum: Option<QuorumState>,
    kept: BTreeSet<SocketAddr>,
}

impl Director {
    pub(super) async fn on_health(&mut self, server: ServerKey, output: health::Output) {
        let mut before = Before::default();
        self.take_down(&mut before, server, output);
        for _ in 1..TOGETHER {
            let Some((server, output)) = self.watch.ready() else { break };
            self.take_down(&mut before, server, output);
        }
        self.carry_out(before).await;
    }

    /// Takes down which weights the monitors hold from their beginning, so that the first table has
    /// them all. Returns the servers; what the monitors say of them changes nothing any more.
    pub(super) fn take_down_first(&mut self) -> Vec<ServerKey> {
        let mut known = Vec::new();
        for service in self.config.active_virtuals() {
            for server in service.active_servers() {
                let server = ServerKey { service: service.key(), address: server.address };
                if let Some(weight) = self.watch.weight(server) {
                    self.desired.set_weight(server.service, server.address, Some(weight));
                    known.push(server);
                }
            }
        }
        known
    }

    pub(super) async fn on_load(&mut self, news: Vec<News>) {
        let mut before = Before::default();
        for news in news {
            match news {
                News::Steer(server, steer) => {
                    self.weigh(&mut before, server, |desired, key, address| {
                        desired.set_steer(key, address, Some(steer));
                    });
                }
                News::Agent(server, word, reason) => {
                    self.survey.renew(server.service);
                    self.tell_agent(server, word, reason);
                }
                News::Most(server, most) => {
                    self.judge(&mut before, server, |desired, key, address| {
                        desired.set_most(key, address, most);
                    });
                    self.tell_most(server, most);
                }
                News::Measuring { server, monitor, failure } => {
                    let reason = failure.as_ref().map(Failure::to_string);
                    self.tell(Event::LoadUnknown { server, monitor, reason });
                }
            }
        }
        self.carry_out(before).await;
    }

    fn take_down(&mut self, before: &mut Before, server: ServerKey, output: health::Output) {
        match output {
            health::Output::Weight(weight) => {
                self.weigh(before, server, |desired, key, address| {
                    desired.set_weight(key, address, weight);
                });
            }
            health::Output::Changed { from, to, reason } => {
                self.falls.on_health(clock::now(), server, to);
                self.tell_health(server, from, to, reason.to_string());
                if matches!(to, Health::Down | Health::Up) {
                    self.judge(before, server, |desired, key, address| {
                        desired.set_health(key, address, to);
                    });
                }
            }
            health::Output::Override(forced) => {
                self.judge(before, server, |desired, key, address| {
                    desired.set_withheld(key, address, forced.keeps_out());
                });
            }
            // The runner keeps its probes to itself.
            health::Output::Probe { .. } | health::Output::Cancel { .. } => {}
        }
    }

    /// Takes a verdict down that may change the weight of a server.
    fn weigh(
        &mut self,
        before: &mut Before,
        server: ServerKey,
        verdict: impl FnOnce(&mut Desired, ServiceKey, SocketAddr),
    ) {
        let weight = self.desired.weight(server.service, server.address);
        before.weights.entry(server).or_insert(weight);
        self.judge(before, server, verdict);
    }

    /// Takes a verdict on a server down.
    fn judge(
        &mut self,
        before: &mut Before,
        server: ServerKey,
        verdict: impl FnOnce(&mut Desired, ServiceKey, SocketAddr),
    ) {
        let (desired, service) = (&mut self.desired, server.service);
        before.services.entry(service).or_insert_with(|| Standing {
            sorry: desired.sorry_servers(service).to_vec(),
            quorum: desired.quorum(service),
            kept: desired.kept(service),
        });
        verdict(desired, service, server.address);
    }

    /// Brings the services that verdicts were about to what follows from those, and tells what
    /// became of them.
    async fn carry_out(&mut self, before: Before) {
        if before.services.is_empty() {
            return;
        }
        before.services.keys().for_each(|&key| self.survey.renew(key));
        let wanted = before.services.keys().map(|&key| (key, self.wanted_entry(key)));
        let wanted = wanted.collect();
        let written = self.table.services(wanted).await;
        self.warn_of(written);
        for (key, standing) in before.services {
            self.tell_quorum(key, standing.quorum);
            self.tell_sorry(key, &standing.sorry);
            self.tell_kept(key, &standing.kept);
        }
        for (server, weight) in before.weights {
            if self.desired.weight(server.service, server.address) != weight {
                self.drained.remove(&server);
                self.tell_weight(server);
            }
        }
    }
}

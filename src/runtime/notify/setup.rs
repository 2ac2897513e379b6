use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Notify};
use crate::control::notify::Problem;
use crate::ipvs::ServiceKey;

/// What of a configuration telling needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Setup {
    pub(super) notify: Notify,
    pub(super) hooks: Hooks,
    /// The services by their names, as far as anybody is to be told of them.
    services: BTreeMap<String, Known>,
}

/// `active_cmd` and `inactive_cmd`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Hooks {
    pub(super) active: Option<String>,
    pub(super) inactive: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Known {
    key: ServiceKey,
    servers: Vec<String>,
    /// Whether anybody is told of it.
    told: bool,
    mail: Vec<String>,
}

impl Setup {
    pub(super) fn of(config: &Config) -> Self {
        let notify = config.notify.clone();
        let services = config.active_virtuals().filter(|_| notify.has_sinks());
        let known = services.map(|service| {
            let servers = service.active_servers().map(|server| server.name.clone()).collect();
            let (key, mail) = (service.key(), service.notify_mail.clone());
            (service.name.clone(), Known { key, servers, told: service.notify, mail })
        });
        Self {
            hooks: Hooks {
                active: config.active_cmd.clone(),
                inactive: config.inactive_cmd.clone(),
            },
            services: known.collect(),
            notify,
        }
    }

    /// Whether a program is to be run, or anybody told.
    pub(super) fn is_wanted(&self) -> bool {
        self.hooks != Hooks::default() || self.notify.has_sinks()
    }

    /// What the data plane knows the service of this name by.
    pub(super) fn key(&self, service: &str) -> Option<ServiceKey> {
        self.services.get(service).map(|known| known.key)
    }

    /// Whether anybody is told of the service of this name.
    pub(super) fn is_told_of(&self, service: &str) -> bool {
        self.services.get(service).is_none_or(|known| known.told)
    }

    /// Who gets mail about the service of this name, or about anything else.
    pub(super) fn mail_for(&self, service: Option<&str>) -> &[String] {
        let own = service.and_then(|service| self.services.get(service));
        let own = own.map(|known| known.mail.as_slice()).filter(|mail| !mail.is_empty());
        own.unwrap_or_else(|| self.notify.mail.as_ref().map_or(&[], |mail| &mail.to))
    }

    /// Every group of people who get mail together.
    pub(super) fn mail_groups(&self) -> BTreeSet<&[String]> {
        let own = self.services.values().map(|known| known.mail.as_slice());
        own.chain([self.mail_for(None)]).filter(|group| !group.is_empty()).collect()
    }

    /// Whether what a problem is about is still configured.
    pub(super) fn knows(&self, problem: &Problem) -> bool {
        match problem {
            Problem::Server(service, server) => {
                let known = self.services.get(service);
                known.is_some_and(|known| known.servers.contains(server))
            }
            Problem::Sorry(service) | Problem::Quorum(service) => {
                self.services.contains_key(service)
            }
            Problem::State | Problem::Configuration => true,
        }
    }
}

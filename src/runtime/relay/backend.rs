//! The relay as a [`Backend`].

use std::sync::Arc;

use async_trait::async_trait;

use super::cell::ServiceCell;
use super::{AcquireError, Inner, Relay, closed};
use crate::ipvs::relay::{Conflict, VirtualService};
use crate::ipvs::{
    Applied, Backend, BackendError, Capabilities, Destination, Op, Service, ServiceKey, Table,
};
use crate::scheduler::Scheduler;

#[async_trait]
impl Backend for Relay {
    fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    async fn observe(&mut self) -> Result<Table, BackendError> {
        let state = self.inner.state();
        let mut table = Table::new();
        for cell in state.services.values() {
            let service = cell.lock();
            let entry = table.insert(service.service().clone());
            for destination in service.entry().destinations() {
                entry.insert(*destination);
            }
        }
        Ok(table)
    }

    async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError> {
        let _turn = self.inner.changing.lock().await;
        if self.inner.state().stopped {
            return Err(BackendError::Stopped);
        }
        let mut applied = Vec::with_capacity(ops.len());
        for op in ops {
            applied.push(self.inner.carry_out(op).await);
        }
        Ok(applied)
    }
}

impl Inner {
    async fn carry_out(&self, op: &Op) -> Applied {
        match op {
            Op::AddService(service) => self.add_service(service),
            Op::EditService(service) => self.edit_service(service),
            Op::RemoveService(key) => self.remove_service(*key).await,
            Op::AddDestination(key, destination) => {
                self.change(*key, destination, VirtualService::add)
            }
            Op::EditDestination(key, destination) => {
                self.change(*key, destination, VirtualService::edit_destination)
            }
            Op::RemoveDestination(key, address) => {
                let removed = self.service(*key)?.lock().remove(*address);
                removed.map_err(|problem| conflict(format!("{key} -> {address}"), problem.as_str()))
            }
        }
    }

    fn add_service(&self, service: &Service) -> Applied {
        let key = service.key();
        if self.state().services.contains_key(&key) {
            return Err(conflict(key.to_string(), "the service is there already"));
        }
        match key {
            ServiceKey::Mark { .. } => {
                return Err(conflict(key.to_string(), "the relay sees no firewall marks"));
            }
            ServiceKey::Address { address, .. } if address.port() == 0 => {
                return Err(conflict(key.to_string(), "the relay needs a port"));
            }
            ServiceKey::Address { .. } => {}
        }
        let virtual_service = VirtualService::new(service.clone(), self.scheduler(service)?);
        let cell =
            ServiceCell::new(virtual_service, self.state().options(key), Arc::clone(&self.gauge));
        let cell = Arc::new(cell);
        if self.state().holds(key) {
            let bound = self.bind(&cell).map_err(cannot_listen)?;
            self.start(&cell, bound);
            self.wake();
        }
        self.state().services.insert(key, cell);
        Ok(())
    }

    fn edit_service(&self, service: &Service) -> Applied {
        let cell = self.service(service.key())?;
        let rule = |service: &Service| (service.scheduler().clone(), service.scheduler_flags());
        let unchanged = rule(cell.lock().service()) == rule(service);
        let scheduler = match unchanged {
            true => None,
            false => Some(self.scheduler(service)?),
        };
        cell.lock().edit(service.clone(), scheduler);
        Ok(())
    }

    async fn remove_service(&self, key: ServiceKey) -> Applied {
        self.service(key)?;
        let listening = {
            let mut state = self.state();
            state.services.remove(&key);
            state.holds(key)
        };
        if listening {
            let closing = self.unlisten(key);
            self.wake();
            closed(closing).await;
        }
        Ok(())
    }

    fn change(
        &self,
        key: ServiceKey,
        destination: &Destination,
        change: fn(&mut VirtualService, Destination) -> Result<(), Conflict>,
    ) -> Applied {
        let changed = change(&mut self.service(key)?.lock(), *destination);
        changed.map_err(|problem| {
            let object = format!("{key} -> {}", destination.address());
            conflict(object, problem.as_str())
        })
    }

    fn service(&self, key: ServiceKey) -> Result<Arc<ServiceCell>, BackendError> {
        let found = self.state().services.get(&key).cloned();
        found.ok_or_else(|| conflict(key.to_string(), "there is no such service"))
    }

    fn scheduler(&self, service: &Service) -> Result<Box<dyn Scheduler>, BackendError> {
        let options = service.scheduler_flags().into();
        let found = (self.config.scheduler)(service.scheduler().as_str(), options);
        found.ok_or_else(|| conflict(service.key().to_string(), "the relay has no such scheduler"))
    }
}

fn conflict(object: String, problem: &'static str) -> BackendError {
    BackendError::Conflict { object, problem }
}

fn cannot_listen(error: AcquireError) -> BackendError {
    match error {
        AcquireError::Bind { service, source } => {
            BackendError::System { object: service.to_string(), attempted: "listen", source }
        }
        AcquireError::Stopped => BackendError::Stopped,
    }
}

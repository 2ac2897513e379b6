//! From one configuration to the next while it runs.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::sync::mpsc;

use super::{Director, InForce, StartError, plane};
use crate::config::{Config, ServiceKind};
use crate::control::protocol::{Problem, ProblemCode};
use crate::control::supervision::Report;
use crate::control::{Event, QuorumState, whole_table};
use crate::ipvs::{BackendError, Capabilities, ServiceKey, plan};
use crate::runtime::clock;
use crate::runtime::configuration::{self, Accepted};

/// Who had a file saved, and why.
pub(super) type SavedBy = Option<(String, Option<String>)>;

impl Director {
    /// Reads the configuration again and makes it so, touching only what differs. Returns in how
    /// many places the table it asks for differs from the one before.
    ///
    /// # Errors
    /// [`StartError`]; what ran is still running.
    pub async fn reload(&mut self) -> Result<usize, StartError> {
        let accepted = read(&self.path)?;
        self.put_in_force(accepted, None).await
    }

    /// The same with what was `accepted` already, if anything was, and says what came of it.
    pub(super) async fn on_reload(
        &mut self,
        accepted: Option<Box<Accepted>>,
        saved_by: SavedBy,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Result<usize, StartError> {
        let accepted = accepted.map_or_else(|| read(&self.path), |accepted| Ok(*accepted));
        let reloaded = match accepted {
            Ok(accepted) => self.put_in_force(accepted, saved_by).await,
            Err(error) => Err(error),
        };
        match &reloaded {
            Ok(changes) => {
                self.refused = None;
                self.tell(Event::Reloaded { changes: *changes });
                let _ = reports.send(self.configured());
            }
            Err(error) => {
                self.refused = Some(error.to_string());
                self.tell(Event::ReloadFailed { reason: error.to_string() });
            }
        }
        reloaded
    }

    /// Whether a reload with this configuration could succeed.
    pub(super) fn check_acceptable(&self, accepted: &Accepted) -> Result<(), StartError> {
        if accepted.config.service != ServiceKind::Lvs {
            return Err(StartError::Failover(self.path.clone()));
        }
        let plane = self.table.backend();
        plane::check_same(plane.as_ref(), &accepted.config)?;
        check_supported(&self.path, accepted, plane.capabilities())
    }

    async fn put_in_force(
        &mut self,
        accepted: Accepted,
        saved_by: SavedBy,
    ) -> Result<usize, StartError> {
        self.check_acceptable(&accepted)?;
        let Accepted { config, hash, .. } = accepted;
        let before = std::mem::replace(&mut self.config, config);
        self.ways.configure(&self.config);
        let ready = self.open_ways().await.map_err(StartError::from);
        if let Err(error) = ready.and_then(|()| self.configure_watch()) {
            self.config = before;
            self.ways.configure(&self.config);
            return Err(error);
        }
        self.see_off(&before);
        let quorums = self.desired.quorums().collect();
        if let Err(error) = self.bring_about(&quorums).await {
            self.return_to(before).await;
            return Err(error.into());
        }
        (self.loaded, self.digest) = (clock::now(), configuration::digest(&self.config));
        self.in_force.send_replace(InForce { hash, saved_by });
        self.forget_strangers().await;
        let changes =
            plan(&whole_table(&self.config), &whole_table(&before), &Capabilities::everything());
        Ok(changes.map_or(0, |changes| changes.len()))
    }

    /// Goes back to a configuration whose successor the data plane did not take. What it does not
    /// take now either, the next audit tries again.
    async fn return_to(&mut self, before: Config) {
        let refused = std::mem::replace(&mut self.config, before);
        self.see_off(&refused);
        self.ways.configure(&self.config);
        let ways = self.open_ways().await;
        self.warn_of(ways);
        // Accepted when it was put in force.
        let _accepted = self.configure_watch();
        let quorums = self.desired.quorums().collect();
        let back = self.bring_about(&quorums).await;
        self.warn_of(back);
    }

    /// Lets the connections of servers go on that `before` had.
    fn see_off(&mut self, before: &Config) {
        self.leaving.configure(clock::now(), before, &self.config, self.table.in_force());
    }

    /// Makes the configuration so that the watch has already.
    async fn bring_about(
        &mut self,
        quorums: &BTreeMap<ServiceKey, QuorumState>,
    ) -> Result<(), BackendError> {
        self.desired.configure(&self.overrides.in_force(&self.config));
        self.configure_loads();
        if let Some(notifier) = &self.notifier {
            notifier.configure(&self.config);
        }
        if let Some(metrics) = &self.metrics {
            metrics.configure(&self.config);
        }
        self.tell_quorums(quorums);
        self.drained.clear();
        self.configure_plane().await?;
        self.table.known_whole(&self.wanted()).await
    }
}

/// What a client is told of a configuration that was refused.
pub(super) fn refused(error: &StartError) -> Problem {
    let mend = "mend the file and reload; what ran is still running";
    Problem::new(ProblemCode::Configuration, error.to_string(), mend)
}

/// Reads a configuration with virtual services.
pub(super) fn read(path: &Path) -> Result<Accepted, StartError> {
    let accepted = configuration::read(path)?;
    match accepted.config.service {
        ServiceKind::Lvs => Ok(accepted),
        ServiceKind::Fos => Err(StartError::Failover(path.to_owned())),
    }
}

/// Refuses a configuration that the data plane cannot carry, before anything has changed.
pub(super) fn check_supported(
    path: &Path,
    accepted: &Accepted,
    capabilities: &Capabilities,
) -> Result<(), StartError> {
    let Err(unsupported) = capabilities.check(&whole_table(&accepted.config)) else {
        return Ok(());
    };
    let key = unsupported.service();
    let service = accepted.config.active_virtuals().find(|v| v.key() == key);
    let span = service.map(|v| v.span).unwrap_or_default();
    Err(StartError::Unsupported { place: accepted.place(path, span), unsupported })
}

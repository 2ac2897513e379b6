//! The Virtual Router Redundancy Protocol, versions 2 and 3, for a pair in which one director is
//! keepalived, or another router that speaks it.
//!
//! [`Vrrp`] is the machine of one director. RFC 9568 has one virtual router for each address
//! family; here both are one machine with one state, and each family is a path. The active router
//! advertises on every path; it counts as alive as long as it is heard on any of them. So the
//! addresses of both families are always on one director, as in a sync group of keepalived.
//!
//! What differs from the RFC, and why, is in `docs/vrrp.md`. The machine is handed whole IP
//! packets, headers included ([`wire::ip`](crate::wire::ip)): who sent them and through how many
//! routers they came is part of what is judged. What it sends is the message alone.
//!
//! ```
//! use piranha::failover::{Heartbeat, Output, Role, State, vrrp::{Config, Path, Version, Vrrp}};
//! use piranha::time::Instant;
//!
//! let config = Config::builder(Role::Primary, Version::V3, 51)
//!     .path(Path::multicast("192.0.2.1".parse()?))
//!     .build()?;
//! let mut router = Vrrp::new(Instant::ZERO, config);
//! // Nobody is heard for three intervals and the skew time.
//! let now = router.poll_timeout().ok_or("it waits")?;
//! assert_eq!(now, Instant::from_nanos(3_414_062_500));
//! router.handle_timeout(now);
//! let Some(Output::Acquire { id, .. }) = router.poll_output() else { unreachable!() };
//! router.handle_completion(now, id, Ok(()));
//! assert_eq!(router.state(), State::Active);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod act;
mod config;
mod fitness;
mod listener;
mod rules;
#[cfg(all(test, feature = "sim"))]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::Family;
use crate::time::Instant;

use super::guard::Fault;
use super::held::Held;
use super::{
    ActionError, ActionId, Cause, Command, Declined, Heartbeat, Output, PathCounters, PathId,
    Payload, PeerStatus, State, Status,
};

pub use crate::wire::vrrp::{Password, Version};
pub use config::{Builder, Config, ConfigError, Path};
pub use listener::Reject;

use listener::{Heard, Listener};
use rules::{Event, Facts, Phase, Standing, decide};

/// The machine of one VRRP router.
///
/// The data plane counts as usable until [`Heartbeat::handle_data_plane`] says otherwise.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(remote = "Self")]
pub struct Vrrp {
    config: Config,
    listener: Listener,
    phase: Phase,
    since: Instant,
    cause: Option<Cause>,
    /// The last advertisement that was accepted, of whomever.
    heard: Option<Heard>,
    /// Which router is taken for the active one, by path.
    followed: Vec<Option<IpAddr>>,
    /// Its interval: `Active_Adver_Interval`.
    followed_interval: Duration,
    /// When to take over: `Active_Down_Timer`.
    down: Instant,
    /// When to advertise again: `Adver_Timer`.
    next_advertisement: Instant,
    last_advertisement: Instant,
    next_announcement: Instant,
    assertions_left: u8,
    /// The administrator moved the service away: preemption must not undo it.
    yielded: bool,
    usable: bool,
    /// Whether what would be taken over could go on here: preemption waits for that.
    warm: bool,
    /// The priority of the configuration; the one in `config` is less while a guard fails.
    fit_priority: u8,
    faults: Vec<Fault>,
    maintenance: bool,
    declined: Option<Declined>,
    held: Held,
    last_id: u64,
    last_now: Instant,
    /// What was last said, to be said again while it is the same.
    #[serde(skip)]
    said: Option<Said>,
    /// The farewell that belongs to it.
    #[serde(skip)]
    farewell: Option<Said>,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

/// The advertisement of one priority, for each path that has one.
#[derive(Clone, Debug)]
struct Said {
    priority: u8,
    payloads: Vec<Option<Payload>>,
}

/// Advertisements out of turn in one interval: a bound, so that a flood of rivals is not answered
/// in full.
const ASSERTIONS: u8 = 4;

/// More actions than any machine ever asks for.
const IDS_MAX: u64 = 1 << 62;

/// Room for outputs from the start: what a change of state brings about on two paths.
const OUTPUTS: usize = 16;

impl Vrrp {
    /// A router that begins to listen at `now`.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            listener: Listener::new(config.paths.len()),
            phase: Phase::Starting,
            since: now,
            cause: None,
            heard: None,
            followed: vec![None; config.paths.len()],
            followed_interval: config.interval,
            down: now + config.down_interval(),
            next_advertisement: now,
            last_advertisement: now,
            next_announcement: now,
            assertions_left: ASSERTIONS,
            yielded: false,
            usable: true,
            warm: true,
            fit_priority: config.priority,
            faults: Vec::new(),
            maintenance: false,
            declined: None,
            held: Held::default(),
            last_id: 0,
            last_now: now,
            said: None,
            farewell: None,
            outputs: VecDeque::with_capacity(OUTPUTS),
            config,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// What brought the present state about.
    pub(super) const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Whether this machine and `other` are in the same condition. What is kept to be said again
    /// follows from the rest.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        // Two machines that show the same are the same: all they are made of is shown.
        let shown = |machine: &Self| {
            format!("{:?}", Self { said: None, farewell: None, ..machine.clone() })
        };
        shown(self) == shown(other)
    }

    /// Changes the configuration without a pause: priority, interval, preemption, password and
    /// addresses. An active router says so at once, brings new addresses up, announces them, and
    /// takes removed ones down; the others are not touched.
    ///
    /// # Errors
    /// [`ConfigError::NeedsRestart`] if the role, version, virtual router or paths differ. Nothing
    /// was changed.
    pub fn handle_config(&mut self, now: Instant, config: Config) -> Result<(), ConfigError> {
        let fixed = [
            ("role", config.role == self.config.role),
            ("version of VRRP", config.version == self.config.version),
            ("number of the virtual router", config.router == self.config.router),
            ("ways of VRRP", config.paths == self.config.paths),
        ];
        if let Some((what, _)) = fixed.iter().find(|(_, same)| !same) {
            return Err(ConfigError::NeedsRestart(what));
        }
        let now = self.advance(now);
        self.fit_priority = config.priority;
        self.config = config;
        (self.said, self.farewell) = (None, None);
        self.adjust_priority();
        self.update_addresses();
        if self.phase.speaks() {
            self.speak(now);
        }
        Ok(())
    }

    /// The family of addresses that are held and not advertised, because there is no path for it:
    /// a reload brought the first of them.
    #[must_use]
    pub fn unadvertised(&self) -> Option<Family> {
        let has_path = |family| self.config.paths.iter().any(|path| path.family() == family);
        let mut families = self.config.addresses.iter().map(|vip| Family::of(vip.address));
        families.find(|family| !has_path(*family))
    }

    /// Takes `now` as the present, which never runs backwards, and notices when the node did not
    /// run in between.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = now.max(self.last_now);
        self.last_now = now;
        let stalled = if self.phase.speaks() {
            // The first of the others takes over a little after three intervals.
            now - self.last_advertisement > self.config.interval * 3
        } else {
            self.phase.listens() && now - self.down > self.followed_interval
        };
        if stalled {
            self.apply(now, &Event::Stalled);
        }
        now
    }

    fn apply(&mut self, now: Instant, event: &Event) {
        let action = decide(&self.phase, event, &self.facts());
        self.act(now, action);
    }

    fn facts(&self) -> Facts {
        let preempts = (self.config.preempt && self.warm) || self.config.is_owner();
        let preempts = preempts && !self.yielded;
        let vacancy = match self.heard.map(|heard| heard.standing) {
            Some(Standing::Resigned) => Cause::PeerStopped,
            Some(Standing::Lower) if preempts => Cause::PeerLower,
            _ => Cause::PeerDead,
        };
        Facts { preempts, usable: self.usable, withholds: self.withholds(), vacancy }
    }

    /// The phase's own deadline.
    const fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Starting | Phase::Standby => Some(self.down),
            Phase::Failed { holding: true, action: Some(_), .. } => None,
            Phase::Failed { holding, retry, .. } if *holding || self.usable => Some(*retry),
            Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => None,
        }
    }

    /// Whether it is to take the service without listening first.
    fn is_impatient(&self) -> bool {
        let impatient = self.config.force_active || self.config.is_owner();
        impatient && self.phase == Phase::Starting && self.cause.is_none()
    }

    /// Whether `id` is the action this phase waits for.
    fn awaits(&self, id: ActionId) -> bool {
        match &self.phase {
            Phase::Acquiring { action } | Phase::Releasing { action, .. } => *action == id,
            Phase::Failed { action, .. } => *action == Some(id),
            Phase::Starting | Phase::Standby | Phase::Active | Phase::Stopped => false,
        }
    }

    /// Only the router that is active can resign. Where another one is known to be, the farewell
    /// of a third is no news.
    fn is_stale_farewell(&self, heard: &Heard) -> bool {
        let followed = self.followed.get(usize::from(heard.path.0)).copied().flatten();
        heard.standing == Standing::Resigned && followed.is_some_and(|known| known != heard.source)
    }
}

/// For recordings ([`record`](super::record)): everything but the password, and outputs nobody
/// asked for.
impl Serialize for Vrrp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Only what a machine can have become.
impl<'de> Deserialize<'de> for Vrrp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let machine = Self::deserialize(deserializer)?;
        let paths = machine.config.paths.len();
        let heard = machine.heard.map(|heard| heard.interval);
        let sane = machine.listener.is_sane(paths)
            && machine.followed.len() == paths
            && machine.last_id < IDS_MAX
            && heard.is_none_or(|interval| interval <= Version::V2.interval_max())
            && machine.followed_interval <= Version::V2.interval_max();
        sane.then_some(machine).ok_or_else(|| D::Error::custom("a machine that cannot be"))
    }
}

impl Heartbeat for Vrrp {
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, datagram: &[u8]) {
        let now = self.advance(now);
        let Some(heard) = self.listener.receive(now, &self.config, path, source, datagram) else {
            return;
        };
        if !self.is_stale_farewell(&heard) {
            self.heard = Some(heard);
            self.apply(now, &Event::Advertised(heard.standing));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.is_impatient() {
            self.acquire(now, Cause::Forced);
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.apply(now, &Event::Deadline);
        }
        if self.phase.speaks() && self.next_advertisement <= now {
            self.speak(now);
        }
    }

    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        let now = self.advance(now);
        if self.awaits(id) {
            let event = match result {
                Ok(()) => Event::Done,
                Err(error) => Event::NotDone(error),
            };
            self.apply(now, &event);
        } else {
            self.finish_update(now, id, result);
        }
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        let now = self.advance(now);
        match command {
            Command::HandOver => self.apply(now, &Event::HandOver),
            Command::Stop => self.apply(now, &Event::Stop),
            Command::Maintenance(begin) => self.maintain(now, begin),
        }
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        let now = self.advance(now);
        self.usable = usable;
        self.apply(now, if usable { &Event::PlaneUp } else { &Event::PlaneDown });
    }

    fn handle_warmth(&mut self, now: Instant, warm: bool) {
        self.advance(now);
        self.warm = warm;
    }

    fn handle_guards(&mut self, now: Instant, faults: &[Fault]) {
        let now = self.advance(now);
        self.judge_fitness(now, faults);
    }

    /// Only the active router has any, and from its first advertisement on.
    fn last_words(&self, path: PathId) -> Option<Payload> {
        let farewell = self.farewell.as_ref().filter(|_| self.phase.speaks())?;
        farewell.payloads.get(usize::from(path.0))?.clone()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.is_impatient() {
            return Some(self.since);
        }
        let advertisement = self.phase.speaks().then_some(self.next_advertisement);
        [advertisement, self.deadline()].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn state(&self) -> State {
        self.phase.state()
    }

    fn status(&self, now: Instant) -> Status {
        let mut status = Status::new(self.config.role, self.since);
        self.update_status(now, &mut status);
        status
    }

    /// The peer is whoever advertised last. No version of the protocol tells for sure who that
    /// was: it is never authenticated.
    fn update_status(&self, _now: Instant, status: &mut Status) {
        (status.role, status.state) = (self.config.role, self.state());
        status.since = self.since;
        status.maintenance = self.maintenance;
        status.adopt(&self.cause, &self.faults, &self.declined);
        status.peer = self.heard.map(|heard| {
            let state = match heard.standing {
                Standing::Resigned => State::Stopped,
                Standing::Higher | Standing::Equal | Standing::Lower => State::Active,
            };
            PeerStatus::new(state, heard.at, Some(heard.same_addresses))
        });
        status.paths.clear();
        status.paths.extend_from_slice(self.listener.paths());
        status.count_rejected(self.listener.rejected());
    }

    fn path_counters(&self, _now: Instant, path: PathId) -> PathCounters {
        self.listener.path_counters(path)
    }
}

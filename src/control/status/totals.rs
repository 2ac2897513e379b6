//! All services together.

use serde::{Deserialize, Serialize};

use super::{Counts, ServiceState, ServiceStatus};

/// What there is to notice of a service as a whole, the worst first.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Concern {
    /// Nobody answers.
    Down,
    /// It has less than its quorum.
    BelowQuorum,
    /// The sorry servers answer.
    Sorry,
    /// Some servers fail their checks.
    Degraded,
    /// No server had its first verdict yet.
    Starting,
}

impl Concern {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] =
        [Self::Down, Self::BelowQuorum, Self::Sorry, Self::Degraded, Self::Starting];

    /// Of a service in `state`, which has less than its quorum or not.
    #[must_use]
    pub const fn of(state: ServiceState, below_quorum: bool) -> Option<Self> {
        match state {
            ServiceState::Down => Some(Self::Down),
            ServiceState::Sorry => Some(Self::Sorry),
            ServiceState::Starting => Some(Self::Starting),
            ServiceState::Up | ServiceState::Degraded if below_quorum => Some(Self::BelowQuorum),
            ServiceState::Degraded => Some(Self::Degraded),
            ServiceState::Up | ServiceState::Elsewhere => None,
        }
    }
}

impl ServiceStatus {
    /// What there is to notice of it as a whole.
    #[must_use]
    pub fn concern(&self) -> Option<Concern> {
        Concern::of(self.state, self.quorum.is_some_and(|quorum| !quorum.is_met))
    }
}

/// All services of a director together, and their servers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// The services by what there is to notice of them.
    pub services: ServiceCounts,
    /// The servers of all services by what they do; a server of two services counts twice.
    pub servers: Counts,
}

/// Services by the worst there is to notice of each.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceCounts {
    /// All of them.
    pub total: u32,
    /// [`Concern::Down`].
    pub down: u32,
    /// [`Concern::BelowQuorum`].
    pub below_quorum: u32,
    /// [`Concern::Sorry`].
    pub sorry: u32,
    /// [`Concern::Degraded`].
    pub degraded: u32,
    /// [`Concern::Starting`].
    pub starting: u32,
}

impl ServiceCounts {
    /// How many there are with this to notice.
    #[must_use]
    pub const fn with(&self, concern: Concern) -> u32 {
        match concern {
            Concern::Down => self.down,
            Concern::BelowQuorum => self.below_quorum,
            Concern::Sorry => self.sorry,
            Concern::Degraded => self.degraded,
            Concern::Starting => self.starting,
        }
    }

    /// How many there are with anything to notice.
    #[must_use]
    pub fn concerning(&self) -> u32 {
        Concern::ALL.into_iter().map(|concern| self.with(concern)).fold(0, u32::saturating_add)
    }

    const fn add(&mut self, concern: Option<Concern>) {
        self.total = self.total.saturating_add(1);
        let slot = match concern {
            None => return,
            Some(Concern::Down) => &mut self.down,
            Some(Concern::BelowQuorum) => &mut self.below_quorum,
            Some(Concern::Sorry) => &mut self.sorry,
            Some(Concern::Degraded) => &mut self.degraded,
            Some(Concern::Starting) => &mut self.starting,
        };
        *slot = slot.saturating_add(1);
    }
}

impl Totals {
    /// Counts a service with its servers.
    pub const fn add(&mut self, concern: Option<Concern>, servers: Counts) {
        self.services.add(concern);
        self.servers.add_all(servers);
    }
}

impl<'a> FromIterator<&'a ServiceStatus> for Totals {
    fn from_iter<I: IntoIterator<Item = &'a ServiceStatus>>(services: I) -> Self {
        let mut totals = Self::default();
        services.into_iter().for_each(|service| totals.add(service.concern(), service.counts));
        totals
    }
}

//! The simulated kernel of one director: it carries out one action after the other, slowly.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use crate::failover::{ActionId, VirtualAddress};

/// Bringing addresses up or taking them down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Job {
    Acquire,
    Release,
}

/// A set of addresses: those of a scenario are few.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(super) struct Addresses(u8);

impl Addresses {
    /// The service of a machine without addresses counts as one.
    pub(super) fn of(addresses: &[VirtualAddress]) -> Self {
        if addresses.is_empty() {
            return Self(1 << 7);
        }
        let bit = |vip: &VirtualAddress| match vip.address {
            IpAddr::V4(address) => 1 << (address.octets()[3] % 7),
            IpAddr::V6(address) => 1 << (address.octets()[15] % 7),
        };
        Self(addresses.iter().map(bit).fold(0, |all, one| all | one))
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#b}", self.0)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) id: ActionId,
    pub(super) job: Job,
    addresses: Addresses,
}

#[derive(Debug, Default)]
pub(super) struct Kernel {
    tasks: VecDeque<Task>,
    /// These may be up: an acquisition began and no release has succeeded since.
    pub(super) touched: Addresses,
    pub(super) up: Addresses,
    /// The last release failed, so that no director can say they are down.
    pub(super) stuck: Addresses,
    /// What the director asked for and was not refused.
    wanted: Addresses,
    /// What it asked for and was refused.
    refused: Addresses,
    /// What somebody removed and is not put back yet.
    pub(super) missing: Addresses,
}

impl Kernel {
    /// Queues a task; true if it begins at once.
    pub(super) fn push(&mut self, id: ActionId, job: Job, addresses: Addresses) -> bool {
        match job {
            Job::Acquire => self.wanted = self.wanted.or(addresses),
            Job::Release => self.wanted = self.wanted.without(addresses),
        }
        self.refused = self.refused.without(addresses);
        self.tasks.push_back(Task { id, job, addresses });
        let first = self.tasks.len() == 1;
        if first {
            self.begin();
        }
        first
    }

    /// Ends the task under way; another may begin.
    pub(super) fn finish(&mut self, success: bool) -> Option<ActionId> {
        let task = self.tasks.pop_front()?;
        match (task.job, success) {
            (Job::Acquire, true) => {
                self.up = self.up.or(task.addresses);
                self.missing = self.missing.without(task.addresses);
            }
            (Job::Release, true) => {
                self.missing = self.missing.without(task.addresses);
                self.touched = self.touched.without(task.addresses);
                self.up = self.up.without(task.addresses);
                self.stuck = self.stuck.without(task.addresses);
            }
            (Job::Acquire, false) => {
                self.up = self.up.without(task.addresses);
                self.refuse(task);
            }
            (Job::Release, false) => self.refuse(task),
        }
        self.begin();
        Some(task.id)
    }

    /// The director is told that the action failed, whatever becomes of it.
    pub(super) fn give_up(&mut self, id: ActionId) {
        if let Some(task) = self.tasks.iter().find(|task| task.id == id) {
            self.refuse(*task);
        }
    }

    /// Somebody removes what is up; false if nothing is, or is about to change.
    pub(super) fn rob(&mut self) -> bool {
        if self.is_busy() || self.up.is_empty() {
            return false;
        }
        self.missing = self.missing.or(self.up);
        self.up = Addresses::default();
        true
    }

    /// Whoever holds the addresses puts back what was removed, unless they are to go anyway.
    pub(super) fn put_back(&mut self) {
        let back = std::mem::take(&mut self.missing).and(self.wanted).and(self.touched);
        self.up = self.up.or(back);
    }

    pub(super) fn current(&self) -> Option<Job> {
        self.tasks.front().map(|task| task.job)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Addresses on which somebody else cannot be without a conflict.
    pub(super) const fn holds(&self) -> Addresses {
        self.touched.without(self.stuck)
    }

    /// Whether nothing is up, nor may be.
    pub(super) const fn is_free(&self) -> bool {
        self.touched.is_empty() && self.up.is_empty()
    }

    /// Whether everything is up that a director which calls itself active has to have up. What a
    /// reload added may be on its way, or have been refused.
    pub(super) fn is_complete(&self) -> bool {
        let begins = |all: Addresses, task: &Task| all.or(task.addresses);
        let pending = self.tasks.iter().fold(Addresses::default(), begins);
        let missing = self.wanted.without(self.up).without(pending).without(self.missing);
        let nothing = self.up.or(pending).or(self.refused).or(self.missing).is_empty();
        missing.is_empty() && !nothing
    }

    fn refuse(&mut self, task: Task) {
        match task.job {
            Job::Acquire => {
                self.wanted = self.wanted.without(task.addresses);
                self.refused = self.refused.or(task.addresses);
            }
            Job::Release => self.stuck = self.stuck.or(task.addresses),
        }
    }

    fn begin(&mut self) {
        if let Some(Task { job: Job::Acquire, addresses, .. }) = self.tasks.front() {
            self.touched = self.touched.or(*addresses);
        }
    }
}

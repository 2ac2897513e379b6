//! The simulated kernel of one director: it carries out one action after the other, slowly.

use std::collections::VecDeque;

use crate::failover::ActionId;

/// Bringing addresses up or taking them down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Job {
    Acquire,
    Release,
}

#[derive(Debug, Default)]
pub(super) struct Kernel {
    jobs: VecDeque<(ActionId, Job)>,
    /// Addresses may be up: an acquisition began and no release has succeeded since.
    pub(super) touched: bool,
    /// All addresses are up.
    pub(super) up: bool,
    /// The last release failed, so that no director can say they are down.
    pub(super) stuck: bool,
}

impl Kernel {
    /// Queues a job; true if it begins at once.
    pub(super) fn push(&mut self, id: ActionId, job: Job) -> bool {
        self.jobs.push_back((id, job));
        let first = self.jobs.len() == 1;
        if first {
            self.begin();
        }
        first
    }

    /// Ends the job under way; true if another begins.
    pub(super) fn finish(&mut self, success: bool) -> Option<(ActionId, Job)> {
        let (id, job) = self.jobs.pop_front()?;
        match job {
            Job::Acquire => self.up = success,
            Job::Release if success => {
                self.touched = false;
                self.up = false;
                self.stuck = false;
            }
            Job::Release => self.stuck = true,
        }
        self.begin();
        Some((id, job))
    }

    pub(super) fn current(&self) -> Option<Job> {
        self.jobs.front().map(|(_, job)| *job)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    fn begin(&mut self) {
        if self.current() == Some(Job::Acquire) {
            self.touched = true;
        }
    }
}

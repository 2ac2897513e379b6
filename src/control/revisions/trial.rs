//! A change on trial: confirmed in time, or taken back.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::Timestamp;
use crate::time::Instant;

/// The pause after the first attempt to go back that failed; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between attempts to go back.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A change that waits to be confirmed.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// The revision that is tried.
    pub revision: u64,
    /// The revision that comes back.
    pub base: u64,
    /// Who made the change.
    pub author: String,
    /// Since when it has been in force.
    pub since: Timestamp,
    /// Until when it must be confirmed.
    pub until: Timestamp,
}

impl Pending {
    /// Revision `revision` of `author` instead of `base`, from `since` on for `window`.
    #[must_use]
    pub fn new(
        (base, revision): (u64, u64),
        author: String,
        since: Timestamp,
        window: Duration,
    ) -> Self {
        Self { revision, base, author, since, until: since.after(window) }
    }

    /// How long it still waits at `now`, for a process that did not count the time itself. A clock
    /// that was set back gives it no more than it had.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        self.until.since(now).min(self.until.since(self.since))
    }
}

/// Why an earlier revision came back.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Return {
    /// The change was not confirmed in time.
    Unconfirmed,
    /// Somebody undid it.
    Undone {
        /// Who.
        author: String,
        /// Why, if that was said.
        reason: Option<String>,
    },
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfirmed => f.write_str("nobody confirmed it in time"),
            Self::Undone { author, reason: None } => write!(f, "{author} undid it"),
            Self::Undone { author, reason: Some(reason) } => {
                write!(f, "{author} undid it: {reason}")
            }
        }
    }
}

/// What is to be done.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Bring revision `base` back; answered by [`Trial::handle_returned`].
    Return {
        /// What was tried.
        pending: Pending,
        /// Why it goes.
        why: Return,
    },
}

/// Why something cannot be done to a change.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrialError {
    /// None waits.
    #[error("no change waits to be confirmed")]
    NothingPending,
    /// Another one waits already.
    #[error("a change waits to be confirmed")]
    Pending,
    /// It is being taken back.
    #[error("the change is being rolled back")]
    Returning,
}

/// Whether a change is on trial, and what becomes of it.
#[derive(Debug, Default)]
pub struct Trial {
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Settled,
    Waiting {
        pending: Pending,
        deadline: Instant,
    },
    Returning {
        pending: Pending,
        why: Return,
        pause: Duration,
        /// When to try again; `None` while it is being tried.
        again: Option<Instant>,
    },
}

impl Trial {
    /// A change is in force that must be confirmed within `left`.
    ///
    /// # Errors
    /// [`TrialError`] where another one is on trial, which goes on as it was.
    pub fn handle_applied(
        &mut self,
        now: Instant,
        pending: Pending,
        left: Duration,
    ) -> Result<(), TrialError> {
        self.check_settled()?;
        self.state = State::Waiting { pending, deadline: now + left };
        Ok(())
    }

    /// The change turned out not to be in force.
    pub fn handle_withdrawn(&mut self) {
        if matches!(self.state, State::Waiting { .. }) {
            self.state = State::Settled;
        }
    }

    /// Somebody confirms the change, which is returned.
    ///
    /// # Errors
    /// [`TrialError`] where there is none or it is too late.
    pub fn handle_confirm(&mut self, now: Instant) -> Result<Pending, TrialError> {
        self.handle_timeout(now);
        match std::mem::take(&mut self.state) {
            State::Waiting { pending, .. } => Ok(pending),
            State::Settled => Err(TrialError::NothingPending),
            returning @ State::Returning { .. } => {
                self.state = returning;
                Err(TrialError::Returning)
            }
        }
    }

    /// Somebody undoes the change.
    ///
    /// # Errors
    /// [`TrialError`] where there is none or that is being done.
    pub fn handle_undo(&mut self, why: Return) -> Result<(), TrialError> {
        match std::mem::take(&mut self.state) {
            State::Waiting { pending, .. } => {
                self.go_back(pending, why, MIN_PAUSE);
                Ok(())
            }
            State::Settled => Err(TrialError::NothingPending),
            returning @ State::Returning { .. } => {
                self.state = returning;
                Err(TrialError::Returning)
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match std::mem::take(&mut self.state) {
            State::Waiting { pending, deadline } if deadline <= now => {
                self.go_back(pending, Return::Unconfirmed, MIN_PAUSE);
            }
            State::Returning { pending, why, pause, again: Some(again) } if again <= now => {
                self.go_back(pending, why, pause);
            }
            state => self.state = state,
        }
    }

    /// The revision before it is in force again, or could not be brought back; then it is tried
    /// again. Returns whether it was awaited.
    pub fn handle_returned(&mut self, now: Instant, done: bool) -> bool {
        match std::mem::take(&mut self.state) {
            State::Returning { again: None, .. } if done => true,
            State::Returning { pending, why, pause, again: None } => {
                let (again, pause) = (Some(now + pause), (pause * 2).min(MAX_PAUSE));
                self.state = State::Returning { pending, why, pause, again };
                true
            }
            state => {
                self.state = state;
                false
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Settled => None,
            State::Waiting { deadline, .. } => Some(*deadline),
            State::Returning { again, .. } => *again,
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The change that is not settled, if there is one.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        match &self.state {
            State::Settled => None,
            State::Waiting { pending, .. } | State::Returning { pending, .. } => Some(pending),
        }
    }

    /// Refuses a change while another one is on trial.
    ///
    /// # Errors
    /// [`TrialError`].
    pub const fn check_settled(&self) -> Result<(), TrialError> {
        match &self.state {
            State::Settled => Ok(()),
            State::Waiting { .. } => Err(TrialError::Pending),
            State::Returning { .. } => Err(TrialError::Returning),
        }
    }

    fn go_back(&mut self, pending: Pending, why: Return, pause: Duration) {
        self.outputs.push_back(Output::Return { pending: pending.clone(), why: why.clone() });
        self.state = State::Returning { pending, why, pause, again: None };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn pending(revision: u64) -> Pending {
        Pending::new((revision - 1, revision), "ann".to_owned(), Timestamp(1000), WINDOW)
    }

    #[test]
    fn a_change_that_is_confirmed_in_time_stays() {
        let mut trial = Trial::default();
        let start = Instant::ZERO;
        trial.handle_applied(start, pending(2), WINDOW).unwrap();
        assert_eq!(trial.handle_confirm(start + WINDOW / 2), Ok(pending(2)));
        trial.handle_timeout(start + WINDOW * 2);
        assert_eq!(trial.poll_output(), None);
        assert_eq!(trial.handle_confirm(start), Err(TrialError::NothingPending));
    }

    #[test]
    fn at_its_end_it_goes_and_a_word_that_comes_too_late_does_not_help() {
        let mut trial = Trial::default();
        let start = Instant::ZERO;
        trial.handle_applied(start, pending(2), WINDOW).unwrap();
        assert_eq!(trial.poll_timeout(), Some(start + WINDOW));
        assert_eq!(trial.handle_confirm(start + WINDOW), Err(TrialError::Returning));
        let why = Return::Unconfirmed;
        assert_eq!(trial.poll_output(), Some(Output::Return { pending: pending(2), why }));
    }

    #[test]
    fn going_back_is_tried_until_it_is_done() {
        let mut trial = Trial::default();
        let mut now = Instant::ZERO;
        trial.handle_applied(now, pending(2), WINDOW).unwrap();
        let why = Return::Undone { author: "bob".to_owned(), reason: None };
        trial.handle_undo(why.clone()).unwrap();
        for attempt in 0..10 {
            let expected = Output::Return { pending: pending(2), why: why.clone() };
            assert_eq!(trial.poll_output(), Some(expected), "attempt {attempt}");
            assert!(trial.handle_returned(now, false));
            assert_eq!(trial.check_settled(), Err(TrialError::Returning));
            now = trial.poll_timeout().expect("another attempt");
            trial.handle_timeout(now);
        }
        assert!(trial.handle_returned(now, true));
        assert_eq!((trial.pending(), trial.poll_timeout()), (None, None));
    }

    #[test]
    fn a_clock_that_was_set_gives_a_change_no_more_time_than_it_had() {
        let tried = pending(2);
        assert_eq!(tried.left(Timestamp(31_000)), WINDOW / 2);
        assert_eq!(tried.left(Timestamp(0)), WINDOW);
        assert_eq!(tried.left(Timestamp(u64::MAX)), Duration::ZERO);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Apply(u64),
        Confirm,
        Undo,
        Wait(u64),
        Returned(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (2_u64..9).prop_map(Step::Apply),
            Just(Step::Confirm),
            Just(Step::Undo),
            (0_u64..100).prop_map(Step::Wait),
            any::<bool>().prop_map(Step::Returned),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: a change ends by being confirmed in time or by going
        /// back, never both; each return is asked for once at a time; nothing is forgotten.
        #[test]
        fn every_change_is_confirmed_in_time_or_goes_back(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut trial = Trial::default();
            let mut now = Instant::ZERO;
            let mut applied: Option<(u64, Instant)> = None;
            let mut asked = false;
            for step in steps {
                match step {
                    Step::Apply(revision) => {
                        let taken = trial.handle_applied(now, pending(revision), WINDOW).is_ok();
                        prop_assert_eq!(taken, applied.is_none());
                        if taken {
                            applied = Some((revision, now + WINDOW));
                        }
                    }
                    Step::Confirm => {
                        if let Ok(confirmed) = trial.handle_confirm(now) {
                            let (revision, deadline) = applied.take().expect("one was applied");
                            prop_assert_eq!(confirmed.revision, revision);
                            prop_assert!(now < deadline && !asked);
                        }
                    }
                    Step::Undo => {
                        let why = Return::Undone { author: "bob".to_owned(), reason: None };
                        let _ = trial.handle_undo(why);
                    }
                    Step::Wait(seconds) => {
                        now += Duration::from_secs(seconds);
                        trial.handle_timeout(now);
                    }
                    Step::Returned(done) => {
                        let awaited = trial.handle_returned(now, done);
                        prop_assert_eq!(awaited, asked);
                        if awaited {
                            asked = false;
                            applied = applied.filter(|_| !done);
                        }
                    }
                }
                while let Some(Output::Return { pending, .. }) = trial.poll_output() {
                    prop_assert!(!asked, "asked twice");
                    prop_assert_eq!(Some(pending.revision), applied.map(|(revision, _)| revision));
                    asked = true;
                }
                prop_assert_eq!(trial.pending().is_some(), applied.is_some());
                let due = trial.poll_timeout();
                prop_assert_eq!(due.is_some(), applied.is_some() && !asked);
            }
        }
    }
}

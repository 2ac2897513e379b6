//! Every transition of the machine, in one function.
//!
//! The numbers at the arms are those of the lines of RFC 9568 section 6.4, the state machine.
//! What it does not have (addresses that take time or fail, a data plane, commands) follows
//! `failover::pulse`.

use serde::{Deserialize, Serialize};

use crate::failover::{ActionError, ActionId, Cause, State};
use crate::time::Instant;

/// The state with what belongs to it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Phase {
    /// "Backup" before another router was heard.
    Starting,
    /// "Backup".
    Standby,
    /// "Active" whose addresses are coming up.
    Acquiring { action: ActionId },
    /// "Active".
    Active,
    /// Waiting for the addresses to go down. `speaks` while no other router may take them.
    Releasing { action: ActionId, then: After, speaks: bool },
    /// Unable to hold the service; tries again at `retry` if the data plane is usable. `holding`
    /// while the addresses could not be taken down, `action` being the latest try.
    Failed { holding: bool, action: Option<ActionId>, retry: Instant },
    /// "Initialize", for good.
    Stopped,
}

/// What a release leads to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum After {
    Listen,
    Standby,
    /// [`Phase::Standby`], and no preemption of whoever takes over.
    Yield,
    Fail(Cause),
    Stop,
}

/// What can happen to a machine, in its own terms.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// An advertisement was accepted.
    Advertised(Standing),
    /// The phase's own deadline passed; while listening, the timer of the active router.
    Deadline,
    /// The phase's action is done.
    Done,
    /// The phase's action failed.
    NotDone(ActionError),
    /// The data plane broke down.
    PlaneDown,
    /// The data plane works again.
    PlaneUp,
    /// The administrator wants another router to take over.
    HandOver,
    /// This router should not hold the service any more, for this reason.
    Unfit(Cause),
    /// The process is to end.
    Stop,
    /// This node did not run for so long that others may have taken over.
    Stalled,
}

/// Who advertises, as compared with this router.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Standing {
    /// The active router gives up (priority 0).
    Resigned,
    /// Of higher priority, or of the same with a greater address.
    Higher,
    /// Of the same priority, with a smaller address.
    Equal,
    /// Of lower priority.
    Lower,
}

/// What else a decision rests on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// A router of lower priority is not let be.
    pub(super) preempts: bool,
    /// The data plane works.
    pub(super) usable: bool,
    /// It does not take over, whatever becomes of the others.
    pub(super) withholds: bool,
    /// Why no router that counts is active, once the timer says so.
    pub(super) vacancy: Cause,
}

/// What to do about an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing.
    Stay,
    /// Stay, and wait for the next advertisement from here.
    Follow,
    /// Stay, and wait for a takeover of others no longer than the own skew time.
    Hasten,
    /// Stay, and say at once who is active.
    Assert,
    /// To [`Phase::Starting`].
    Listen(Cause),
    /// To [`Phase::Standby`].
    StandBy(Cause),
    /// To [`Phase::Acquiring`].
    Acquire(Cause),
    /// To [`Phase::Active`].
    Confirm,
    /// To [`Phase::Releasing`].
    Release { cause: Cause, then: After, speaks: bool },
    /// Stay in [`Phase::Releasing`] and say no more.
    Cede,
    /// Stay in [`Phase::Releasing`] but go elsewhere afterwards.
    Divert(After),
    /// To [`Phase::Standby`], which does not preempt.
    Yield,
    /// To [`Phase::Failed`].
    Fail { cause: Cause, holding: bool },
    /// Try again to take the addresses down.
    RetryRelease,
    /// To [`Phase::Stopped`].
    End(Cause),
    /// Tell the administrator why not.
    Decline(Cause),
    /// Stay, and say once that this is for maintenance.
    Withhold,
}

impl Phase {
    pub(super) const fn state(&self) -> State {
        match self {
            Self::Starting => State::Starting,
            Self::Standby => State::Standby,
            Self::Acquiring { .. } => State::Acquiring,
            Self::Active => State::Active,
            Self::Releasing { .. } => State::Releasing,
            Self::Failed { .. } => State::Failed,
            Self::Stopped => State::Stopped,
        }
    }

    /// Whether this router advertises.
    pub(super) const fn speaks(&self) -> bool {
        matches!(self, Self::Acquiring { .. } | Self::Active | Self::Releasing { speaks: true, .. })
    }

    /// Whether it waits for the active router to fall silent.
    pub(super) const fn listens(&self) -> bool {
        matches!(self, Self::Starting | Self::Standby)
    }
}

/// What `event` means in `phase`. Changes nothing itself.
pub(super) fn decide(phase: &Phase, event: &Event, facts: &Facts) -> Action {
    match event {
        Event::Advertised(standing) => decide_advertised(phase, *standing, facts),
        Event::Deadline => decide_deadline(phase, facts),
        Event::Done => decide_done(phase, facts),
        Event::NotDone(error) => decide_not_done(phase, error),
        Event::PlaneDown => decide_plane_down(phase),
        Event::PlaneUp => match phase {
            Phase::Failed { holding: false, .. } => Action::Listen(Cause::DataPlaneUsable),
            _ => Action::Stay,
        },
        Event::HandOver => match phase {
            // A backup is silent: there is no telling whether one is there. If none is, the timer
            // brings the service back here.
            Phase::Active => release(Cause::Requested, After::Yield),
            Phase::Stopped => Action::Stay,
            _ => Action::Decline(Cause::NotActive),
        },
        Event::Unfit(cause) => match phase {
            Phase::Acquiring { .. } | Phase::Active => release(cause.clone(), After::Yield),
            _ => Action::Stay,
        },
        Event::Stop => decide_stop(phase),
        Event::Stalled => decide_stalled(phase),
    }
}

fn decide_advertised(phase: &Phase, standing: Standing, facts: &Facts) -> Action {
    use Phase as P;
    use Standing as S;
    match (phase, standing) {
        // (420) The others have the same chance: who skews least, takes over.
        (P::Starting | P::Standby, S::Resigned) => Action::Hasten,
        // (440) What is as good as this router, or better, or let be, is waited for anew.
        (P::Starting, S::Higher | S::Equal) => Action::StandBy(Cause::PeerActive),
        (P::Standby, S::Higher | S::Equal) => Action::Follow,
        // (470) With preemption a lesser one is not heard, and the timer runs out.
        (P::Starting | P::Standby, S::Lower) if facts.preempts => Action::Stay,
        (P::Starting, S::Lower) => Action::StandBy(Cause::PeerActive),
        (P::Standby, S::Lower) => Action::Follow,

        // (705) There is one active router: the higher.
        (P::Acquiring { .. } | P::Active, S::Higher) => {
            Action::Release { cause: Cause::PeerHigher, then: After::Standby, speaks: false }
        }
        // (710) And it says so at once to who does not know.
        (P::Acquiring { .. } | P::Active, S::Resigned | S::Equal | S::Lower) => Action::Assert,

        (P::Releasing { speaks: true, .. }, S::Higher) => Action::Cede,
        (P::Releasing { .. } | P::Failed { .. } | P::Stopped, _) => Action::Stay,
    }
}

fn decide_deadline(phase: &Phase, facts: &Facts) -> Action {
    match phase {
        Phase::Starting | Phase::Standby if facts.withholds => Action::Withhold,
        // (305) Nobody says any more that he is active.
        Phase::Starting | Phase::Standby => Action::Acquire(facts.vacancy.clone()),
        Phase::Failed { holding: true, .. } => Action::RetryRelease,
        Phase::Failed { holding: false, .. } if facts.usable => Action::Listen(Cause::Retrying),
        Phase::Acquiring { .. }
        | Phase::Active
        | Phase::Releasing { .. }
        | Phase::Failed { .. }
        | Phase::Stopped => Action::Stay,
    }
}

fn decide_done(phase: &Phase, facts: &Facts) -> Action {
    match phase {
        Phase::Acquiring { .. } => Action::Confirm,
        Phase::Releasing { then, .. } => released(then, facts),
        Phase::Failed { holding: true, .. } => {
            Action::Fail { cause: Cause::Released, holding: false }
        }
        Phase::Starting
        | Phase::Standby
        | Phase::Active
        | Phase::Failed { .. }
        | Phase::Stopped => Action::Stay,
    }
}

/// Where a finished release leads, unless the data plane broke down on the way.
fn released(then: &After, facts: &Facts) -> Action {
    match then {
        After::Stop => Action::End(Cause::Stopping),
        After::Fail(cause) => Action::Fail { cause: cause.clone(), holding: false },
        After::Listen | After::Standby | After::Yield if !facts.usable => {
            Action::Fail { cause: Cause::DataPlaneFailed, holding: false }
        }
        After::Listen => Action::Listen(Cause::Released),
        After::Standby => Action::StandBy(Cause::Released),
        After::Yield => Action::Yield,
    }
}

fn decide_not_done(phase: &Phase, error: &ActionError) -> Action {
    let cause = Cause::ActionFailed(error.clone());
    match phase {
        Phase::Acquiring { .. } => release(cause.clone(), After::Fail(cause)),
        Phase::Releasing { then: After::Stop, .. } => Action::End(cause),
        Phase::Releasing { .. } | Phase::Failed { holding: true, .. } => {
            Action::Fail { cause, holding: true }
        }
        Phase::Starting
        | Phase::Standby
        | Phase::Active
        | Phase::Failed { .. }
        | Phase::Stopped => Action::Stay,
    }
}

/// A router that cannot forward must not hold the addresses.
fn decide_plane_down(phase: &Phase) -> Action {
    match phase {
        Phase::Starting | Phase::Standby => {
            Action::Fail { cause: Cause::DataPlaneFailed, holding: false }
        }
        Phase::Acquiring { .. } | Phase::Active => {
            release(Cause::DataPlaneFailed, After::Fail(Cause::DataPlaneFailed))
        }
        Phase::Releasing { .. } | Phase::Failed { .. } | Phase::Stopped => Action::Stay,
    }
}

/// (655) The last word comes after the addresses are down.
fn decide_stop(phase: &Phase) -> Action {
    match phase {
        Phase::Starting | Phase::Standby | Phase::Failed { holding: false, .. } => {
            Action::End(Cause::Stopping)
        }
        Phase::Acquiring { .. } | Phase::Active => release(Cause::Stopping, After::Stop),
        Phase::Failed { holding: true, .. } => {
            Action::Release { cause: Cause::Stopping, then: After::Stop, speaks: false }
        }
        Phase::Releasing { .. } => Action::Divert(After::Stop),
        Phase::Stopped => Action::Stay,
    }
}

/// Step down before speaking, then listen as after a start.
fn decide_stalled(phase: &Phase) -> Action {
    match phase {
        Phase::Starting | Phase::Standby => Action::Follow,
        Phase::Acquiring { .. } | Phase::Active => {
            Action::Release { cause: Cause::Suspended, then: After::Listen, speaks: false }
        }
        Phase::Releasing { speaks: true, .. } => Action::Cede,
        Phase::Releasing { .. } | Phase::Failed { .. } | Phase::Stopped => Action::Stay,
    }
}

/// A release that others must not know of before it is done.
const fn release(cause: Cause, then: After) -> Action {
    Action::Release { cause, then, speaks: true }
}

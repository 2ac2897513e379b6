//! Every transition of the machine, in one function.
//!
//! Sources named at the arms: "0.8.6" is what Piranha's own pulse does (`docs/pulse-protocol.md`,
//! "The original's rules"); the other words refer to the sections of the same page.

use serde::{Deserialize, Serialize};

use crate::failover::guard::Fault;
use crate::failover::{ActionError, ActionId, Cause, State};
use crate::time::Instant;

/// The state with what belongs to it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Phase {
    /// Listening before the first decision.
    Starting,
    /// Ready; `accepted` is the hand-over this node agreed to.
    Standby { accepted: Option<u64> },
    /// Released for the peer, which has not taken the service yet. [`State::Standby`] to others.
    Handing(Attempt),
    /// Waiting for the addresses to come up.
    Acquiring { action: ActionId },
    /// Holding the addresses.
    Active,
    /// Holding the addresses, and the peer was asked to take them. [`State::Active`] to others.
    Offering(Attempt),
    /// Waiting for the addresses to go down.
    Releasing { action: ActionId, then: After },
    /// Unable to hold the service; tries again at `retry` if the data plane is usable. `holding`
    /// while the addresses could not be taken down, `action` being the latest try.
    Failed { holding: bool, action: Option<ActionId>, retry: Instant },
    /// The end.
    Stopped,
}

/// One hand-over, from the side that gives.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Attempt {
    pub(super) id: u64,
    pub(super) purpose: Purpose,
    /// When to give up waiting for the peer.
    pub(super) deadline: Instant,
    /// When to say it again, and how often still, beside the regular heartbeats.
    pub(super) repeat: Instant,
    pub(super) repeats_left: u8,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Purpose {
    /// The administrator, or the peer, asked for it.
    HandOver,
    /// A guard of this node fails.
    Yield,
    /// The process is to end.
    Stop,
}

/// What a release leads to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum After {
    Listen,
    Standby,
    Hand { id: u64, purpose: Purpose },
    Fail(Cause),
    Stop,
}

/// What can happen to a machine, in its own terms.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// What is known of the peer, looked at again after every input.
    Peer(View),
    /// The phase's own deadline passed.
    Deadline,
    /// The peer offers the service.
    Offered(u64),
    /// The peer agreed to the offer under way.
    Accepted,
    /// The peer turned the offer under way down.
    Refused,
    /// The peer released the service in a hand-over this node agreed to.
    Yours,
    /// The peer, which has precedence, wants the service back.
    Asked,
    /// The phase's action is done.
    Done,
    /// The phase's action failed.
    NotDone(ActionError),
    /// The data plane broke down.
    PlaneDown,
    /// The data plane works again.
    PlaneUp,
    /// The administrator wants the peer to take over.
    HandOver,
    /// The administrator wants this node out of the way.
    Maintain,
    /// The process is to end.
    Stop,
    /// This node did not run for so long that the peer may have taken over.
    Stalled,
}

/// The peer as far as it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum View {
    /// Nothing was heard for the dead time.
    Silent,
    /// Active, or about to be.
    Claims,
    /// Giving the addresses up; they may still be there.
    Releases,
    /// Able to hold the service and not holding it.
    Idle,
    /// The same, for so long that waiting for it to act is over.
    Lingers,
    /// Cannot hold the service.
    Failed,
    /// Ended.
    Stopped,
}

/// Why a node had better not hold the service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unfit<'a> {
    Maintenance,
    /// This guard fails.
    Guard(&'a Fault),
}

impl Unfit<'_> {
    fn cause(self) -> Cause {
        match self {
            Self::Maintenance => Cause::Maintenance,
            Self::Guard(fault) => Cause::Guard(fault.clone()),
        }
    }
}

/// What else a decision rests on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts<'a> {
    /// This node has precedence over its peer.
    pub(super) wins: bool,
    /// There is no peer.
    pub(super) alone: bool,
    /// The data plane works.
    pub(super) usable: bool,
    /// The protocol has hand-over steps (version 2).
    pub(super) negotiates: bool,
    /// Why the peer could not take the service now.
    pub(super) peer_unable: Option<Cause>,
    /// Why this node had better not hold the service.
    pub(super) unfit: Option<Unfit<'a>>,
    /// The reason is maintenance, which nothing overrules.
    pub(super) maintenance: bool,
    /// A hand-over to the peer may be tried: the last failure is a while ago.
    pub(super) may_offer: bool,
}

/// What to do about an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing.
    Stay,
    /// To [`Phase::Starting`].
    Listen(Cause),
    /// To [`Phase::Standby`].
    StandBy(Cause),
    /// To [`Phase::Acquiring`].
    Acquire(Cause),
    /// To [`Phase::Active`].
    Confirm,
    /// To [`Phase::Releasing`].
    Release(Cause, After),
    /// Stay in [`Phase::Releasing`] but go elsewhere afterwards.
    Divert(After),
    /// To [`Phase::Offering`].
    Offer(Purpose),
    /// Stay in the hand-over, but to stop afterwards.
    StopAfter,
    /// Back from [`Phase::Offering`] to [`Phase::Active`].
    Keep(Cause),
    /// To [`Phase::Handing`].
    Hand { id: u64, purpose: Purpose },
    /// To [`Phase::Failed`].
    Fail { cause: Cause, holding: bool },
    /// Try again to take the addresses down.
    RetryRelease,
    /// To [`Phase::Stopped`].
    End(Cause),
    /// Agree to take the service.
    Accept(u64),
    /// Do not agree.
    Refuse(u64),
    /// Tell the administrator why not.
    Decline(Cause),
    /// Stay, though there is reason to act; tell why, once.
    Withhold(Cause),
}

impl Phase {
    pub(super) const fn state(&self) -> State {
        match self {
            Self::Starting => State::Starting,
            Self::Standby { .. } | Self::Handing(_) => State::Standby,
            Self::Acquiring { .. } => State::Acquiring,
            Self::Active | Self::Offering(_) => State::Active,
            Self::Releasing { .. } => State::Releasing,
            Self::Failed { .. } => State::Failed,
            Self::Stopped => State::Stopped,
        }
    }

    /// Whether addresses are up or coming up, and the node speaks as their owner.
    pub(super) const fn claims(&self) -> bool {
        matches!(self, Self::Acquiring { .. } | Self::Active | Self::Offering(_))
    }
}

/// What `event` means in `phase`. Changes nothing itself.
#[expect(clippy::too_many_lines, reason = "one exhaustive table, read as one")]
pub(super) fn decide(phase: &Phase, event: &Event, facts: &Facts<'_>) -> Action {
    use Phase as P;
    use View as V;
    match (phase, event) {
        // The end is the end.
        (P::Stopped, _) => Action::Stay,

        // "Starting". A peer that holds the service, or is about to, keeps it: no failback (0.8.6).
        (P::Starting, Event::Peer(V::Claims | V::Releases)) => Action::StandBy(Cause::PeerActive),
        // 0.8.6 let whoever first heard "stopped" activate; here the primary acts and the backup
        // gives it a dead time to.
        (P::Starting, Event::Peer(V::Idle | V::Lingers)) if goes_first(facts) => {
            begin(facts, Cause::PeerStandby)
        }
        (P::Starting, Event::Peer(V::Idle | V::Lingers)) => Action::StandBy(Cause::PeerStandby),

        // "Takeover". Silence for the dead time (0.8.6: "partner dead: activating lvs").
        (P::Starting, Event::Peer(V::Silent)) => match cut_off(facts) {
            Some(reason) => Action::StandBy(reason),
            None => begin(facts, silent_cause(facts)),
        },
        (P::Standby { .. }, Event::Peer(V::Silent)) => match cut_off(facts) {
            Some(reason) => Action::Withhold(reason),
            None => take(facts, silent_cause(facts)),
        },
        // A peer that cannot or will not is not waited for (0.8.6: "partner inactive").
        (P::Starting, Event::Peer(V::Failed)) => begin(facts, Cause::PeerFailed),
        (P::Starting, Event::Peer(V::Stopped)) => begin(facts, Cause::PeerStopped),
        (P::Standby { .. }, Event::Peer(V::Failed)) => take(facts, Cause::PeerFailed),
        (P::Standby { .. }, Event::Peer(V::Stopped)) => take(facts, Cause::PeerStopped),
        (P::Standby { .. }, Event::Peer(V::Claims | V::Releases)) => Action::Stay,
        (P::Standby { .. }, Event::Peer(V::Idle)) if !goes_first(facts) => Action::Stay,
        (P::Standby { .. }, Event::Peer(V::Idle | V::Lingers)) => take(facts, Cause::PeerStandby),

        // "Hand-over", receiving side.
        (P::Standby { .. }, Event::Offered(id)) => match facts.unfit {
            Some(_) => Action::Refuse(*id),
            None => Action::Accept(*id),
        },
        (P::Standby { .. }, Event::Yours) => Action::Acquire(Cause::PeerHandsOver),
        (
            P::Starting
            | P::Handing(_)
            | P::Acquiring { .. }
            | P::Active
            | P::Offering(_)
            | P::Releasing { .. }
            | P::Failed { .. },
            Event::Offered(id),
        ) => Action::Refuse(*id),

        // "Both active". The backup sends one more heartbeat and deactivates (0.8.6), also while
        // it is still acquiring; the primary stays.
        (P::Acquiring { .. } | P::Active | P::Offering(_), Event::Peer(V::Claims))
            if !facts.wins =>
        {
            Action::Release(yielding_cause(facts), After::Standby)
        }
        // "Guards". The service goes to a peer that can take it, and nowhere else.
        (P::Active, Event::Peer(_)) => give_up(facts),
        (P::Acquiring { .. } | P::Offering(_), Event::Peer(_)) => Action::Stay,

        // "Completions". Nothing is announced before the addresses are known to be up.
        (P::Acquiring { .. }, Event::Done) => Action::Confirm,
        (P::Acquiring { .. }, Event::NotDone(error)) => {
            let cause = Cause::ActionFailed(error.clone());
            Action::Release(cause.clone(), After::Fail(cause))
        }
        (P::Releasing { then, .. }, Event::Done) => released(then, facts),
        (P::Releasing { then, .. }, Event::NotDone(error)) => {
            let cause = Cause::ActionFailed(error.clone());
            if stops(then) { Action::End(cause) } else { Action::Fail { cause, holding: true } }
        }
        (P::Failed { holding: true, .. }, Event::Done) => {
            Action::Fail { cause: Cause::Released, holding: false }
        }
        (P::Failed { holding: true, .. }, Event::NotDone(error)) => {
            Action::Fail { cause: Cause::ActionFailed(error.clone()), holding: true }
        }

        // "Data plane". A director that cannot forward must not hold the addresses, and says so
        // (0.8.6: its lvsd died, "stopped" goes out with the next heartbeat).
        (P::Starting | P::Standby { .. }, Event::PlaneDown) => fail_by_plane(),
        (P::Handing(attempt), Event::PlaneDown) if attempt.purpose != Purpose::Stop => {
            fail_by_plane()
        }
        (P::Acquiring { .. } | P::Active | P::Offering(_), Event::PlaneDown) => {
            Action::Release(Cause::DataPlaneFailed, After::Fail(Cause::DataPlaneFailed))
        }
        (P::Failed { holding: false, .. }, Event::PlaneUp) => {
            Action::StandBy(Cause::DataPlaneUsable)
        }
        (P::Failed { holding: true, .. }, Event::Deadline) => Action::RetryRelease,
        (P::Failed { holding: false, .. }, Event::Deadline) if facts.usable => {
            Action::StandBy(Cause::Retrying)
        }

        // "Hand-over", giving side.
        (P::Active, Event::HandOver | Event::Maintain | Event::Asked) => match &facts.peer_unable {
            Some(reason) => Action::Decline(reason.clone()),
            None if facts.negotiates => Action::Offer(Purpose::HandOver),
            None => Action::Release(Cause::Requested, hand(0, Purpose::HandOver)),
        },
        (P::Active, Event::Stop) if facts.negotiates && facts.peer_unable.is_none() => {
            Action::Offer(Purpose::Stop)
        }
        (P::Active, Event::Stop) => Action::Release(Cause::Stopping, After::Stop),
        (P::Offering(attempt), Event::Accepted) => match given_cause(attempt.purpose, facts) {
            Some(cause) => Action::Release(cause, hand(attempt.id, attempt.purpose)),
            None => Action::Keep(Cause::Mended),
        },
        (P::Offering(attempt), Event::Refused | Event::Deadline) => match attempt.purpose {
            Purpose::HandOver | Purpose::Yield => Action::Keep(Cause::PeerRefused),
            Purpose::Stop => Action::Release(Cause::Stopping, After::Stop),
        },
        (P::Handing(attempt), Event::Peer(V::Claims)) => match attempt.purpose {
            Purpose::HandOver | Purpose::Yield => Action::StandBy(Cause::PeerActive),
            Purpose::Stop => Action::End(Cause::Stopping),
        },
        (P::Handing(_), Event::Peer(V::Releases | V::Idle | V::Lingers)) => Action::Stay,
        (P::Handing(attempt), Event::Peer(V::Silent)) => take_back(attempt, silent_cause(facts)),
        (P::Handing(attempt), Event::Peer(V::Failed)) => take_back(attempt, Cause::PeerFailed),
        (P::Handing(attempt), Event::Peer(V::Stopped)) => take_back(attempt, Cause::PeerStopped),
        (P::Handing(attempt), Event::Deadline) => take_back(attempt, Cause::PeerRefused),

        // "Commands" where there is nothing to hand over.
        (
            P::Starting
            | P::Standby { .. }
            | P::Handing(_)
            | P::Acquiring { .. }
            | P::Releasing { .. }
            | P::Failed { .. },
            Event::HandOver,
        ) => Action::Decline(Cause::NotActive),
        (P::Acquiring { .. } | P::Failed { holding: true, .. }, Event::Maintain) => {
            Action::Decline(Cause::Busy)
        }
        (P::Starting | P::Standby { .. } | P::Failed { holding: false, .. }, Event::Stop) => {
            Action::End(Cause::Stopping)
        }
        (P::Acquiring { .. } | P::Failed { holding: true, .. }, Event::Stop) => {
            Action::Release(Cause::Stopping, After::Stop)
        }
        (P::Handing(_) | P::Offering(_), Event::Stop) => Action::StopAfter,
        (P::Releasing { then, .. }, Event::Stop) => match then {
            After::Hand { id, .. } => Action::Divert(hand(*id, Purpose::Stop)),
            After::Listen | After::Standby | After::Fail(_) | After::Stop => {
                Action::Divert(After::Stop)
            }
        },

        // "Suspend". Step down before speaking, then listen as after a start.
        (P::Acquiring { .. } | P::Active | P::Offering(_), Event::Stalled) => {
            Action::Release(Cause::Suspended, After::Listen)
        }
        (P::Handing(attempt), Event::Stalled) => match attempt.purpose {
            Purpose::HandOver | Purpose::Yield => Action::Listen(Cause::Suspended),
            Purpose::Stop => Action::End(Cause::Stopping),
        },

        // What has no meaning in a phase changes nothing.
        (
            P::Starting | P::Standby { .. },
            Event::Deadline
            | Event::Accepted
            | Event::Refused
            | Event::Asked
            | Event::Done
            | Event::NotDone(_)
            | Event::PlaneUp
            | Event::Maintain
            | Event::Stalled,
        )
        | (P::Starting, Event::Yours)
        | (
            P::Handing(_),
            Event::Accepted
            | Event::Refused
            | Event::Yours
            | Event::Asked
            | Event::Done
            | Event::NotDone(_)
            | Event::PlaneDown
            | Event::PlaneUp
            | Event::Maintain,
        )
        | (
            P::Acquiring { .. },
            Event::Deadline
            | Event::Accepted
            | Event::Refused
            | Event::Yours
            | Event::Asked
            | Event::PlaneUp,
        )
        | (
            P::Active,
            Event::Deadline
            | Event::Accepted
            | Event::Refused
            | Event::Yours
            | Event::Done
            | Event::NotDone(_)
            | Event::PlaneUp,
        )
        | (
            P::Offering(_),
            Event::Yours
            | Event::Asked
            | Event::Done
            | Event::NotDone(_)
            | Event::PlaneUp
            | Event::HandOver
            | Event::Maintain,
        )
        | (
            P::Releasing { .. },
            Event::Peer(_)
            | Event::Deadline
            | Event::Accepted
            | Event::Refused
            | Event::Yours
            | Event::Asked
            | Event::PlaneDown
            | Event::PlaneUp
            | Event::Maintain
            | Event::Stalled,
        )
        | (
            P::Failed { .. },
            Event::Peer(_)
            | Event::Deadline
            | Event::Accepted
            | Event::Refused
            | Event::Yours
            | Event::Asked
            | Event::Done
            | Event::NotDone(_)
            | Event::PlaneDown
            | Event::PlaneUp
            | Event::Maintain
            | Event::Stalled,
        ) => Action::Stay,
    }
}

/// Whether this node is the one to act when neither has the service. Version 1 does not tell the
/// peer that this node is unfit, so this node waits longer instead.
const fn goes_first(facts: &Facts<'_>) -> bool {
    facts.wins && (facts.negotiates || facts.unfit.is_none())
}

/// Takes the service, also where a guard fails: that the peer has it not is certain.
fn take(facts: &Facts<'_>, cause: Cause) -> Action {
    if facts.maintenance { Action::Withhold(Cause::Maintenance) } else { Action::Acquire(cause) }
}

/// The same from a start, which ends in any case.
fn begin(facts: &Facts<'_>, cause: Cause) -> Action {
    if facts.maintenance { Action::StandBy(Cause::Maintenance) } else { Action::Acquire(cause) }
}

/// Why silence is no reason to take over: whoever hears nothing and has a failing guard is likely to
/// be the one who is cut off.
fn cut_off(facts: &Facts<'_>) -> Option<Cause> {
    facts.unfit.filter(|_| !facts.alone).map(Unfit::cause)
}

fn give_up(facts: &Facts<'_>) -> Action {
    match (facts.unfit, &facts.peer_unable) {
        (None, _) => Action::Stay,
        (Some(_), Some(Cause::PeerActive)) => Action::Stay,
        (Some(_), Some(reason)) => Action::Withhold(reason.clone()),
        (Some(_), None) if !facts.may_offer => Action::Withhold(Cause::PeerRefused),
        (Some(_), None) if facts.negotiates => Action::Offer(Purpose::Yield),
        (Some(reason), None) => Action::Release(reason.cause(), hand(0, Purpose::Yield)),
    }
}

/// Where a finished release leads, unless the data plane broke down on the way.
fn released(then: &After, facts: &Facts<'_>) -> Action {
    match then {
        After::Stop => Action::End(Cause::Stopping),
        After::Hand { id, purpose: Purpose::Stop } => {
            Action::Hand { id: *id, purpose: Purpose::Stop }
        }
        After::Fail(cause) => Action::Fail { cause: cause.clone(), holding: false },
        After::Listen | After::Standby | After::Hand { .. } if !facts.usable => fail_by_plane(),
        After::Listen => Action::Listen(Cause::Released),
        After::Standby => Action::StandBy(Cause::Released),
        After::Hand { id, purpose } => Action::Hand { id: *id, purpose: *purpose },
    }
}

const fn stops(then: &After) -> bool {
    matches!(then, After::Stop | After::Hand { purpose: Purpose::Stop, .. })
}

/// The peer agreed and then did not take the service: it must not stay without an owner.
fn take_back(attempt: &Attempt, cause: Cause) -> Action {
    match attempt.purpose {
        Purpose::HandOver | Purpose::Yield => Action::Acquire(cause),
        Purpose::Stop => Action::End(Cause::Stopping),
    }
}

const fn fail_by_plane() -> Action {
    Action::Fail { cause: Cause::DataPlaneFailed, holding: false }
}

const fn hand(id: u64, purpose: Purpose) -> After {
    After::Hand { id, purpose }
}

/// Why the service goes; none if the reason to offer it is gone.
fn given_cause(purpose: Purpose, facts: &Facts<'_>) -> Option<Cause> {
    match purpose {
        Purpose::HandOver => Some(Cause::Requested),
        Purpose::Yield => facts.unfit.map(Unfit::cause),
        Purpose::Stop => Some(Cause::Stopping),
    }
}

/// A fit peer has precedence for no other reason than that.
fn yielding_cause(facts: &Facts<'_>) -> Cause {
    facts.unfit.filter(|_| facts.negotiates).map_or(Cause::PeerWins, Unfit::cause)
}

const fn silent_cause(facts: &Facts<'_>) -> Cause {
    if facts.alone { Cause::Alone } else { Cause::PeerDead }
}

//! Which monitor wants what when, and which of them one probe serves. Pure: time comes in, and what
//! is to be done comes out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::slab::{Slab, Slot};
use crate::control::Histogram;
use crate::health::{
    Failure, Health, Monitor, MonitorConfig, Output, Override, ProbeId, Snapshot, Stage,
};
use crate::time::Instant;

/// Monitors under keys `K`, of servers that are asked in the ways `A`.
///
/// Monitors in one group ask the same: whoever asks first is probed for, and whoever asks while that
/// goes on waits for the same answer. As they keep one beat, that is nearly every time.
#[derive(Debug)]
pub(super) struct Crew<K, A> {
    members: Slab<Member<K>>,
    groups: Slab<Group<A>>,
    /// When to look after whom; entries of earlier plans are passed over.
    due: BinaryHeap<Reverse<(Instant, Slot)>>,
    flights: u64,
    actions: VecDeque<Action<K>>,
    /// Whose standing has changed since that was last asked for.
    changed: Vec<Slot>,
}

/// What a monitor says of its server, without ages and counters.
pub(in crate::runtime) type Standing = (Health, Override);

/// What the driver has to do.
#[derive(Debug, PartialEq)]
pub(super) enum Action<K> {
    /// Probe, and hand the result in.
    Start(Flight, Duration),
    /// Nobody waits for this result any more.
    Stop(Flight),
    /// Tell the owner of the pool.
    Tell(K, Output),
}

/// One probe.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Flight {
    pub(super) group: Slot,
    number: u64,
}

/// With whom a monitor shares its probes.
pub(super) enum Side<A> {
    /// With nobody yet: it asks in this way.
    Own(A),
    /// With this one.
    With(Slot),
}

impl<A> Side<A> {
    const fn mate(&self) -> Option<Slot> {
        match self {
            Self::Own(_) => None,
            Self::With(mate) => Some(*mate),
        }
    }
}

/// What a monitor begins with.
pub(super) struct Start {
    pub(super) config: MonitorConfig,
    /// What it knew in an earlier life.
    pub(super) snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct Member<K> {
    key: K,
    monitor: Monitor,
    /// How long its probes took.
    durations: Histogram,
    group: Slot,
    /// The probe it waits for.
    flight: Option<Flight>,
    /// Its entry in `due`.
    due: Option<Instant>,
    /// What it was known to stand at, and whether that has changed since.
    standing: Standing,
    changed: bool,
}

impl<K> Member<K> {
    const fn is_sure(&self) -> bool {
        matches!(self.monitor.health(), Health::Up | Health::Down)
    }

    /// Whether its standing has changed for the first time since that was asked for.
    fn changes(&mut self) -> bool {
        let standing = self.monitor.standing();
        let before = std::mem::replace(&mut self.standing, standing);
        standing != before && !std::mem::replace(&mut self.changed, true)
    }
}

#[derive(Debug)]
struct Group<A> {
    ask: A,
    members: Vec<Slot>,
    flight: Option<UnderWay>,
    /// Who waits for the probe under way.
    waiting: Vec<(Slot, ProbeId)>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: u64,
    deadline: Instant,
    limit: Duration,
}

impl UnderWay {
    /// How long it has been under way, its whole time at most.
    fn took(&self, now: Instant) -> Duration {
        self.limit.saturating_sub(self.deadline - now)
    }
}

/// A way to ask.
pub(super) trait Ask {
    /// What a probe that does not come back was waiting for, where there is but one thing.
    fn stage(&self) -> Option<Stage>;
}

impl<K, A> Default for Crew<K, A> {
    fn default() -> Self {
        Self {
            members: Slab::default(),
            groups: Slab::default(),
            due: BinaryHeap::new(),
            flights: 0,
            actions: VecDeque::new(),
            changed: Vec::new(),
        }
    }
}

impl<K: Clone, A: Ask> Crew<K, A> {
    /// A monitor more. Beside another it knows at once what that one knows, unless there is a
    /// snapshot of its own.
    pub(super) fn join(&mut self, now: Instant, key: K, side: Side<A>, start: Start) -> Slot {
        let mate = side.mate().and_then(|mate| self.members.get(mate));
        let mut monitor = match (start.snapshot, mate) {
            (Some(snapshot), _) => Monitor::restore(now, start.config, snapshot),
            (None, Some(mate)) => mate.monitor.beside(now, start.config),
            (None, None) => Monitor::new(now, start.config),
        };
        mate.into_iter().for_each(|mate| monitor.keep(mate.monitor.beat()));
        let (group, flight, due) = (Slot::NOWHERE, None, None);
        let (durations, standing) = (Histogram::default(), monitor.standing());
        let slot = self.members.insert(Member {
            key,
            monitor,
            durations,
            group,
            flight,
            due,
            standing,
            changed: true,
        });
        self.changed.push(slot);
        self.enter_group(slot, side);
        self.settle(now, slot);
        slot
    }

    /// A monitor less. What it had to tell stays told.
    pub(super) fn leave(&mut self, slot: Slot) {
        self.give_up(slot);
        self.leave_group(slot);
        self.members.remove(slot);
    }

    /// From the next probe on, asks with others or in another way.
    pub(super) fn regroup(&mut self, slot: Slot, side: Side<A>) {
        let beat =
            side.mate().and_then(|mate| self.members.get(mate)).map(|mate| mate.monitor.beat());
        self.leave_group(slot);
        self.enter_group(slot, side);
        if let (Some(member), Some(beat)) = (self.members.get_mut(slot), beat) {
            member.monitor.keep(beat);
        }
        self.schedule(slot);
    }

    pub(super) fn configure(&mut self, now: Instant, slot: Slot, config: MonitorConfig) {
        self.with(now, slot, |monitor| monitor.handle_config(now, config));
    }

    pub(super) fn set_override(&mut self, now: Instant, slot: Slot, forced: Override) {
        self.with(now, slot, |monitor| monitor.handle_override(now, forced));
    }

    /// A probe ended. One that nobody waits for any more changes nothing.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        flight: Flight,
        result: &Result<(), Failure>,
    ) {
        let Some(group) = self.groups.get_mut(flight.group) else { return };
        let landed = group.flight.take_if(|under_way| under_way.number == flight.number);
        let Some(under_way) = landed else { return };
        let took = under_way.took(now);
        let mut waiting = std::mem::take(&mut group.waiting);
        for (slot, id) in waiting.drain(..) {
            if let Some(member) = self.members.get_mut(slot) {
                member.flight = None;
                member.durations.observe(took);
            }
            self.with(now, slot, |monitor| monitor.handle_result(now, id, result.clone()));
        }
        match self.groups.get_mut(flight.group) {
            // The room is used again.
            Some(group) if group.waiting.is_empty() => group.waiting = waiting,
            _ => {}
        }
        self.align(flight.group);
        self.drop_if_empty(flight.group);
    }

    /// Looks after everybody whose time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((due, slot))) = self.due.peek() {
            if due > now {
                break;
            }
            self.due.pop();
            let member = self.members.get_mut(slot);
            if member.is_some_and(|member| member.due.take_if(|own| *own == due).is_some()) {
                self.time_out(now, slot);
                self.with(now, slot, |monitor| monitor.handle_timeout(now));
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        while let Some(&Reverse((due, slot))) = self.due.peek() {
            if self.members.get(slot).is_some_and(|member| member.due == Some(due)) {
                return Some(due);
            }
            self.due.pop();
        }
        None
    }

    /// How many servers are watched.
    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    /// The next thing to do; drain it after each input.
    pub(super) fn poll_action(&mut self) -> Option<Action<K>> {
        self.actions.pop_front()
    }

    /// The keys of those whose standing has changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> Vec<K> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let key = |slot| {
            let member = self.members.get_mut(slot)?;
            member.changed = false;
            Some(member.key.clone())
        };
        changed.filter_map(key).collect()
    }

    /// How a probe is to be made.
    pub(super) fn ask(&self, flight: Flight) -> Option<&A> {
        self.groups.get(flight.group).map(|group| &group.ask)
    }

    /// What `read` finds in the monitor of a member.
    pub(super) fn monitor<T>(&self, slot: Slot, read: impl FnOnce(&Monitor) -> T) -> Option<T> {
        self.members.get(slot).map(|member| read(&member.monitor))
    }

    /// How long the probes of a member took.
    pub(super) fn durations(&self, slot: Slot) -> Option<Histogram> {
        self.members.get(slot).map(|member| member.durations)
    }

    /// Whether two ask together.
    pub(super) fn is_together(&self, one: Slot, other: Slot) -> bool {
        let group = |slot| self.members.get(slot).map(|member| member.group);
        group(one).is_some() && group(one) == group(other)
    }

    fn enter_group(&mut self, slot: Slot, side: Side<A>) {
        let place = match side {
            Side::Own(ask) => {
                let (members, flight, waiting) = (Vec::new(), None, Vec::new());
                self.groups.insert(Group { ask, members, flight, waiting })
            }
            Side::With(mate) => self.members.get(mate).map_or(Slot::NOWHERE, |mate| mate.group),
        };
        if let (Some(member), Some(group)) =
            (self.members.get_mut(slot), self.groups.get_mut(place))
        {
            member.group = place;
            group.members.push(slot);
        }
    }

    fn leave_group(&mut self, slot: Slot) {
        let Some(place) = self.members.get(slot).map(|member| member.group) else { return };
        if let Some(group) = self.groups.get_mut(place) {
            group.members.retain(|member| *member != slot);
        }
        self.drop_if_empty(place);
    }

    fn drop_if_empty(&mut self, group: Slot) {
        let idle = |one: &Group<A>| one.members.is_empty() && one.flight.is_none();
        if self.groups.get(group).is_some_and(idle) {
            self.groups.remove(group);
        }
    }

    /// Brings those of a group that are sure of their server to one beat: the faster checks of one
    /// that was in doubt may have led it away.
    fn align(&mut self, group: Slot) {
        let Some(group) = self.groups.get(group).filter(|group| group.members.len() > 1) else {
            return;
        };
        let sure = |slot: &Slot| self.members.get(*slot).is_some_and(Member::is_sure);
        let sure: Vec<Slot> = group.members.iter().copied().filter(sure).collect();
        let first = sure.first().and_then(|first| self.members.get(*first));
        let Some(beat) = first.map(|first| first.monitor.beat()) else { return };
        for slot in sure {
            if let Some(member) = self.members.get_mut(slot) {
                member.monitor.keep(beat);
            }
            self.schedule(slot);
        }
    }

    /// Lets a member change, and does what follows.
    fn with(&mut self, now: Instant, slot: Slot, change: impl FnOnce(&mut Monitor)) {
        if let Some(member) = self.members.get_mut(slot) {
            change(&mut member.monitor);
            self.settle(now, slot);
        }
    }

    fn settle(&mut self, now: Instant, slot: Slot) {
        while let Some(member) = self.members.get_mut(slot) {
            match member.monitor.poll_output() {
                Some(Output::Probe { id, deadline }) => self.board(now, slot, id, deadline),
                Some(Output::Cancel { .. }) => self.give_up(slot),
                Some(output) => self.actions.push_back(Action::Tell(member.key.clone(), output)),
                None => break,
            }
        }
        if self.members.get_mut(slot).is_some_and(Member::changes) {
            self.changed.push(slot);
        }
        self.schedule(slot);
    }

    fn schedule(&mut self, slot: Slot) {
        let Some(member) = self.members.get_mut(slot) else { return };
        let due = member.monitor.poll_timeout();
        if due != member.due {
            member.due = due;
            self.due.extend(due.map(|due| Reverse((due, slot))));
        }
    }

    /// A member wants a probe: that of its group, which is made unless it is under way.
    fn board(&mut self, now: Instant, slot: Slot, id: ProbeId, deadline: Instant) {
        let Some(member) = self.members.get_mut(slot) else { return };
        let Some(group) = self.groups.get_mut(member.group) else { return };
        let under_way = *group.flight.get_or_insert_with(|| {
            let (number, limit) = (self.flights, deadline - now);
            self.flights += 1;
            self.actions.push_back(Action::Start(Flight { group: member.group, number }, limit));
            UnderWay { number, deadline, limit }
        });
        group.waiting.push((slot, id));
        member.flight = Some(Flight { group: member.group, number: under_way.number });
    }

    /// A member waits no longer; when nobody does, the probe ends.
    fn give_up(&mut self, slot: Slot) {
        let member = self.members.get_mut(slot);
        let Some(flight) = member.and_then(|member| member.flight.take()) else { return };
        let Some(group) = self.groups.get_mut(flight.group) else { return };
        group.waiting.retain(|(waiting, _)| *waiting != slot);
        if group.waiting.is_empty() && group.flight.take().is_some() {
            self.actions.push_back(Action::Stop(flight));
            self.drop_if_empty(flight.group);
        }
    }

    /// Ends a probe whose time is over with the reason that is known of it.
    fn time_out(&mut self, now: Instant, slot: Slot) {
        let flight = self.members.get(slot).and_then(|member| member.flight);
        let Some((flight, group)) =
            flight.and_then(|flight| Some((flight, self.groups.get(flight.group)?)))
        else {
            return;
        };
        let over = group.flight.filter(|under_way| under_way.deadline <= now);
        if let (Some(UnderWay { limit: after, .. }), Some(stage)) = (over, group.ask.stage()) {
            self.actions.push_back(Action::Stop(flight));
            self.handle_result(now, flight, &Err(Failure::TimedOut { stage, after }));
        }
    }
}

#[cfg(test)]
mod tests;

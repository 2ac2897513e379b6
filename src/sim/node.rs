//! A director's machine and what surrounds it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::failover::record::Recorder;
use crate::failover::{ActionId, Heartbeat};
use crate::time::Instant;

use super::cluster::{Datagram, Input};
use super::kernel::Kernel;
use super::settings::Settings;

/// The machine of a director: one that takes another configuration, or any.
pub(super) enum Player {
    Ours(Box<Recorder>),
    Other(Box<dyn Heartbeat>),
}

impl Player {
    pub(super) fn machine(&self) -> &dyn Heartbeat {
        match self {
            Self::Ours(machine) => &**machine,
            Self::Other(machine) => &**machine,
        }
    }

    pub(super) fn machine_mut(&mut self) -> &mut dyn Heartbeat {
        match self {
            Self::Ours(machine) => &mut **machine,
            Self::Other(machine) => &mut **machine,
        }
    }
}

#[derive(Default)]
pub(super) struct Node {
    pub(super) player: Option<Player>,
    pub(super) clock: Clock,
    pub(super) kernel: Kernel,
    /// What its configuration file says.
    pub(super) settings: Settings,
    /// The heartbeat paths it was started with.
    pub(super) paths: u8,
    /// Which process and kernel queue a scheduled event was meant for.
    pub(super) epoch: u64,
    pub(super) wake: u64,
    pub(super) paused: bool,
    /// Whether its clock jumped since it last looked at it.
    pub(super) jumped: bool,
    /// Since when it is paused, if the peer was there then and nothing else was wrong.
    pub(super) paused_calmly: Option<Instant>,
    /// What arrived while paused.
    pub(super) inbox: VecDeque<Input>,
    /// Since when addresses are missing that somebody removed while it ran.
    pub(super) robbed: Option<Instant>,
    /// Actions whose completion is still owed.
    pub(super) unanswered: Vec<ActionId>,
    /// Whether the data plane knows its servers and connections.
    pub(super) cold: bool,
    /// The administrator moved the service away from this run of it.
    pub(super) handed: bool,
    pub(super) ear: Ear,
}

impl Node {
    /// The same machine without the process: the guard has taken the addresses down.
    pub(super) fn crashed(&self) -> Self {
        Self {
            clock: self.clock,
            settings: self.settings,
            epoch: self.epoch + 1,
            wake: self.wake + 1,
            ear: Ear { boot: self.ear.boot, sent: self.ear.sent, ..Ear::default() },
            ..Self::default()
        }
    }
}

/// A director's own clock: it has an epoch of its own, drifts, and may jump ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) epoch: Duration,
    /// How much faster than time it runs, in parts per million.
    pub(super) drift: i32,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// What it shows at the moment `now`.
    pub(super) fn at(&self, now: Instant) -> Instant {
        Instant::ZERO
            + self.epoch
            + scaled(now - Instant::ZERO, MILLION + i128::from(self.drift), MILLION)
    }

    /// How long it takes until it shows `span` more, rounded up.
    pub(super) fn wait(&self, span: Duration) -> Duration {
        if self.drift == 0 {
            return span;
        }
        scaled(span, MILLION, MILLION + i128::from(self.drift)) + Duration::from_nanos(1)
    }
}

fn scaled(span: Duration, by: i128, of: i128) -> Duration {
    if by == of {
        return span;
    }
    let nanos = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX / MILLION);
    Duration::from_nanos(u64::try_from(nanos * by / of).unwrap_or(u64::MAX))
}

/// What a director must have heard of its peer, kept apart from what it says it heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ear {
    /// This run of it, and how many datagrams it has sent.
    pub(super) boot: u64,
    pub(super) sent: u64,
    /// What does not echo a later datagram of it may be old.
    pub(super) floor: u64,
    /// The run and the counter of the newest word heard of the peer, fresh or not: whatever arrives
    /// after that and was said before it is no sign of life.
    pub(super) newest: (u64, u64),
    /// The newest word of the peer's present run that proved to be fresh.
    pub(super) last: Option<Word>,
}

/// A word of the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) boot: u64,
    pub(super) counter: u64,
    /// When it was heard, by the own clock.
    pub(super) at: Instant,
    /// Whether it claims the service.
    pub(super) claims: bool,
}

impl Ear {
    /// Forgets what was heard before: the node slept, and cannot know how old it is.
    pub(super) const fn wake(&mut self) {
        self.floor = self.sent;
        self.last = None;
    }

    /// Takes in a datagram of version 2 that really came from the peer, whose present run is
    /// `boot`. The last words of the run before may still be on their way.
    pub(super) fn hear(&mut self, at: Instant, boot: u64, datagram: &Datagram) {
        let Some(said) = Said::read(&datagram.bytes) else {
            return;
        };
        let present = said.boot == boot;
        let fresh = said.echo.0 == self.boot && said.echo.1 > self.floor;
        let newer = match self.last.filter(|last| last.boot == said.boot) {
            _ if present => self.newest.0 != boot || self.newest.1 < said.counter,
            Some(last) => last.counter < said.counter,
            None => false,
        };
        if newer && present {
            self.newest = (boot, said.counter);
        }
        let trusted = !said.claims || fresh && present;
        if newer && trusted {
            let Said { boot, counter, claims, .. } = said;
            self.last = Some(Word { boot, counter, at, claims });
        }
    }
}

/// The fields that matter here, at their places in the layout (`docs/pulse-protocol.md`).
struct Said {
    claims: bool,
    boot: u64,
    counter: u64,
    echo: (u64, u64),
}

impl Said {
    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self {
            claims: matches!(bytes.get(7)?, 3 | 4),
            boot: number(16)?,
            counter: number(24)?,
            echo: (number(32)?, number(40)?),
        })
    }
}

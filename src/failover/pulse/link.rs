//! The link to the peer: which datagrams are believed, and what they are answered with.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::{PathCounters, PathId, Payload, Role, State};
use crate::time::Instant;
use crate::wire::pulse::{DecodeError, Echo, Heartbeat, Magic, Sealed, Step};

use super::config::{Config, Version};

/// Why a datagram changed nothing but a counter.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// Not from the peer's address on this path, or a path that is not configured.
    WrongSource,
    /// Shorter than a heartbeat.
    Truncated,
    /// Longer than a heartbeat.
    Oversized,
    /// Not a heartbeat at all.
    BadMagic,
    /// Another version of the protocol: the other of the two there are, or one to come.
    Version,
    /// Version 1: the peer runs Piranha's failover services instead of LVS.
    OtherService,
    /// Another cluster's.
    WrongCluster,
    /// Not authenticated, though this node has a key.
    Unauthenticated,
    /// Authenticated, though this node has no key.
    KeyMissing,
    /// The tag is wrong: another key, or altered on the way.
    BadTag,
    /// A field holds a value the protocol does not have.
    BadField,
    /// Our own datagram came back.
    OwnBootId,
    /// Sent on another path than it arrived on.
    WrongPath,
    /// A greeting: the peer has not heard this run of ours yet. It is answered, not believed;
    /// a few at every start are normal.
    Hello,
    /// Proves only that the peer once heard an earlier run of ours, or an earlier moment of this
    /// one; answered like a greeting.
    StaleEcho,
    /// A datagram that was seen before, or an older one overtaken on the same path.
    Replayed,
    /// Accepted, but the peer claims the role this node has: one of the two is configured wrong.
    SameRole,
}

/// More than any machine ever counts.
pub(super) const COUNT_MAX: u64 = 1 << 62;

impl Reject {
    const ALL: [Self; 17] = [
        Self::WrongSource,
        Self::Truncated,
        Self::Oversized,
        Self::BadMagic,
        Self::Version,
        Self::OtherService,
        Self::WrongCluster,
        Self::Unauthenticated,
        Self::KeyMissing,
        Self::BadTag,
        Self::BadField,
        Self::OwnBootId,
        Self::WrongPath,
        Self::Hello,
        Self::StaleEcho,
        Self::Replayed,
        Self::SameRole,
    ];

    /// The reason as metrics and status spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongSource => "wrong_source",
            Self::Truncated => "truncated",
            Self::Oversized => "oversized",
            Self::BadMagic => "bad_magic",
            Self::Version => "version",
            Self::OtherService => "other_service",
            Self::WrongCluster => "wrong_cluster",
            Self::Unauthenticated => "unauthenticated",
            Self::KeyMissing => "key_missing",
            Self::BadTag => "bad_tag",
            Self::BadField => "bad_field",
            Self::OwnBootId => "own_boot_id",
            Self::WrongPath => "wrong_path",
            Self::Hello => "hello",
            Self::StaleEcho => "stale_echo",
            Self::Replayed => "replayed",
            Self::SameRole => "same_role",
        }
    }
}

impl From<DecodeError> for Reject {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => Self::Truncated,
            DecodeError::Oversized => Self::Oversized,
            DecodeError::BadMagic => Self::BadMagic,
            DecodeError::Version => Self::Version,
            DecodeError::OtherService => Self::OtherService,
            DecodeError::Unauthenticated => Self::Unauthenticated,
            DecodeError::KeyMissing => Self::KeyMissing,
            DecodeError::BadTag => Self::BadTag,
            DecodeError::BadField => Self::BadField,
        }
    }
}

/// What a believed datagram said.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Heard {
    pub(super) state: State,
    pub(super) role: Role,
    pub(super) priority: u8,
    pub(super) boot: u64,
    pub(super) interval: Duration,
    pub(super) same_configuration: Option<bool>,
    pub(super) step: Step,
    pub(super) unfit: bool,
}

/// What a datagram is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) state: State,
    pub(super) step: Step,
    pub(super) unfit: bool,
    /// Echoed in place of the proven run.
    pub(super) answer: Option<Echo>,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receipt {
    /// Counted, or a late twin of a datagram that came by another path.
    Ignored,
    /// The peer does not know this run of ours; echo this so that it can.
    Answer(Echo),
    /// Proven fresh. `first` in a run of the peer's.
    Believed { heard: Heard, first: bool },
}

/// The peer's run that was proven last.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Session {
    boot: u64,
    /// The highest counter accepted.
    counter: u64,
    /// What its datagrams have to echo more than. The same for the whole run, so that what was
    /// once too old to be believed stays so.
    proof: u64,
    /// How many datagrams we had sent when the run was proven. Another run is believed only if it
    /// echoes a later one, which no recording of an earlier run can.
    floor: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct PathRecord {
    heard: Option<Instant>,
    counter: u64,
    /// The peer's, as it last said.
    interval: Duration,
    counters: PathCounters,
}

impl PathRecord {
    /// A datagram was believed. Returns whether it was the first.
    fn hear(&mut self, now: Instant, interval: Duration) -> bool {
        let before = self.heard.replace(now);
        self.interval = interval;
        self.counters.accept(before.map(|before| now - before), interval);
        before.is_none()
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Link {
    sent: u64,
    /// How many datagrams we had sent when this node last woke from a stall. What echoes no later
    /// one lay in the socket meanwhile.
    awake: u64,
    session: Option<Session>,
    paths: Vec<PathRecord>,
    rejected: [u64; Reject::ALL.len()],
}

impl Link {
    pub(super) fn new(paths: usize) -> Self {
        Self {
            sent: 0,
            awake: 0,
            session: None,
            paths: vec![PathRecord::default(); paths],
            rejected: [0; Reject::ALL.len()],
        }
    }

    /// Whether a link to a peer with so many paths can have become like this.
    pub(super) fn is_sane(&self, paths: usize) -> bool {
        let counts = self.rejected.iter().chain([&self.sent]);
        self.paths.len() == paths && counts.into_iter().all(|count| *count < COUNT_MAX)
    }

    /// Judges a datagram.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        config: &Config,
        path: PathId,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Receipt {
        let received = match config.version {
            Version::V1 => self.receive_v1(now, config, path, source, datagram),
            Version::V2 => self.receive_v2(now, config, path, source, datagram),
        };
        let refused = matches!(received, Err(_) | Ok(Receipt::Answer(_)));
        if let Some(record) = self.paths.get_mut(usize::from(path.0)) {
            record.counters.refused = record.counters.refused.saturating_add(u64::from(refused));
        }
        received.unwrap_or_else(|reject| {
            self.count(reject);
            Receipt::Ignored
        })
    }

    fn receive_v1(
        &mut self,
        now: Instant,
        config: &Config,
        path: PathId,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<Receipt, Reject> {
        let index = usize::from(path.0);
        let known = config.paths.get(index).ok_or(Reject::WrongSource)?;
        if known.peer.ip() != source.ip() {
            return Err(Reject::WrongSource);
        }
        let magic = Magic::decode(datagram).map_err(|error| match Sealed::parse(datagram) {
            Ok(_) | Err(DecodeError::Version) => Reject::Version,
            Err(_) => error.into(),
        });
        let state = match magic? {
            Magic::Running => State::Active,
            Magic::Stopped => State::Standby,
        };
        let first = self.paths[index].hear(now, config.keepalive);
        let heard = Heard {
            state,
            role: match config.role {
                Role::Primary => Role::Backup,
                Role::Backup => Role::Primary,
            },
            priority: config.priority,
            boot: 0,
            interval: config.keepalive,
            same_configuration: None,
            step: Step::None,
            unfit: false,
        };
        Ok(Receipt::Believed { heard, first })
    }

    fn receive_v2(
        &mut self,
        now: Instant,
        config: &Config,
        path: PathId,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<Receipt, Reject> {
        let index = usize::from(path.0);
        let known = config.paths.get(index).ok_or(Reject::WrongSource)?;
        // Flow label and scope of an IPv6 source are the local stack's business.
        if (known.peer.ip(), known.peer.port()) != (source.ip(), source.port()) {
            return Err(Reject::WrongSource);
        }
        let sealed = Sealed::parse(datagram).map_err(|error| match Magic::decode(datagram) {
            Ok(_) | Err(DecodeError::OtherService) => Reject::Version,
            Err(_) => error.into(),
        })?;
        if sealed.cluster() != config.cluster {
            return Err(Reject::WrongCluster);
        }
        let heartbeat = config.open(&sealed)?;
        if heartbeat.boot == config.boot {
            return Err(Reject::OwnBootId);
        }
        if heartbeat.path != path.0 {
            return Err(Reject::WrongPath);
        }
        self.prove(now, config, index, &heartbeat)
    }

    /// Believes `heartbeat` if it is proven to be newer than all that was believed before.
    fn prove(
        &mut self,
        now: Instant,
        config: &Config,
        path: usize,
        heartbeat: &Heartbeat,
    ) -> Result<Receipt, Reject> {
        let known = self.session.filter(|session| session.boot == heartbeat.boot);
        let floor = match (known, self.session) {
            (Some(session), _) => session.proof,
            (None, Some(before)) => before.floor,
            (None, None) => 0,
        };
        let floor = floor.max(self.awake);
        if let Err(reject) = self.prove_echo(config, heartbeat.echo, floor) {
            self.count(reject);
            return Ok(Receipt::Answer(Echo { boot: heartbeat.boot, counter: heartbeat.counter }));
        }
        if known.is_none() {
            self.session =
                Some(Session { boot: heartbeat.boot, counter: 0, proof: floor, floor: self.sent });
            for record in &mut self.paths {
                record.counter = 0;
            }
        }
        if heartbeat.counter <= self.paths[path].counter {
            return Err(Reject::Replayed);
        }
        self.paths[path].counter = heartbeat.counter;
        self.paths[path].hear(now, heartbeat.interval);
        let Some(session) = &mut self.session else {
            return Ok(Receipt::Ignored);
        };
        if heartbeat.counter <= session.counter {
            return Ok(Receipt::Ignored);
        }
        session.counter = heartbeat.counter;
        if heartbeat.role == config.role {
            self.count(Reject::SameRole);
        }
        Ok(Receipt::Believed {
            heard: Heard::from_heartbeat(config, heartbeat),
            first: known.is_none(),
        })
    }

    /// Whether the echo names a datagram of this run of ours, after `floor`.
    fn prove_echo(&self, config: &Config, echo: Option<Echo>, floor: u64) -> Result<(), Reject> {
        let echo = echo.ok_or(Reject::Hello)?;
        if echo.boot == config.boot && echo.counter > floor && echo.counter <= self.sent {
            Ok(())
        } else {
            Err(Reject::StaleEcho)
        }
    }

    /// The next datagram for `path`.
    pub(super) fn encode(&mut self, config: &Config, path: u8, word: Word) -> Payload {
        if config.version == Version::V1 {
            return magic_of(word.state).encode().into();
        }
        self.sent += 1;
        self.seal(config, path, self.sent, word)
    }

    /// A farewell that is newer than anything this run will say. None while no run of the peer is
    /// proven, or where the protocol proves nothing.
    pub(super) fn last_words(&self, config: &Config, path: u8) -> Option<Payload> {
        self.session?;
        let word = Word { state: State::Stopped, step: Step::None, unfit: false, answer: None };
        Some(self.seal(config, path, u64::MAX, word))
    }

    fn seal(&self, config: &Config, path: u8, counter: u64, word: Word) -> Payload {
        let session =
            self.session.map(|session| Echo { boot: session.boot, counter: session.counter });
        let heartbeat = Heartbeat {
            cluster: config.cluster,
            boot: config.boot,
            counter,
            echo: word.answer.or(session),
            path,
            role: config.role,
            state: word.state,
            priority: config.priority,
            interval: config.keepalive,
            digest: config.digest,
            step: word.step,
            unfit: word.unfit,
        };
        heartbeat.encode(config.key.as_ref()).into()
    }

    /// From here on believes only what was said after hearing this node again.
    pub(super) const fn wake(&mut self) {
        self.awake = self.sent;
    }

    /// When each path last carried a datagram that was believed.
    pub(super) fn paths(&self) -> impl Iterator<Item = Option<Instant>> {
        self.paths.iter().map(|path| path.heard)
    }

    /// What became of what came in on `path`.
    pub(super) fn path_counters(&self, now: Instant, path: PathId) -> PathCounters {
        let record = self.paths.get(usize::from(path.0)).copied().unwrap_or_default();
        record.counters.during(record.heard.map(|heard| now - heard), record.interval)
    }

    /// How often each reason occurred.
    pub(super) fn rejected(&self) -> impl Iterator<Item = (&'static str, u64)> + Clone {
        Reject::ALL.iter().map(|reject| reject.as_str()).zip(self.rejected)
    }

    const fn count(&mut self, reject: Reject) {
        self.rejected[reject as usize] += 1;
    }
}

impl Heard {
    fn from_heartbeat(config: &Config, heartbeat: &Heartbeat) -> Self {
        Self {
            state: heartbeat.state,
            role: heartbeat.role,
            priority: heartbeat.priority,
            boot: heartbeat.boot,
            interval: heartbeat.interval,
            same_configuration: Some(heartbeat.digest == config.digest),
            step: heartbeat.step,
            unfit: heartbeat.unfit,
        }
    }
}

/// Version 1 says "running" for as long as addresses may be up, so that nobody takes them over
/// before they are down.
const fn magic_of(state: State) -> Magic {
    match state {
        State::Acquiring | State::Active | State::Releasing => Magic::Running,
        State::Starting | State::Standby | State::Failed | State::Stopped => Magic::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::pulse::Pulse;
    use crate::failover::{Cause, Heartbeat as _, Output};

    fn address(role: Role) -> SocketAddr {
        let host = if role == Role::Primary { 1 } else { 2 };
        ([192, 0, 2, host], 539).into()
    }

    fn other(role: Role) -> Role {
        if role == Role::Primary { Role::Backup } else { Role::Primary }
    }

    fn director(role: Role, boot: u64) -> Pulse {
        let builder = Config::builder(role).boot(boot).path(address(other(role)));
        Pulse::new(Instant::ZERO, builder.build().unwrap())
    }

    fn hear(listener: &mut Pulse, from: Role, payload: &[u8]) {
        listener.handle_datagram(Instant::ZERO, PathId(0), address(from), payload);
    }

    /// Lets both speak until neither has anything to say; every action succeeds.
    fn settle(pair: &mut [Pulse; 2]) {
        pair.iter_mut().for_each(|director| director.handle_timeout(Instant::ZERO));
        while let Some((from, output)) =
            (0..2).find_map(|from| Some((from, pair[from].poll_output()?)))
        {
            match output {
                Output::Send { payload, .. } => {
                    let role = pair[from].config().role;
                    hear(&mut pair[1 - from], role, &payload);
                }
                Output::Acquire { id, .. } | Output::Release { id, .. } => {
                    pair[from].handle_completion(Instant::ZERO, id, Ok(()));
                }
                _ => {}
            }
        }
    }

    fn pair() -> [Pulse; 2] {
        let mut pair = [director(Role::Primary, 1), director(Role::Backup, 2)];
        settle(&mut pair);
        assert_eq!([pair[0].state(), pair[1].state()], [State::Active, State::Standby]);
        pair
    }

    #[test]
    fn last_words_of_a_dead_partner_are_a_farewell() {
        let [primary, mut backup] = pair();
        let words = primary.last_words(PathId(0)).unwrap();
        hear(&mut backup, Role::Primary, &words);
        assert_eq!(backup.state(), State::Acquiring);
        assert_eq!(backup.status(Instant::ZERO).cause, Some(Cause::PeerStopped));
    }

    #[test]
    fn asking_for_last_words_changes_nothing_that_is_said() {
        let [mut primary, mut backup] = pair();
        primary.last_words(PathId(0)).unwrap();
        primary.speak(Instant::ZERO);
        let Some(Output::Send { payload, .. }) = primary.poll_output() else { panic!() };
        hear(&mut backup, Role::Primary, &payload);
        assert_eq!(backup.state(), State::Standby);
        assert_eq!(primary.last_words(PathId(1)), None, "there is one path");
    }

    #[test]
    fn last_words_of_an_earlier_run_are_worth_nothing() {
        let [primary, backup] = pair();
        let words = primary.last_words(PathId(0)).unwrap();
        let mut pair = [director(Role::Primary, 3), backup];
        settle(&mut pair);
        let [_, backup] = &mut pair;
        let before = backup.state();
        hear(backup, Role::Primary, &words);
        assert_eq!(backup.state(), before);
        assert!(backup.status(Instant::ZERO).rejected.iter().any(|(why, _)| why == "stale_echo"));
    }

    #[test]
    fn last_words_are_worth_nothing_to_a_partner_that_started_anew() {
        let [primary, _] = pair();
        let words = primary.last_words(PathId(0)).unwrap();
        let mut backup = director(Role::Backup, 4);
        hear(&mut backup, Role::Primary, &words);
        assert_eq!(backup.state(), State::Starting);
    }

    #[test]
    fn a_partner_of_the_other_version_is_counted_as_that() {
        let version = |role, version| {
            let config = Config::builder(role).version(version).boot(9).path(address(other(role)));
            Pulse::new(Instant::ZERO, config.build().unwrap())
        };
        let [old, new] = [version(Role::Backup, Version::V1), version(Role::Backup, Version::V2)];
        for (mut listener, mut speaker) in
            [(version(Role::Primary, Version::V2), old), (version(Role::Primary, Version::V1), new)]
        {
            speaker.handle_timeout(Instant::ZERO);
            let said =
                std::iter::from_fn(|| speaker.poll_output()).find_map(|output| match output {
                    Output::Send { payload, .. } => Some(payload),
                    _ => None,
                });
            hear(&mut listener, Role::Backup, &said.unwrap());
            let status = listener.status(Instant::ZERO);
            assert!(status.rejected.contains(&("version".to_owned(), 1)), "{:?}", status.rejected);
            assert!(status.peer.is_none(), "it is not believed");
        }
    }

    #[test]
    fn nobody_has_last_words_for_a_partner_it_never_heard() {
        assert_eq!(director(Role::Primary, 1).last_words(PathId(0)), None);
    }
}

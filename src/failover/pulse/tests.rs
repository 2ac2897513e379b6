mod guards;

use std::fmt::Write;

use proptest::prelude::*;

use super::act::REPEATS;
use super::link::Word;
use super::rules::{After, Facts, Purpose, Unfit, View};
use super::*;
use crate::failover::guard::Guard;
use crate::failover::{Role, VirtualAddress};
use crate::wire::pulse::{Magic, Sealed, Step};

const KEEPALIVE: Duration = Duration::from_millis(100);
const DEAD_TIME: Duration = Duration::from_millis(300);

fn peer(role: Role) -> SocketAddr {
    match role {
        Role::Primary => ([192, 0, 2, 2], 539).into(),
        Role::Backup => ([192, 0, 2, 1], 539).into(),
    }
}

fn builder(role: Role, boot: u64) -> Builder {
    Config::builder(role)
        .keepalive(KEEPALIVE)
        .dead_time(DEAD_TIME)
        .path(peer(role))
        .boot(boot)
        .addresses(vec![vip(10)])
}

fn vip(host: u8) -> VirtualAddress {
    VirtualAddress::new([198, 51, 100, host].into(), format!("eth0:{host}"))
}

fn pulse(builder: Builder) -> Pulse {
    Pulse::new(Instant::ZERO, builder.build().unwrap())
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn drain(pulse: &mut Pulse) -> Vec<Output> {
    std::iter::from_fn(|| pulse.poll_output()).collect()
}

fn sent(outputs: &[Output]) -> Vec<Vec<u8>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { payload, .. } => Some(payload.to_vec()),
            _ => None,
        })
        .collect()
}

/// Completes what `outputs` asks for, and returns what comes of it.
fn complete(pulse: &mut Pulse, now: Instant, outputs: &[Output]) -> Vec<Output> {
    for output in outputs {
        if let Output::Acquire { id, .. } | Output::Release { id, .. } = output {
            pulse.handle_completion(now, *id, Ok(()));
        }
    }
    drain(pulse)
}

/// Lets two machines exchange datagrams and complete their actions, without time passing, until
/// both are quiet. Returns everything `left` did.
fn exchange(now: Instant, left: &mut Pulse, right: &mut Pulse) -> Vec<Output> {
    let mut log = Vec::new();
    loop {
        let (from_left, from_right) = (drain(left), drain(right));
        if from_left.is_empty() && from_right.is_empty() {
            return log;
        }
        for payload in sent(&from_left) {
            right.handle_datagram(now, PathId(0), right.config.paths[0].peer, &payload);
        }
        for payload in sent(&from_right) {
            left.handle_datagram(now, PathId(0), left.config.paths[0].peer, &payload);
        }
        for (machine, outputs) in [(&mut *left, &from_left), (&mut *right, &from_right)] {
            for output in outputs {
                if let Output::Acquire { id, .. } | Output::Release { id, .. } = output {
                    machine.handle_completion(now, *id, Ok(()));
                }
            }
        }
        log.extend(from_left);
    }
}

/// A pair in which the primary is active, at 0 ms.
fn pair() -> (Pulse, Pulse) {
    let mut primary = pulse(builder(Role::Primary, 1));
    let mut backup = pulse(builder(Role::Backup, 2));
    primary.handle_timeout(at(0));
    backup.handle_timeout(at(0));
    exchange(at(0), &mut primary, &mut backup);
    assert_eq!(state(&primary), State::Active);
    assert_eq!(state(&backup), State::Standby);
    (primary, backup)
}

fn word(state: State) -> Word {
    Word { state, step: Step::None, unfit: false, answer: None }
}

fn state(pulse: &Pulse) -> State {
    pulse.phase.state()
}

fn rejections(pulse: &Pulse) -> Vec<(String, u64)> {
    pulse.status(at(0)).rejected
}

#[test]
fn the_table_of_transitions_is_the_published_one() {
    insta::assert_snapshot!(table(&facts()));
}

#[test]
fn the_table_of_a_director_with_a_failing_guard_is_the_published_one() {
    let faults = no_carrier();
    let unfit = faults.first().map(Unfit::Guard);
    insta::assert_snapshot!(table(&Facts { unfit, ..facts() }));
}

fn table(facts: &Facts<'_>) -> String {
    let mut table = String::new();
    let events = every_event();
    for (name, phase) in every_phase() {
        writeln!(table, "{name}").unwrap();
        for event in &events {
            let [primary, backup] = [true, false].map(|wins| {
                let facts = Facts { wins, ..facts.clone() };
                format!("{:?}", decide(&phase, event, &facts))
            });
            if primary == backup && primary == "Stay" {
                continue;
            }
            let event = format!("{event:?}");
            if primary == backup {
                writeln!(table, "  {event:30} {primary}").unwrap();
            } else {
                writeln!(table, "  {event:30} primary: {primary}").unwrap();
                writeln!(table, "  {:30} backup: {backup}", "").unwrap();
            }
        }
    }
    table
}

fn facts() -> Facts<'static> {
    Facts {
        wins: true,
        alone: false,
        usable: true,
        negotiates: true,
        peer_unable: None,
        unfit: None,
        maintenance: false,
        may_offer: true,
    }
}

fn every_phase() -> Vec<(&'static str, Phase)> {
    let attempt =
        |purpose| Attempt { id: 9, purpose, deadline: at(1), repeat: at(1), repeats_left: 1 };
    let action = ActionId(4);
    let releasing = |then| Phase::Releasing { action, then };
    let failed = |holding| Phase::Failed { holding, action: None, retry: at(1) };
    vec![
        ("starting", Phase::Starting),
        ("standby", Phase::Standby { accepted: None }),
        ("handing over", Phase::Handing(attempt(Purpose::HandOver))),
        ("handing over to stop", Phase::Handing(attempt(Purpose::Stop))),
        ("acquiring", Phase::Acquiring { action }),
        ("active", Phase::Active),
        ("offering", Phase::Offering(attempt(Purpose::HandOver))),
        ("offering to stop", Phase::Offering(attempt(Purpose::Stop))),
        ("releasing to stand by", releasing(After::Standby)),
        ("releasing to listen", releasing(After::Listen)),
        ("releasing to hand over", releasing(After::Hand { id: 9, purpose: Purpose::HandOver })),
        ("releasing to fail", releasing(After::Fail(Cause::DataPlaneFailed))),
        ("releasing to stop", releasing(After::Stop)),
        ("failed", failed(false)),
        ("failed, addresses still up", failed(true)),
        ("stopped", Phase::Stopped),
    ]
}

fn every_event() -> Vec<Event> {
    let views = [
        View::Silent,
        View::Claims,
        View::Releases,
        View::Idle,
        View::Lingers,
        View::Failed,
        View::Stopped,
    ];
    let mut events: Vec<Event> = views.map(Event::Peer).into();
    events.extend([
        Event::Deadline,
        Event::Offered(9),
        Event::Accepted,
        Event::Refused,
        Event::Yours,
        Event::Asked,
        Event::Done,
        Event::NotDone(ActionError("EIO".into())),
        Event::PlaneDown,
        Event::PlaneUp,
        Event::HandOver,
        Event::Maintain,
        Event::Stop,
        Event::Stalled,
    ]);
    events
}

#[test]
fn two_fresh_directors_agree_within_one_and_a_half_round_trips() {
    let (primary, backup) = pair();
    assert_eq!(primary.cause, Some(Cause::Acquired));
    assert_eq!(rejections(&primary), [("hello".to_owned(), 1)]);
    assert!(rejections(&backup).len() <= 1);
}

#[test]
fn a_silent_peer_is_dead_after_the_dead_time_and_not_before() {
    let (_, mut backup) = pair();
    let mut now = at(0);
    while state(&backup) == State::Standby {
        now = backup.poll_timeout().unwrap();
        backup.handle_timeout(now);
    }
    assert_eq!(now, at(300));
    assert_eq!(backup.cause, Some(Cause::PeerDead));
}

#[test]
fn a_backup_gives_an_idle_primary_one_dead_time() {
    let (mut primary, mut backup) = pair();
    for now in [100, 200, 300] {
        backup.handle_timeout(at(now));
        drain(&mut backup);
        assert_eq!(state(&backup), State::Standby, "{now}");
        let config = &primary.config;
        let idle = primary.link.encode(config, 0, word(State::Standby));
        backup.handle_datagram(at(now), PathId(0), peer(Role::Backup), &idle);
    }
    backup.handle_timeout(at(399));
    assert_eq!(state(&backup), State::Standby);
    backup.handle_timeout(at(400));
    assert_eq!(state(&backup), State::Acquiring);
    assert_eq!(backup.cause, Some(Cause::PeerStandby));
}

#[test]
fn a_director_without_a_peer_is_active_at_once_and_never_yields_to_a_slow_clock() {
    let config = Config::builder(Role::Primary).boot(1).addresses(vec![vip(1)]);
    let mut alone = pulse(config);
    alone.handle_timeout(at(0));
    let outputs = drain(&mut alone);
    assert!(sent(&outputs).is_empty());
    complete(&mut alone, at(0), &outputs);
    assert_eq!(state(&alone), State::Active);
    assert_eq!(alone.poll_timeout(), None);
    alone.handle_timeout(at(3_600_000));
    assert_eq!(state(&alone), State::Active);
}

#[test]
fn a_hand_over_passes_the_service_and_is_acknowledged() {
    let (mut primary, mut backup) = pair();
    primary.handle_command(at(50), Command::HandOver);
    assert_eq!(state(&primary), State::Active, "nothing happens before the peer agrees");
    exchange(at(50), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
    assert_eq!(primary.phase, Phase::Standby { accepted: None });
}

#[test]
fn a_hand_over_nobody_answers_is_declined_and_changes_nothing() {
    let (mut primary, _) = pair();
    primary.handle_command(at(50), Command::HandOver);
    let mut outputs = drain(&mut primary);
    for _ in 0..200 {
        let now = primary.poll_timeout().unwrap();
        primary.handle_timeout(now);
        outputs.extend(drain(&mut primary));
        if primary.phase == Phase::Active {
            break;
        }
    }
    let refused = Output::Declined { reason: Cause::PeerRefused };
    assert!(outputs.contains(&refused));
    assert_eq!(primary.phase, Phase::Active);
    assert!(sent(&outputs).len() <= 2 + usize::from(REPEATS) + 4, "bounded repetition");
}

#[test]
fn a_service_the_peer_agreed_to_and_did_not_take_is_taken_back() {
    let (mut primary, mut backup) = pair();
    primary.handle_command(at(50), Command::HandOver);
    for payload in sent(&drain(&mut primary)) {
        backup.handle_datagram(at(50), PathId(0), peer(Role::Backup), &payload);
    }
    for payload in sent(&drain(&mut backup)) {
        primary.handle_datagram(at(50), PathId(0), peer(Role::Primary), &payload);
    }
    let outputs = drain(&mut primary);
    assert_eq!(state(&primary), State::Releasing);
    complete(&mut primary, at(50), &outputs);
    // The backup lives, and hears nothing of what follows.
    for _ in 0..100 {
        if state(&primary) != State::Standby {
            break;
        }
        let now = primary.poll_timeout().unwrap();
        backup.speak(now);
        for payload in sent(&drain(&mut backup)) {
            primary.handle_datagram(now, PathId(0), peer(Role::Primary), &payload);
        }
        primary.handle_timeout(now);
        assert!(now <= at(350), "the bound is the dead time");
    }
    assert_eq!(primary.cause, Some(Cause::PeerRefused));
}

#[test]
fn a_standby_that_slept_listens_anew_before_it_calls_the_peer_dead() {
    let (_, mut backup) = pair();
    backup.handle_timeout(at(100));
    backup.handle_timeout(at(5000));
    assert_eq!(state(&backup), State::Standby);
    for now in [5100, 5200, 5299] {
        backup.handle_timeout(at(now));
        assert_eq!(state(&backup), State::Standby);
    }
    backup.handle_timeout(at(5300));
    assert_eq!(state(&backup), State::Acquiring);
}

#[test]
fn a_stop_hands_over_first_and_says_farewell() {
    let (mut primary, mut backup) = pair();
    primary.handle_command(at(50), Command::Stop);
    let log = exchange(at(50), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Stopped, State::Active));
    assert!(matches!(log.last(), Some(Output::Transition(last)) if last.to == State::Stopped));
    assert_eq!(primary.poll_timeout(), None);
}

#[test]
fn a_broken_data_plane_sends_the_service_to_the_peer_at_once() {
    let (mut primary, mut backup) = pair();
    primary.handle_data_plane(at(50), false);
    exchange(at(50), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Failed, State::Active));
    assert_eq!(primary.cause, Some(Cause::DataPlaneFailed));
    primary.handle_data_plane(at(60), true);
    exchange(at(60), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
}

#[test]
fn a_primary_that_fails_back_asks_for_the_service_after_a_dead_time() {
    let mut primary = pulse(builder(Role::Primary, 1).failback(true));
    let mut backup = pulse(builder(Role::Backup, 2).force_active(true));
    backup.handle_timeout(at(0));
    exchange(at(0), &mut backup, &mut primary);
    assert_eq!(state(&primary), State::Standby);
    for tick in 1..=10 {
        let now = at(tick * 50);
        primary.handle_timeout(now);
        backup.handle_timeout(now);
        exchange(now, &mut primary, &mut backup);
        let expected = if now < at(300) { State::Standby } else { State::Active };
        assert_eq!(state(&primary), expected, "{now}");
    }
}

#[test]
fn a_cold_primary_leaves_the_service_where_it_is_until_it_is_warm() {
    let mut primary = pulse(builder(Role::Primary, 1).failback(true));
    let mut backup = pulse(builder(Role::Backup, 2).force_active(true));
    backup.handle_timeout(at(0));
    exchange(at(0), &mut backup, &mut primary);
    primary.handle_warmth(at(0), false);
    let mut log = Vec::new();
    for tick in 1..=40 {
        let now = at(tick * 50);
        if tick == 30 {
            primary.handle_warmth(now, true);
        }
        primary.handle_timeout(now);
        backup.handle_timeout(now);
        log.extend(exchange(now, &mut primary, &mut backup));
        // What it wants goes out with its next heartbeat.
        let expected = if tick < 30 { State::Standby } else { State::Active };
        assert!(state(&primary) == expected || tick.abs_diff(31) <= 2, "{now}");
    }
    assert_eq!((state(&primary), state(&backup)), (State::Active, State::Standby));
    let told = log.iter().filter(|o| **o == Output::Declined { reason: Cause::Cold });
    assert_eq!(told.count(), 1);
}

#[test]
fn a_cold_director_takes_over_from_a_dead_one() {
    let mut primary = pulse(builder(Role::Primary, 1).failback(true));
    primary.handle_warmth(at(0), false);
    (0..=6).for_each(|tick| primary.handle_timeout(at(tick * 50)));
    assert_eq!(state(&primary), State::Acquiring);
}

#[test]
fn a_hand_over_by_command_is_not_undone_by_failback() {
    let mut primary = pulse(builder(Role::Primary, 1).failback(true));
    let mut backup = pulse(builder(Role::Backup, 2));
    primary.handle_timeout(at(0));
    exchange(at(0), &mut primary, &mut backup);
    primary.handle_command(at(10), Command::HandOver);
    for tick in 1..=20 {
        let now = at(tick * 50);
        primary.handle_timeout(now);
        backup.handle_timeout(now);
        exchange(now, &mut primary, &mut backup);
    }
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
}

#[test]
fn a_suspended_director_steps_down_before_it_speaks() {
    let (mut primary, mut backup) = pair();
    primary.handle_timeout(at(100));
    exchange(at(100), &mut primary, &mut backup);
    primary.handle_timeout(at(2000));
    let outputs = drain(&mut primary);
    assert_eq!(primary.cause, Some(Cause::Suspended));
    assert!(outputs.iter().any(|output| matches!(output, Output::Release { .. })));
    for payload in sent(&outputs) {
        let said = Sealed::parse(&payload).unwrap().open(None).unwrap().state;
        assert_eq!(said, State::Releasing);
    }
    complete(&mut primary, at(2000), &outputs);
    assert_eq!(state(&primary), State::Starting);
}

#[test]
fn a_slow_director_whose_peer_is_dead_keeps_the_service() {
    let (mut primary, _) = pair();
    for now in [100, 200, 300, 400] {
        primary.handle_timeout(at(now));
    }
    primary.handle_timeout(at(5000));
    assert_eq!(state(&primary), State::Active);
}

#[test]
fn addresses_that_cannot_be_taken_down_are_tried_again() {
    let (mut primary, mut backup) = pair();
    primary.handle_data_plane(at(50), false);
    let outputs = drain(&mut primary);
    let Some(Output::Release { id, .. }) =
        outputs.iter().find(|output| matches!(output, Output::Release { .. }))
    else {
        panic!("no release in {outputs:?}");
    };
    primary.handle_completion(at(50), *id, Err(ActionError("EBUSY".into())));
    primary.handle_data_plane(at(60), true);
    assert_eq!(state(&primary), State::Failed, "not ready while addresses may be up");
    exchange(at(60), &mut primary, &mut backup);
    assert_eq!(state(&backup), State::Active);
    primary.handle_timeout(at(160));
    backup.handle_timeout(at(160));
    exchange(at(160), &mut primary, &mut backup);
    assert!(matches!(primary.phase, Phase::Failed { holding: false, .. }));
}

#[test]
fn two_directors_of_one_role_are_reported_and_one_of_them_yields() {
    let mut low = pulse(builder(Role::Primary, 1));
    let mut high = pulse(builder(Role::Primary, 2));
    // Each believes the other at its configured address; the pair needs one address each way.
    low.handle_timeout(at(0));
    high.handle_timeout(at(0));
    for tick in 0..20 {
        let now = at(tick * 50);
        low.handle_timeout(now);
        high.handle_timeout(now);
        exchange(now, &mut low, &mut high);
    }
    assert_eq!((state(&low), state(&high)), (State::Standby, State::Active));
    assert!(rejections(&low).iter().any(|(reason, _)| reason == "same_role"));
}

#[test]
fn a_reload_touches_only_the_addresses_that_changed() {
    let (mut primary, _) = pair();
    let config = builder(Role::Primary, 1).addresses(vec![vip(11)]).build().unwrap();
    primary.handle_config(at(10), config).unwrap();
    let outputs = drain(&mut primary);
    let [Output::Release { addresses: removed, .. }, Output::Acquire { id, addresses: added }] =
        outputs.as_slice()
    else {
        panic!("unexpected {outputs:?}");
    };
    assert_eq!((removed, added), (&vec![vip(10)], &vec![vip(11)]));
    assert_eq!(state(&primary), State::Active);
    primary.handle_completion(at(11), *id, Ok(()));
    let announced = Output::Announce { addresses: vec![vip(11)] };
    assert_eq!(drain(&mut primary), [announced]);
}

#[test]
fn a_reload_that_needs_a_restart_changes_nothing() {
    let (mut primary, _) = pair();
    let config = builder(Role::Backup, 1).keepalive(KEEPALIVE * 2).build().unwrap();
    let error = primary.handle_config(at(10), config).unwrap_err();
    assert_eq!(error, ConfigError::NeedsRestart("role"));
    assert_eq!(primary.config.keepalive, KEEPALIVE);
}

#[test]
fn a_reload_to_shorter_timers_is_told_at_once_and_is_no_stall() {
    let mut primary =
        pulse(builder(Role::Primary, 1).dead_time(KEEPALIVE * 30).keepalive(KEEPALIVE * 10));
    let mut backup = pulse(builder(Role::Backup, 2));
    primary.handle_timeout(at(0));
    exchange(at(0), &mut primary, &mut backup);
    backup.speak(at(900));
    exchange(at(900), &mut primary, &mut backup);
    primary.handle_config(at(950), builder(Role::Primary, 1).build().unwrap()).unwrap();
    assert_eq!(state(&primary), State::Active);
    assert_eq!(sent(&drain(&mut primary)).len(), 1);
    assert_eq!(primary.poll_timeout(), Some(at(950) + KEEPALIVE));
}

#[test]
fn an_offer_that_was_withdrawn_does_not_keep_a_primary_from_asking_for_the_service() {
    let mut primary = pulse(builder(Role::Primary, 1).failback(true));
    let mut backup = pulse(builder(Role::Backup, 2).force_active(true));
    backup.handle_timeout(at(0));
    exchange(at(0), &mut backup, &mut primary);
    primary.phase = Phase::Standby { accepted: Some(9) };
    for tick in 1..=10 {
        let now = at(tick * 50);
        primary.handle_timeout(now);
        backup.handle_timeout(now);
        exchange(now, &mut primary, &mut backup);
    }
    assert_eq!(state(&primary), State::Active);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let error = |builder: Builder| builder.build().unwrap_err();
    assert!(matches!(error(builder(Role::Primary, 0)), ConfigError::BootId));
    assert!(matches!(
        error(builder(Role::Primary, 1).dead_time(KEEPALIVE)),
        ConfigError::DeadTime { .. }
    ));
    assert!(matches!(
        error(builder(Role::Primary, 1).keepalive(Duration::ZERO)),
        ConfigError::Keepalive(_)
    ));
    assert_eq!(
        error(builder(Role::Primary, 1).version(Version::V1).failback(true)),
        ConfigError::NeedsV2("failback")
    );
}

#[test]
fn a_version_1_primary_says_nothing_until_it_has_decided() {
    let mut primary = pulse(builder(Role::Primary, 1).version(Version::V1));
    primary.handle_timeout(at(0));
    primary.handle_timeout(at(100));
    assert_eq!(drain(&mut primary), []);
    let stopped = Magic::Stopped.encode();
    primary.handle_datagram(at(150), PathId(0), peer(Role::Primary), &stopped);
    let first = &sent(&drain(&mut primary))[0];
    assert_eq!(*first, Magic::Running.encode());
}

#[test]
fn a_datagram_from_elsewhere_is_counted_by_its_reason() {
    let (mut primary, _) = pair();
    let stranger = ([203, 0, 113, 9], 539).into();
    let own = primary.link.encode(&primary.config, 0, word(State::Active));
    let mut neighbour = own.to_vec();
    neighbour[15] ^= 1;
    let source = peer(Role::Primary);
    primary.handle_datagram(at(1), PathId(0), stranger, &own);
    primary.handle_datagram(at(1), PathId(9), source, &own);
    primary.handle_datagram(at(1), PathId(0), source, &own);
    primary.handle_datagram(at(1), PathId(0), source, &neighbour);
    primary.handle_datagram(at(1), PathId(0), source, &own[..50]);
    let counted = rejections(&primary);
    for (reason, count) in
        [("wrong_source", 2), ("own_boot_id", 1), ("wrong_cluster", 1), ("truncated", 1)]
    {
        assert!(counted.contains(&(reason.to_owned(), count)), "{counted:?}");
    }
    assert_eq!(drain(&mut primary), []);
}

fn no_carrier() -> [Fault; 1] {
    [Fault::new(Guard::Link("eth0".to_owned()), "no carrier")]
}

proptest! {
    /// Whatever arrives that is not the peer's own newest word changes nothing but counters, and
    /// is answered with datagrams at most.
    #[test]
    fn forged_and_replayed_datagrams_change_nothing(
        flips in prop::collection::vec((0usize..104, 1u8..=255), 0..3),
        length in 0usize..110,
        now in 1u64..100,
    ) {
        let (mut primary, mut backup) = pair();
        backup.speak(at(0));
        let mut datagram = sent(&drain(&mut backup))[0].clone();
        let source = peer(Role::Primary);
        primary.handle_datagram(at(0), PathId(0), source, &datagram);
        drain(&mut primary);
        // Boot id and counter: without a key, whoever knows what was said last can go on from there.
        for (index, value) in flips {
            if !(16..32).contains(&index) {
                datagram[index] ^= value;
            }
        }
        datagram.resize(length.max(1), 0);
        let before = (primary.phase.clone(), primary.peer.map(|peer| peer.at), primary.poll_timeout());
        primary.handle_datagram(at(now), PathId(0), source, &datagram);
        let outputs = drain(&mut primary);
        let after = (primary.phase.clone(), primary.peer.map(|peer| peer.at), primary.poll_timeout());
        prop_assert_eq!(before, after);
        prop_assert_eq!(sent(&outputs).len(), outputs.len(), "only answers");
    }
}

use std::fmt::Write;
use std::net::IpAddr;

use proptest::prelude::*;

use super::rules::{Action, After};
use super::*;
use crate::failover::guard::Guard;
use crate::failover::{Role, VirtualAddress};
use crate::wire::ip::Packet;
use crate::wire::vrrp::{Advertisement, Ends, HOPS, PROTOCOL};

const INTERVAL: Duration = Duration::from_millis(100);
const ROUTER: u8 = 51;

/// The own addresses of a primary, a backup, and a third with a greater address than both.
const LOCALS: [[u8; 4]; 3] = [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]];

fn vip(host: u8) -> VirtualAddress {
    VirtualAddress::new([198, 51, 100, host].into(), "eth0")
}

fn builder(role: Role) -> Builder {
    let local = if role == Role::Primary { LOCALS[0] } else { LOCALS[1] };
    Config::builder(role, Version::V3, ROUTER)
        .interval(INTERVAL)
        .path(Path::multicast(local.into()))
        .addresses(vec![vip(10)])
}

fn router(builder: Builder) -> Vrrp {
    Vrrp::new(Instant::ZERO, builder.build().unwrap())
}

fn drain(router: &mut Vrrp) -> Vec<Output> {
    std::iter::from_fn(|| router.poll_output()).collect()
}

/// The packet that a message leaves in.
fn packet(path: &Path, hops: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (path.local, path.destination());
    Packet { source, destination, hops, protocol: PROTOCOL, payload }.encode().unwrap()
}

/// What `sender` would say with this priority.
fn said(sender: [u8; 4], priority: u8, interval: Duration) -> Vec<u8> {
    let path = Path::multicast(sender.into());
    let ends = Ends { source: path.local, destination: path.destination() };
    let advertisement = Advertisement {
        version: Version::V3,
        router: ROUTER,
        priority,
        interval,
        addresses: [vip(10).address].into_iter(),
        password: None,
    };
    packet(&path, HOPS, &advertisement.encode(&ends))
}

fn hear(router: &mut Vrrp, now: Instant, sender: [u8; 4], packet: &[u8]) {
    router.handle_datagram(now, PathId(0), (IpAddr::from(sender), 0).into(), packet);
}

fn hear_priority(router: &mut Vrrp, now: Instant, sender: [u8; 4], priority: u8) {
    hear(router, now, sender, &said(sender, priority, INTERVAL));
}

/// The priorities in what was sent.
fn priorities(outputs: &[Output]) -> Vec<u8> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Send { payload, .. } => Some(payload[2]),
        _ => None,
    });
    sent.collect()
}

/// Completes what `outputs` ask for, and returns what comes of it.
fn complete(router: &mut Vrrp, now: Instant, outputs: &[Output]) -> Vec<Output> {
    for output in outputs {
        if let Output::Acquire { id, .. } | Output::Release { id, .. } = output {
            router.handle_completion(now, *id, Ok(()));
        }
    }
    drain(router)
}

/// Waits for the next deadline and lets it happen.
fn wait(router: &mut Vrrp) -> (Instant, Vec<Output>) {
    let now = router.poll_timeout().expect("it waits for something");
    router.handle_timeout(now);
    (now, drain(router))
}

/// An active router, and the moment it became so.
fn active(builder: Builder) -> (Vrrp, Instant) {
    let mut router = router(builder);
    let (now, outputs) = wait(&mut router);
    complete(&mut router, now, &outputs);
    assert_eq!(router.state(), State::Active);
    (router, now)
}

#[test]
fn the_table_of_transitions_is_the_published_one() {
    let mut table = String::new();
    for (name, phase) in every_phase() {
        writeln!(table, "{name}").unwrap();
        for event in every_event() {
            let [preempting, humble] = [true, false].map(|preempts| {
                let facts =
                    Facts { preempts, usable: true, withholds: false, vacancy: Cause::PeerDead };
                decide(&phase, &event, &facts)
            });
            let event = format!("{event:?}");
            if preempting != humble {
                writeln!(table, "  {event:30} preempt: {preempting:?}").unwrap();
                writeln!(table, "  {:30} no preempt: {humble:?}", "").unwrap();
            } else if humble != Action::Stay {
                writeln!(table, "  {event:30} {humble:?}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

fn every_phase() -> Vec<(&'static str, Phase)> {
    let action = ActionId(4);
    let releasing = |then, speaks| Phase::Releasing { action, then, speaks };
    let failed = |holding| Phase::Failed { holding, action: None, retry: Instant::ZERO };
    vec![
        ("starting", Phase::Starting),
        ("standby", Phase::Standby),
        ("acquiring", Phase::Acquiring { action }),
        ("active", Phase::Active),
        ("releasing to stand by", releasing(After::Standby, false)),
        ("releasing to listen", releasing(After::Listen, false)),
        ("releasing to yield", releasing(After::Yield, true)),
        ("releasing to fail", releasing(After::Fail(Cause::DataPlaneFailed), true)),
        ("releasing to stop", releasing(After::Stop, true)),
        ("failed", failed(false)),
        ("failed, addresses still up", failed(true)),
        ("stopped", Phase::Stopped),
    ]
}

fn every_event() -> Vec<Event> {
    let standings = [Standing::Resigned, Standing::Higher, Standing::Equal, Standing::Lower];
    let mut events: Vec<_> = standings.map(Event::Advertised).into();
    events.extend([
        Event::Deadline,
        Event::Done,
        Event::NotDone(ActionError("EIO".into())),
        Event::PlaneDown,
        Event::PlaneUp,
        Event::HandOver,
        Event::Unfit(Cause::Maintenance),
        Event::Stop,
        Event::Stalled,
    ]);
    events
}

#[test]
fn skew_and_down_interval_are_exact() {
    let nanos = |version, priority, interval| {
        let builder = Config::builder(Role::Backup, version, 1).priority(priority);
        let path = Path::multicast(LOCALS[0].into());
        let config = builder.interval(interval).path(path).build().unwrap();
        config.down_interval().as_nanos()
    };
    let (short, second) = (Duration::from_millis(10), Duration::from_secs(1));
    for (version, priority, interval, expected) in [
        (Version::V3, 1, second, 3_996_093_750),
        (Version::V3, 100, second, 3_609_375_000),
        (Version::V3, 254, second, 3_007_812_500),
        (Version::V3, 255, second, 3_003_906_250),
        (Version::V3, 100, short * 10, 360_937_500),
        (Version::V3, 100, short, 36_093_750),
        (Version::V3, 1, short, 39_960_937),
        (Version::V3, 254, short, 30_078_125),
        (Version::V3, 100, Duration::from_millis(40_950), 147_803_906_250),
        // In version 2 the skew is part of a second, whatever the interval.
        (Version::V2, 100, second, 3_609_375_000),
        (Version::V2, 100, second * 10, 30_609_375_000),
    ] {
        assert_eq!(nanos(version, priority, interval), expected, "{version:?} {priority}");
    }
}

#[test]
fn a_backup_waits_three_intervals_and_its_skew_of_the_active_routers_interval() {
    let mut backup = router(builder(Role::Backup));
    let heard = Instant::from_millis(50);
    hear(&mut backup, heard, LOCALS[0], &said(LOCALS[0], 150, Duration::from_secs(2)));
    assert_eq!(backup.state(), State::Standby);
    let learnt = Duration::from_secs(2) * 3 + Duration::from_secs(2) * 156 / 256;
    assert_eq!(backup.poll_timeout(), Some(heard + learnt));
    drain(&mut backup);
    let (now, outputs) = wait(&mut backup);
    assert_eq!(now, heard + learnt);
    // The advertisement comes first, so that no third one takes over as well.
    assert!(matches!(outputs[..], [Output::Send { .. }, Output::Acquire { .. }, _]), "{outputs:?}");
    assert_eq!(backup.status(now).cause, Some(Cause::PeerDead));
    let outputs = complete(&mut backup, now, &outputs);
    assert!(matches!(outputs[..], [Output::Announce { .. }, Output::Transition(_)]));
    assert_eq!(backup.poll_timeout(), Some(now + INTERVAL));
}

#[test]
fn a_takeover_begins_at_the_very_nanosecond_and_not_before() {
    let mut backup = router(builder(Role::Backup));
    let heard = Instant::from_millis(50);
    hear_priority(&mut backup, heard, LOCALS[0], 150);
    drain(&mut backup);
    // Three times 100 ms, and 156 / 256 of 100 ms.
    let due = Instant::from_nanos(heard.as_nanos() + 360_937_500);
    backup.handle_timeout(Instant::from_nanos(due.as_nanos() - 1));
    assert_eq!((backup.state(), drain(&mut backup)), (State::Standby, vec![]));
    backup.handle_timeout(due);
    assert_eq!(backup.state(), State::Acquiring);
}

#[test]
fn a_farewell_leaves_only_the_skew_to_wait() {
    let mut backup = router(builder(Role::Backup));
    hear_priority(&mut backup, Instant::from_millis(50), LOCALS[0], 150);
    let farewell = Instant::from_millis(60);
    hear_priority(&mut backup, farewell, LOCALS[0], 0);
    assert_eq!(backup.poll_timeout(), Some(farewell + INTERVAL * 156 / 256));
    wait(&mut backup);
    assert_eq!(backup.cause, Some(Cause::PeerStopped));
}

#[test]
fn the_farewell_of_a_router_that_is_not_the_active_one_hastens_nothing() {
    let mut backup = router(builder(Role::Backup));
    hear_priority(&mut backup, Instant::from_millis(50), LOCALS[0], 150);
    let due = backup.poll_timeout();
    hear_priority(&mut backup, Instant::from_millis(60), LOCALS[2], 0);
    assert_eq!(backup.poll_timeout(), due);
}

#[test]
fn without_preemption_a_lesser_active_router_is_left_alone() {
    let mut primary = router(builder(Role::Primary));
    for n in 1..20 {
        hear_priority(&mut primary, Instant::ZERO + INTERVAL * n, LOCALS[1], 100);
        primary.handle_timeout(Instant::ZERO + INTERVAL * n);
    }
    assert_eq!(primary.state(), State::Standby);
}

#[test]
fn with_preemption_it_is_taken_over_from_after_the_down_interval() {
    let mut primary = router(builder(Role::Primary).preempt(true));
    let due = primary.poll_timeout().unwrap();
    hear_priority(&mut primary, Instant::from_millis(300), LOCALS[1], 100);
    assert_eq!(primary.poll_timeout(), Some(due));
    wait(&mut primary);
    assert_eq!((primary.state(), primary.cause), (State::Acquiring, Some(Cause::PeerLower)));
}

#[test]
fn a_router_that_is_not_warm_does_not_preempt() {
    let mut primary = router(builder(Role::Primary).preempt(true));
    primary.handle_warmth(Instant::ZERO, false);
    hear_priority(&mut primary, Instant::from_millis(10), LOCALS[1], 100);
    assert_eq!(primary.state(), State::Standby);
    primary.handle_warmth(Instant::from_millis(20), true);
    let due = primary.poll_timeout();
    hear_priority(&mut primary, Instant::from_millis(110), LOCALS[1], 100);
    assert_eq!(primary.poll_timeout(), due);
    wait(&mut primary);
    assert_eq!(primary.cause, Some(Cause::PeerLower));
}

#[test]
fn the_owner_of_the_addresses_waits_for_nobody() {
    let mut owner = router(builder(Role::Primary).priority(255));
    let (now, outputs) = wait(&mut owner);
    assert_eq!((now, owner.state()), (Instant::ZERO, State::Acquiring));
    assert_eq!(priorities(&outputs), [255]);
}

#[test]
fn an_active_router_steps_down_for_a_higher_priority_and_says_nothing_more() {
    let (mut backup, now) = active(builder(Role::Backup));
    let now = now + Duration::from_millis(10);
    hear_priority(&mut backup, now, LOCALS[0], 150);
    let outputs = drain(&mut backup);
    assert!(priorities(&outputs).is_empty(), "neither a claim nor a farewell");
    assert!(matches!(outputs[0], Output::Release { .. }));
    let outputs = complete(&mut backup, now, &outputs);
    assert_eq!((backup.state(), priorities(&outputs)), (State::Standby, vec![]));
    assert_eq!(backup.poll_timeout(), Some(now + backup.config.down_interval()));
}

#[test]
fn among_equals_the_greater_address_wins() {
    let (mut backup, now) = active(builder(Role::Backup));
    hear_priority(&mut backup, now, LOCALS[0], 100);
    assert_eq!(backup.state(), State::Active);
    hear_priority(&mut backup, now, LOCALS[2], 100);
    assert_eq!(backup.state(), State::Releasing);
}

#[test]
fn a_rival_of_lower_priority_is_told_at_once_within_a_bound_and_the_neighbours_too() {
    let (mut primary, now) = active(builder(Role::Primary));
    let now = now + INTERVAL;
    primary.handle_timeout(now);
    drain(&mut primary);
    for _ in 0..100 {
        hear_priority(&mut primary, now, LOCALS[1], 100);
    }
    let outputs = drain(&mut primary);
    assert_eq!(priorities(&outputs), [150; ASSERTIONS as usize]);
    let announcements = outputs.iter().filter(|o| matches!(o, Output::Announce { .. })).count();
    assert_eq!(announcements, 1);
}

#[test]
fn a_stop_takes_the_addresses_down_before_the_farewell() {
    let (mut primary, now) = active(builder(Role::Primary));
    primary.handle_command(now, Command::Stop);
    let outputs = drain(&mut primary);
    assert!(priorities(&outputs).is_empty());
    // Until they are down nobody else must have them.
    let (later, said) = wait(&mut primary);
    assert_eq!(priorities(&said), [150]);
    let outputs = complete(&mut primary, later, &outputs);
    assert_eq!(priorities(&outputs), [0, 0, 0]);
    assert!(matches!(outputs.last(), Some(Output::Transition(_))));
    assert_eq!((primary.state(), primary.poll_timeout()), (State::Stopped, None));
}

#[test]
fn last_words_are_the_farewell_of_a_router_that_is_active_and_of_no_other() {
    let words = |router: &Vrrp| router.last_words(PathId(0)).map(|words| words[2]);
    let mut waiting = router(builder(Role::Backup));
    assert_eq!(words(&waiting), None);
    let (now, outputs) = wait(&mut waiting);
    assert_eq!(words(&waiting), Some(0), "it advertises already");
    complete(&mut waiting, now, &outputs);
    assert_eq!((words(&waiting), waiting.last_words(PathId(1))), (Some(0), None));
    waiting.handle_command(now, Command::Stop);
    let outputs = drain(&mut waiting);
    complete(&mut waiting, now, &outputs);
    assert_eq!((waiting.state(), words(&waiting)), (State::Stopped, None));
}

#[test]
fn a_backup_stops_without_a_word() {
    let mut backup = router(builder(Role::Backup));
    backup.handle_command(Instant::ZERO, Command::Stop);
    assert!(priorities(&drain(&mut backup)).is_empty());
    assert_eq!(backup.state(), State::Stopped);
}

#[test]
fn what_was_handed_over_is_not_taken_back_while_another_router_is_active() {
    let (mut primary, now) = active(builder(Role::Primary).preempt(true));
    primary.handle_command(now, Command::HandOver);
    let outputs = drain(&mut primary);
    let outputs = complete(&mut primary, now, &outputs);
    assert_eq!((primary.state(), priorities(&outputs)), (State::Standby, vec![0, 0, 0]));
    let mut later = now;
    for _ in 0..20 {
        later += INTERVAL;
        hear_priority(&mut primary, later, LOCALS[1], 100);
        primary.handle_timeout(later);
        assert_eq!(primary.state(), State::Standby);
    }
    wait(&mut primary);
    assert_eq!(primary.state(), State::Acquiring, "but once nobody is");
}

fn fault() -> Fault {
    Fault::new(Guard::Link("eth0".to_owned()), "no carrier")
}

#[test]
fn a_router_whose_guard_fails_passes_the_service_on_once_and_takes_it_back_from_nobody() {
    let (mut primary, now) = active(builder(Role::Primary).preempt(true));
    primary.handle_guards(now, &[fault()]);
    let outputs = drain(&mut primary);
    let outputs = complete(&mut primary, now, &outputs);
    assert_eq!((primary.state(), priorities(&outputs)), (State::Standby, vec![0, 0, 0]));
    // As long as the last of all others would wait, and a little more.
    let due = primary.poll_timeout().unwrap();
    assert_eq!(due - now, INTERVAL * 3 + INTERVAL * 255 / 256);
    let (now, outputs) = wait(&mut primary);
    assert_eq!((primary.state(), priorities(&outputs)), (State::Acquiring, vec![1]));
    complete(&mut primary, now, &outputs);
    primary.handle_guards(now, &[fault(), fault()]);
    assert_eq!(primary.state(), State::Active);
    primary.handle_guards(now, &[]);
    assert_eq!(priorities(&drain(&mut primary)), [150]);
}

#[test]
fn maintenance_passes_the_service_on_and_keeps_it_away() {
    let (mut primary, now) = active(builder(Role::Primary).preempt(true));
    primary.handle_command(now, Command::Maintenance(true));
    let outputs = drain(&mut primary);
    complete(&mut primary, now, &outputs);
    hear_priority(&mut primary, now + INTERVAL, LOCALS[1], 100);
    for _ in 0..3 {
        let (now, outputs) = wait(&mut primary);
        assert_eq!(primary.state(), State::Standby, "{outputs:?}");
        assert_eq!(primary.status(now).declined.unwrap().reason, Cause::Maintenance);
    }
    let now = primary.last_now;
    primary.handle_command(now, Command::Maintenance(false));
    wait(&mut primary);
    assert_eq!(primary.state(), State::Acquiring);
}

#[test]
fn maintenance_ends_when_nobody_takes_the_service() {
    let (mut primary, now) = active(builder(Role::Primary));
    primary.handle_command(now, Command::Maintenance(true));
    let outputs = drain(&mut primary);
    complete(&mut primary, now, &outputs);
    let (now, outputs) = wait(&mut primary);
    assert_eq!(primary.state(), State::Acquiring);
    assert_eq!(outputs.last(), Some(&Output::Declined { reason: Cause::PeerRefused }));
    assert!(!primary.status(now).maintenance);
}

#[test]
fn addresses_that_do_not_come_up_are_given_up_with_a_farewell_and_tried_again() {
    let mut router = router(builder(Role::Primary));
    let (now, outputs) = wait(&mut router);
    let Some(Output::Acquire { id, .. }) = outputs.get(1) else { panic!("{outputs:?}") };
    router.handle_completion(now, *id, Err(ActionError("ENODEV".into())));
    let outputs = drain(&mut router);
    let outputs = complete(&mut router, now, &outputs);
    assert_eq!((router.state(), priorities(&outputs)), (State::Failed, vec![0, 0, 0]));
    wait(&mut router);
    assert_eq!((router.state(), router.cause), (State::Starting, Some(Cause::Retrying)));
}

#[test]
fn a_router_that_was_suspended_steps_down_without_a_word() {
    let (mut primary, now) = active(builder(Role::Primary));
    let now = now + Duration::from_secs(5);
    hear_priority(&mut primary, now, LOCALS[1], 100);
    let outputs = drain(&mut primary);
    assert_eq!((primary.state(), priorities(&outputs)), (State::Releasing, vec![]));
    let outputs = complete(&mut primary, now, &outputs);
    assert_eq!((primary.state(), priorities(&outputs)), (State::Starting, vec![]));
    hear_priority(&mut primary, now + INTERVAL, LOCALS[1], 100);
    assert_eq!(primary.state(), State::Standby);
}

#[test]
fn a_standby_that_was_suspended_listens_before_it_concludes_anything() {
    let mut backup = router(builder(Role::Backup));
    hear_priority(&mut backup, Instant::from_millis(10), LOCALS[0], 150);
    let now = Instant::from_millis(60_000);
    backup.handle_timeout(now);
    assert_eq!(backup.state(), State::Standby);
    assert_eq!(backup.poll_timeout(), Some(now + backup.config.down_interval()));
}

#[test]
fn a_reload_changes_priority_and_addresses_without_a_pause() {
    let (mut primary, now) = active(builder(Role::Primary));
    let changed = primary.config().to_builder().priority(90).addresses(vec![vip(11)]);
    primary.handle_config(now, changed.build().unwrap()).unwrap();
    let outputs = drain(&mut primary);
    assert_eq!(priorities(&outputs), [90]);
    let asked: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Release { addresses, .. } => Some(("down", addresses.clone())),
            Output::Acquire { addresses, .. } => Some(("up", addresses.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [("down", vec![vip(10)]), ("up", vec![vip(11)])]);
    let outputs = complete(&mut primary, now, &outputs);
    assert_eq!(outputs, [Output::Announce { addresses: vec![vip(11)] }]);
    assert_eq!(primary.state(), State::Active);
}

#[test]
fn what_only_a_restart_can_change_is_refused_and_named() {
    let mut primary = router(builder(Role::Primary));
    let other = builder(Role::Primary).path(Path::multicast(LOCALS[2].into()));
    let error = primary.handle_config(Instant::ZERO, other.build().unwrap()).unwrap_err();
    assert_eq!(error, ConfigError::NeedsRestart("ways of VRRP"));
    let mut addresses = primary.config.addresses.clone();
    addresses.push(VirtualAddress::new("fd00::1".parse().unwrap(), "eth0"));
    let config = primary.config.to_builder().addresses(addresses).build().unwrap();
    primary.handle_config(Instant::ZERO, config).unwrap();
    assert_eq!(primary.unadvertised(), Some(Family::Ipv6));
}

#[test]
fn both_families_are_one_router_that_lives_as_long_as_either_is_heard() {
    let local6: IpAddr = "fe80::2".parse().unwrap();
    let six: IpAddr = "fe80::1".parse().unwrap();
    let vip6 = VirtualAddress::new("fd00::80".parse().unwrap(), "eth0");
    let builder =
        builder(Role::Backup).path(Path::multicast(local6)).addresses(vec![vip(10), vip6.clone()]);
    let mut backup = router(builder.clone());
    let path = Path::multicast(six);
    let ends = Ends { source: six, destination: path.destination() };
    let advertisement = Advertisement {
        version: Version::V3,
        router: ROUTER,
        priority: 150,
        interval: INTERVAL,
        addresses: [vip6.address].into_iter(),
        password: None,
    };
    let bytes = packet(&path, HOPS, &advertisement.encode(&ends));
    for n in 1..20 {
        let now = Instant::ZERO + INTERVAL * n;
        backup.handle_datagram(now, PathId(1), (six, 0).into(), &bytes);
        backup.handle_timeout(now);
    }
    assert_eq!(backup.state(), State::Standby);
    assert_eq!(backup.status(Instant::ZERO).peer.unwrap().same_configuration, Some(true));
    let (backup, _) = active(builder);
    assert_eq!(backup.held.all().len(), 2);
}

#[test]
fn each_reason_not_to_accept_an_advertisement_is_counted_and_changes_nothing() {
    let sender = LOCALS[0];
    let good = said(sender, 150, INTERVAL);
    let altered = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    let mut cases = vec![
        ("malformed", sender, vec![]),
        ("malformed", sender, altered(9, 17)),
        ("malformed", LOCALS[2], good.clone()),
        ("hops", sender, altered(8, 254)),
        ("wrong_destination", sender, altered(19, 1)),
        ("other_router", sender, altered(21, 52)),
        ("version", sender, altered(20, 0x41)),
        ("bad_field", sender, altered(20, 0x32)),
        ("truncated", sender, altered(23, 2)),
        ("oversized", sender, altered(23, 0)),
        ("checksum", sender, altered(22, 151)),
        ("own_packet", LOCALS[1], said(LOCALS[1], 150, INTERVAL)),
    ];
    cases.push(("malformed", sender, vec![0; 40]));
    for (reason, source, bytes) in cases {
        let mut backup = router(builder(Role::Backup));
        let due = backup.poll_timeout();
        hear(&mut backup, Instant::from_millis(50), source, &bytes);
        assert_eq!(drain(&mut backup), [], "{reason}");
        assert_eq!(backup.poll_timeout(), due, "{reason}");
        let status = backup.status(Instant::from_millis(50));
        assert_eq!(status.rejected, [(reason.to_owned(), 1)]);
        assert_eq!((status.peer, status.paths), (None, vec![None]), "{reason}");
    }
}

#[test]
fn other_addresses_are_counted_and_shown_but_heeded() {
    let mut backup = router(builder(Role::Backup).addresses(vec![vip(11)]));
    hear_priority(&mut backup, Instant::from_millis(50), LOCALS[0], 150);
    assert_eq!(backup.state(), State::Standby);
    let status = backup.status(Instant::from_millis(50));
    assert_eq!(status.rejected, [("other_addresses".to_owned(), 1)]);
    assert_eq!(status.peer.unwrap().same_configuration, Some(false));
}

fn v2(password: Option<&[u8]>) -> Builder {
    let builder = Config::builder(Role::Backup, Version::V2, ROUTER)
        .path(Path::unicast(LOCALS[1].into(), LOCALS[0].into()))
        .addresses(vec![vip(10)]);
    password.iter().fold(builder, |builder, word| builder.password(Password::new(word).unwrap()))
}

#[test]
fn version_2_asks_for_the_same_password_and_interval() {
    let path = Path::unicast(LOCALS[0].into(), LOCALS[1].into());
    let ends = Ends { source: path.local, destination: path.destination() };
    let said = |password: Option<&[u8]>, seconds| {
        let advertisement = Advertisement {
            version: Version::V2,
            router: ROUTER,
            priority: 150,
            interval: Duration::from_secs(seconds),
            addresses: [vip(10).address].into_iter(),
            password: password.and_then(Password::new),
        };
        packet(&path, HOPS, &advertisement.encode(&ends))
    };
    for (ours, theirs, seconds, reason) in [
        (None, None, 1, None),
        (Some(&b"s3cret"[..]), Some(&b"s3cret"[..]), 1, None),
        (None, None, 2, Some("interval")),
        (Some(b"s3cret"), None, 1, Some("authentication_type")),
        (None, Some(b"s3cret"), 1, Some("authentication_type")),
        (Some(b"s3cret"), Some(b"other"), 1, Some("bad_password")),
    ] {
        let mut backup = router(v2(ours));
        hear(&mut backup, Instant::from_millis(1), LOCALS[0], &said(theirs, seconds));
        let rejected = backup.status(Instant::ZERO).rejected;
        let expected: Vec<_> = reason.iter().map(|reason| ((*reason).to_owned(), 1)).collect();
        assert_eq!(rejected, expected);
        let heard = if reason.is_none() { State::Standby } else { State::Starting };
        assert_eq!(backup.state(), heard);
    }
}

#[test]
fn routers_in_between_are_allowed_as_many_as_told() {
    for (between, hops, accepted) in [(0, 254, false), (2, 253, true), (2, 252, false)] {
        let mut backup = router(builder(Role::Backup).routers_between(between));
        let mut bytes = said(LOCALS[0], 150, INTERVAL);
        bytes[8] = hops;
        hear(&mut backup, Instant::ZERO, LOCALS[0], &bytes);
        assert_eq!(backup.state() == State::Standby, accepted, "{between} {hops}");
    }
}

#[test]
fn a_configuration_that_cannot_be_said_is_refused_with_its_reason() {
    let path = Path::multicast(LOCALS[0].into());
    let ok = || Config::builder(Role::Primary, Version::V3, 1).path(path);
    let six = Path::multicast("fe80::1".parse().unwrap());
    let error = |builder: Builder| builder.build().err();
    assert_eq!(error(ok()), None);
    let none = Config::builder(Role::Primary, Version::V3, 0).path(path);
    assert_eq!(error(none), Some(ConfigError::Router));
    assert_eq!(error(ok().priority(0)), Some(ConfigError::Priority));
    for millis in [0, 5, 15, 40_960] {
        let interval = Duration::from_millis(millis);
        assert_eq!(error(ok().interval(interval)), Some(ConfigError::IntervalV3(interval)));
    }
    let two = || Config::builder(Role::Primary, Version::V2, 1).path(path);
    for millis in [100, 1500, 256_000] {
        let interval = Duration::from_millis(millis);
        assert_eq!(error(two().interval(interval)), Some(ConfigError::IntervalV2(interval)));
    }
    assert_eq!(error(two().path(six)), Some(ConfigError::NeedsV3));
    let word = Password::new(b"word").unwrap();
    assert_eq!(error(ok().password(word)), Some(ConfigError::NeedsV2));
    let mixed = Path::unicast(LOCALS[0].into(), "fe80::1".parse().unwrap());
    assert_eq!(error(ok().path(mixed)), Some(ConfigError::MixedPath));
    let pathless = Config::builder(Role::Primary, Version::V3, 1);
    assert_eq!(error(pathless), Some(ConfigError::Paths(0)));
}

proptest! {
    #[test]
    fn any_bytes_change_nothing_or_are_an_advertisement(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        flips in proptest::collection::vec((0usize..32, any::<u8>()), 0..4),
        from_good: bool,
    ) {
        let mut bytes = bytes;
        if from_good {
            bytes = said(LOCALS[0], 150, INTERVAL);
            for (place, value) in flips {
                bytes[place] ^= value;
            }
        }
        for mut router in [router(builder(Role::Backup)), active(builder(Role::Backup)).0] {
            drain(&mut router);
            let now = router.last_now;
            let before = router.status(now);
            let due = router.poll_timeout();
            hear(&mut router, now, LOCALS[0], &bytes);
            let after = router.status(now);
            if after.peer.is_none() {
                prop_assert_eq!(drain(&mut router), []);
                prop_assert_eq!((before.state, due), (after.state, router.poll_timeout()));
                let count = |status: &Status| status.rejected.iter().map(|(_, n)| n).sum::<u64>();
                prop_assert_eq!(count(&before) + 1, count(&after));
            }
        }
    }
}

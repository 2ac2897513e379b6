use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::{FlapLimit, Jitter, SlowStart};
use super::*;

mod simulation;

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn config() -> MonitorConfig {
    MonitorConfig::new(secs(2), secs(1)).unwrap()
}

fn weight(weight: u32) -> Weight {
    Weight::new(weight).unwrap()
}

fn drain(monitor: &mut Monitor) -> Vec<Output> {
    std::iter::from_fn(|| monitor.poll_output()).collect()
}

/// Runs one check at its next beat and returns everything that came of it but the check itself.
fn check(monitor: &mut Monitor, result: Result<(), Failure>) -> Vec<Output> {
    let now = loop {
        let now = monitor.poll_timeout().unwrap();
        monitor.handle_timeout(now);
        if monitor.probe.is_some() {
            break now;
        }
    };
    let id = monitor.probe.unwrap().id;
    monitor.handle_result(now, id, result);
    let mut outputs = drain(monitor);
    outputs.retain(|output| !matches!(output, Output::Probe { .. }));
    outputs
}

fn weights(outputs: &[Output]) -> Vec<Option<u32>> {
    let of = |output: &Output| match output {
        Output::Weight(weight) => Some(weight.map(Weight::get)),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

#[test]
fn state_by_event() {
    let config = config().with_rise(3).unwrap().with_fall(2).unwrap();
    let states = [
        State::Unknown,
        State::In { failures: 0 },
        State::In { failures: 1 },
        State::Out { successes: 0, returning: false },
        State::Out { successes: 0, returning: true },
        State::Out { successes: 1, returning: true },
        State::Out { successes: 2, returning: true },
    ];
    let mut table = String::new();
    for state in states {
        for event in ["passed", "failed", "timeout", "inconclusive", "stalled"] {
            let mut monitor = Monitor::new(at(0), config.with_weight(weight(64)));
            monitor.state = state;
            monitor.held = state.health().is_in().then_some(weight(64));
            monitor.handle_timeout(at(0));
            drain(&mut monitor);
            match event {
                "passed" => monitor.handle_result(at(5), ProbeId(0), Ok(())),
                "failed" => monitor.handle_result(at(5), ProbeId(0), Err(Failure::Refused)),
                "timeout" => monitor.handle_timeout(at(1000)),
                "inconclusive" => {
                    let failure = Failure::Inconclusive("no descriptors".into());
                    monitor.handle_result(at(5), ProbeId(0), Err(failure));
                }
                _ => monitor.handle_timeout(at(60_000)),
            }
            let outputs: Vec<_> = drain(&mut monitor).iter().map(brief).collect();
            writeln!(table, "{state:?} + {event}: {}", outputs.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

fn brief(output: &Output) -> String {
    match output {
        Output::Probe { .. } => "probe".into(),
        Output::Cancel { .. } => "cancel".into(),
        Output::Changed { from, to, reason } => format!("{from} -> {to} ({reason})"),
        Output::Weight(weight) => format!("weight {:?}", weight.map(Weight::get)),
        Output::Override(forced) => format!("the word is {forced}"),
    }
}

#[test]
fn the_first_success_admits_with_the_full_weight() {
    let mut monitor = Monitor::new(at(0), config().with_rise(9).unwrap().with_weight(weight(64)));
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(64)]);
}

#[test]
fn a_server_that_was_never_in_is_admitted_by_its_first_success_but_starts_slowly() {
    let mut monitor = Monitor::new(at(0), config().with_rise(9).unwrap().with_weight(weight(64)));
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), []);
    assert_eq!(monitor.health(), Health::Down);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(2)]);
}

#[test]
fn interval_2_and_reentry_6_come_back_with_the_third_success() {
    let rise = super::super::rise_from_reentry(secs(6), secs(2));
    let mut monitor = Monitor::new(at(0), config().with_rise(rise).unwrap());
    check(&mut monitor, Ok(()));
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), [None]);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), []);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), []);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(1)]);
}

#[test]
fn a_quiesced_server_stays_with_weight_0_but_only_if_it_was_in() {
    let mut monitor = Monitor::new(at(0), config().with_quiesce(true));
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), []);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(1)]);
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), [Some(0)]);
    monitor.handle_config(at(9000), config());
    assert_eq!(weights(&drain(&mut monitor)), [None]);
}

#[test]
fn a_returning_server_starts_slowly() {
    let mut monitor = Monitor::new(at(0), config().with_weight(weight(128)));
    check(&mut monitor, Ok(()));
    check(&mut monitor, Err(Failure::Refused));
    let mut seen = weights(&check(&mut monitor, Ok(())));
    for _ in 0..60 {
        seen.extend(weights(&check(&mut monitor, Ok(()))));
    }
    assert_eq!(seen, [4, 8, 16, 32, 64, 128].map(Some));
}

#[test]
fn a_slow_start_needs_no_check_to_take_its_steps() {
    let ramp = SlowStart::Ramp(Duration::from_millis(100));
    let config = config().with_weight(weight(10)).with_slow_start(ramp);
    let mut monitor = Monitor::new(at(0), config);
    check(&mut monitor, Err(Failure::Refused));
    check(&mut monitor, Ok(()));
    monitor.handle_timeout(at(2020));
    assert_eq!(weights(&drain(&mut monitor)), [Some(2)]);
    assert_eq!(monitor.poll_timeout(), Some(at(2030)));
    monitor.handle_timeout(at(3000));
    assert_eq!(weights(&drain(&mut monitor)), [Some(10)]);
    assert_eq!(monitor.poll_timeout(), Some(at(4000)));
}

#[test]
fn a_reload_changes_nothing_but_what_it_says() {
    let mut monitor = Monitor::new(at(0), config().with_rise(3).unwrap().with_weight(weight(64)));
    check(&mut monitor, Ok(()));
    check(&mut monitor, Err(Failure::Refused));
    check(&mut monitor, Ok(()));
    let same = *monitor.config();
    monitor.handle_config(at(4100), same);
    assert_eq!(drain(&mut monitor), []);
    assert_eq!(monitor.health(), Health::Rising);
    check(&mut monitor, Ok(()));
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(2)]);

    monitor.handle_config(at(8500), same.with_weight(weight(640)));
    assert_eq!(weights(&drain(&mut monitor)), [Some(20)], "the slow start lives on");
    monitor.handle_config(at(8600), same.with_slow_start(SlowStart::Off));
    assert_eq!(weights(&drain(&mut monitor)), [Some(64)]);
    monitor.handle_config(at(8700), same.with_slow_start(SlowStart::Ramp(secs(9000))));
    assert_eq!(weights(&drain(&mut monitor)), [], "one that is over does not begin again");
    monitor.handle_config(at(8800), same.with_weight(Weight::ZERO));
    assert_eq!(weights(&drain(&mut monitor)), [Some(0)]);
}

#[test]
fn a_new_interval_counts_from_the_latest_check() {
    let mut monitor = Monitor::new(at(0), config());
    check(&mut monitor, Ok(()));
    let slower = MonitorConfig::new(secs(5), secs(1)).unwrap();
    monitor.handle_config(at(1000), slower);
    assert_eq!(monitor.poll_timeout(), Some(at(5000)));
}

#[test]
fn an_override_beats_the_checks_which_go_on_meanwhile() {
    let mut monitor = Monitor::new(at(0), config().with_weight(weight(64)));
    check(&mut monitor, Ok(()));
    monitor.handle_override(at(10), Override::ForceDown);
    assert_eq!(weights(&drain(&mut monitor)), [None]);
    assert_eq!(monitor.health(), Health::Up);
    assert_eq!(check(&mut monitor, Ok(())), []);
    monitor.handle_override(at(2010), Override::None);
    assert_eq!(weights(&drain(&mut monitor)), [Some(2)], "back with a slow start");

    monitor.handle_override(at(2020), Override::ForceUp);
    assert_eq!(weights(&drain(&mut monitor)), [Some(64)]);
    let outputs = check(&mut monitor, Err(Failure::Refused));
    assert_eq!((outputs.len(), weights(&outputs)), (1, vec![]));
    monitor.handle_override(at(4010), Override::None);
    assert_eq!(weights(&drain(&mut monitor)), [None]);
}

#[test]
fn a_drained_server_keeps_its_connections_whatever_quiesce_says() {
    let mut monitor = Monitor::new(at(0), config().with_weight(weight(64)));
    check(&mut monitor, Ok(()));
    monitor.handle_override(at(10), Override::Drain);
    assert_eq!(weights(&drain(&mut monitor)), [Some(0)]);
    assert_eq!(monitor.health(), Health::Up, "what the checks say is another matter");
    assert_eq!(check(&mut monitor, Ok(())), []);
    monitor.handle_override(at(2010), Override::None);
    assert_eq!(weights(&drain(&mut monitor)), [Some(2)], "back with a slow start");

    monitor.handle_override(at(2020), Override::Drain);
    drain(&mut monitor);
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), [None], "it died of itself");
    monitor.handle_override(at(4010), Override::None);
    assert_eq!(weights(&drain(&mut monitor)), []);
}

#[test]
fn a_disabled_server_is_out_even_if_a_failed_one_would_stay() {
    let mut monitor = Monitor::new(at(0), config().with_quiesce(true));
    check(&mut monitor, Ok(()));
    monitor.handle_override(at(10), Override::Drain);
    monitor.handle_override(at(20), Override::Disabled);
    assert_eq!(weights(&drain(&mut monitor)), [Some(0), None]);
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), []);
    assert_eq!(monitor.status().forced.to_string(), "disabled");
}

#[test]
fn an_override_that_comes_before_the_first_check_says_what_the_table_holds() {
    let told = |forced| {
        let mut monitor = Monitor::new(at(0), config());
        monitor.handle_override(at(0), forced);
        weights(&drain(&mut monitor))
    };
    assert_eq!(told(Override::Disabled), [None], "an earlier life may have left it in the table");
    assert_eq!(told(Override::ForceDown), [None]);
    assert_eq!(told(Override::Drain), [Some(0)]);
    assert_eq!(told(Override::None), []);
}

#[test]
fn the_beat_neither_drifts_nor_bursts() {
    let mut monitor = Monitor::new(at(0), config().with_initial_offset(secs(1)));
    assert_eq!(monitor.poll_timeout(), Some(at(1000)));
    monitor.handle_timeout(at(999));
    assert_eq!(drain(&mut monitor), []);
    monitor.handle_timeout(at(1007));
    monitor.handle_result(at(1900), ProbeId(0), Ok(()));
    assert_eq!(monitor.poll_timeout(), Some(at(3000)));

    monitor.handle_timeout(at(60_500));
    monitor.handle_result(at(60_600), ProbeId(1), Ok(()));
    assert_eq!(monitor.poll_timeout(), Some(at(61_000)));
    assert_eq!(monitor.status().counters.started, 2);
}

#[test]
fn a_check_that_never_returns_fails_at_its_deadline() {
    let mut monitor = Monitor::new(at(0), config());
    check(&mut monitor, Ok(()));
    monitor.handle_timeout(at(2000));
    monitor.handle_timeout(at(2500));
    assert_eq!(monitor.poll_timeout(), Some(at(3000)));
    drain(&mut monitor);
    monitor.handle_timeout(at(3000));
    let outputs: Vec<_> = drain(&mut monitor).iter().map(brief).collect();
    let down = "up -> down (the check timed out after 1s)";
    assert_eq!(outputs, ["cancel", down, "weight None"]);
}

#[test]
fn a_late_result_is_counted_and_changes_nothing() {
    let mut monitor = Monitor::new(at(0), config());
    check(&mut monitor, Ok(()));
    monitor.handle_timeout(at(2000));
    monitor.handle_timeout(at(3000));
    drain(&mut monitor);
    monitor.handle_result(at(3100), ProbeId(1), Ok(()));
    monitor.handle_result(at(3100), ProbeId(77), Ok(()));
    assert_eq!(drain(&mut monitor), []);
    assert_eq!(monitor.status().counters.late, 2);
    assert_eq!(monitor.health(), Health::Down);
}

#[test]
fn a_director_that_stood_still_does_not_blame_the_server() {
    let mut monitor = Monitor::new(at(0), config());
    check(&mut monitor, Ok(()));
    monitor.handle_timeout(at(2000));
    drain(&mut monitor);
    monitor.handle_timeout(at(3_600_000));
    let outputs: Vec<_> = drain(&mut monitor).iter().map(brief).collect();
    assert_eq!(outputs, ["cancel", "probe"]);
    assert_eq!(monitor.health(), Health::Up);
    assert_eq!(monitor.status().counters.void, 1);
}

#[test]
fn a_timeout_longer_than_the_interval_leaves_beats_out() {
    let slow = MonitorConfig::new(secs(1), Duration::from_millis(2500)).unwrap();
    let mut monitor = Monitor::new(at(0), slow);
    monitor.handle_timeout(at(0));
    monitor.handle_timeout(at(1000));
    assert_eq!(monitor.status().counters.started, 1);
    monitor.handle_timeout(at(2500));
    assert_eq!(monitor.status().counters.started, 2);
    monitor.handle_result(at(2600), ProbeId(1), Ok(()));
    assert_eq!(monitor.poll_timeout(), Some(at(3000)));
}

#[test]
fn in_doubt_checks_come_faster() {
    let fast = Some(Duration::from_millis(200));
    let config = config().with_fall(3).and_then(|config| config.with_rise(2)).unwrap();
    let mut monitor = Monitor::new(at(0), config.with_fast_interval(fast).unwrap());
    let mut moments = Vec::new();
    for passed in [true, true, false, false, false, false, true, true, true] {
        let now = monitor.poll_timeout().unwrap();
        monitor.handle_timeout(now);
        let result = if passed { Ok(()) } else { Err(Failure::Refused) };
        monitor.handle_result(now, monitor.probe.unwrap().id, result);
        moments.push((now.as_nanos() / 1_000_000, monitor.health().to_string()));
    }
    let moments: Vec<_> = moments.iter().map(|(at, health)| (*at, health.as_str())).collect();
    let falls = [(4000, "falling"), (4200, "falling"), (4400, "down"), (6400, "down")];
    let rises = [(8400, "rising"), (8600, "up"), (10_600, "up")];
    assert_eq!(moments[..2], [(0, "up"), (2000, "up")]);
    assert_eq!(moments[2..6], falls);
    assert_eq!(moments[6..], rises);
}

#[test]
fn a_slow_fast_interval_slows_nothing_down() {
    let slow = config().with_fall(3).unwrap().with_fast_interval(Some(secs(60))).unwrap();
    let mut monitor = Monitor::new(at(0), slow);
    check(&mut monitor, Ok(()));
    check(&mut monitor, Err(Failure::Refused));
    assert_eq!(monitor.poll_timeout(), Some(at(4000)));
}

#[test]
fn the_second_check_takes_its_place_in_the_interval_and_the_others_keep_it() {
    let mut monitor = Monitor::new(at(0), config().with_phase(Duration::from_millis(700)));
    let mut moments = Vec::new();
    for _ in 0..4 {
        moments.push(monitor.poll_timeout().unwrap());
        check(&mut monitor, Ok(()));
    }
    assert_eq!(moments, [at(0), at(700), at(2700), at(4700)]);
}

#[test]
fn jitter_moves_checks_and_not_their_beat() {
    let jitter = Jitter::new(50, 3).unwrap();
    let mut monitor = Monitor::new(at(0), config().with_jitter(jitter));
    let mut strayed = 0;
    for beat in 0..50 {
        let (start, due) = (monitor.poll_timeout().unwrap(), at(beat * 2000));
        assert!(due <= start && start - due < secs(1), "{start}");
        strayed += u32::from(start != due);
        check(&mut monitor, Ok(()));
    }
    assert!(strayed > 40, "{strayed}");
}

#[test]
fn a_server_taken_for_up_serves_at_once_and_its_first_check_decides() {
    let config = config().with_weight(weight(64)).with_initial_state(InitialState::Up);
    let mut monitor = Monitor::new(at(0), config);
    let outputs: Vec<_> = drain(&mut monitor).iter().map(brief).collect();
    assert_eq!(outputs, ["unknown -> up (not checked yet)", "weight Some(64)"]);
    assert_eq!(monitor.poll_timeout(), Some(at(0)), "it is checked all the same");
    assert_eq!(weights(&check(&mut monitor, Err(Failure::Refused))), [None]);
}

#[test]
fn a_server_taken_for_down_has_to_rise() {
    let config = config().with_rise(2).unwrap().with_initial_state(InitialState::Down);
    let mut monitor = Monitor::new(at(0), config);
    let outputs: Vec<_> = drain(&mut monitor).iter().map(brief).collect();
    assert_eq!(outputs, ["unknown -> down (not checked yet)"]);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), []);
    assert_eq!(weights(&check(&mut monitor, Ok(()))), [Some(1)]);
}

#[test]
fn a_server_that_flaps_is_let_in_more_and_more_rarely() {
    let limit = FlapLimit::new(2, secs(600)).unwrap();
    let mut monitor = Monitor::new(at(0), config().with_flap_limit(Some(limit)));
    check(&mut monitor, Ok(()));
    let mut needed = Vec::new();
    for _ in 0..5 {
        check(&mut monitor, Err(Failure::Refused));
        let mut passed = 0;
        while !monitor.health().is_in() {
            check(&mut monitor, Ok(()));
            passed += 1;
        }
        needed.push(passed);
    }
    assert_eq!(needed, [1, 1, 2, 4, 8]);
}

#[test]
fn what_is_remembered_is_told_first_and_the_checks_go_on() {
    let config = config().with_rise(3).unwrap().with_weight(weight(64));
    let mut monitor = Monitor::new(at(0), config);
    check(&mut monitor, Ok(()));
    let mut restored = Monitor::restore(at(1000), config, remembered(&monitor, at(500)));
    let outputs: Vec<_> = drain(&mut restored).iter().map(brief).collect();
    assert_eq!(outputs, ["unknown -> up (remembered)", "weight Some(64)"]);
    assert_eq!(restored.poll_timeout(), Some(at(2000)), "on the same beat");

    check(&mut monitor, Err(Failure::Refused));
    check(&mut monitor, Ok(()));
    let mut restored = Monitor::restore(at(60_000), config, remembered(&monitor, at(4100)));
    assert_eq!(weights(&drain(&mut restored)), []);
    assert_eq!(restored.poll_timeout(), Some(at(60_000)), "the beat is long past");
    check(&mut restored, Ok(()));
    assert_eq!(weights(&check(&mut restored, Ok(()))), [Some(2)], "the first success counts");
}

#[test]
fn a_drained_server_stays_drained_over_a_restart() {
    let mut monitor = Monitor::new(at(0), config());
    check(&mut monitor, Ok(()));
    monitor.handle_override(at(10), Override::Drain);
    let mut restored = Monitor::restore(at(20), config(), remembered(&monitor, at(10)));
    assert_eq!(weights(&drain(&mut restored)), [Some(0)]);
    monitor.handle_override(at(10), Override::Disabled);
    let mut restored = Monitor::restore(at(20), config(), remembered(&monitor, at(10)));
    assert_eq!(weights(&drain(&mut restored)), [None]);
}

#[test]
fn a_word_that_ended_while_nobody_watched_ends_and_a_new_one_holds_from_the_first_moment() {
    let eased = config().with_weight(weight(64)).with_slow_start(SlowStart::Historical);
    let mut monitor = Monitor::new(at(0), eased);
    check(&mut monitor, Ok(()));
    let ready = remembered(&monitor, at(10));
    for word in [Override::Drain, Override::Disabled, Override::ForceDown] {
        monitor.handle_override(at(10), word);
        let ended = remembered(&monitor, at(10)).under(at(20), Override::None);
        let mut restored = Monitor::restore(at(20), eased, ended);
        assert_eq!(weights(&drain(&mut restored)), [Some(2)], "{word}: a slow start");
        assert_eq!(restored.status().forced, Override::None);
        let said = ready.clone().under(at(20), word);
        let mut restored = Monitor::restore(at(20), eased, said);
        let told = weights(&drain(&mut restored));
        assert!(told.iter().all(|weight| weight.unwrap_or(0) == 0), "{word}: {told:?}");
        monitor.handle_override(at(10), Override::None);
    }
    let same = Monitor::restore(at(20), eased, ready.clone().under(at(20), Override::None));
    assert_eq!(same.status().weight, Some(weight(64)), "nothing was said, so nothing ends");
}

#[test]
fn a_snapshot_from_the_future_neither_panics_nor_stops_the_checks() {
    let mut monitor = Monitor::new(at(0), config().with_weight(weight(64)));
    for result in [Ok(()), Err(Failure::Refused), Ok(())] {
        check(&mut monitor, result);
    }
    let snapshot = remembered(&monitor, at(1_000_000));
    let mut restored = Monitor::restore(at(1), config(), snapshot);
    drain(&mut restored);
    assert!(restored.poll_timeout().unwrap() <= at(4001));
    assert!(restored.status().since <= at(1));
}

#[derive(Clone, Debug)]
enum Input {
    Result { offset: u64, passed: bool },
    Timeout,
    Config(MonitorConfig),
    Override(Override),
}

fn any_config() -> impl Strategy<Value = MonitorConfig> {
    let period = || (1..5000_u64).prop_map(Duration::from_millis);
    let slow_start = prop_oneof![
        Just(SlowStart::Historical),
        Just(SlowStart::Off),
        period().prop_map(SlowStart::Ramp),
    ];
    let timing = (period(), period(), proptest::option::of(period()), 0..3000_u64, 0..=50_u32);
    let initial = prop_oneof![
        3 => Just(InitialState::Probe),
        1 => Just(InitialState::Up),
        1 => Just(InitialState::Down),
    ];
    let flaps = proptest::option::of((1..4_u32, 1..30_u64));
    let rest = (1..5_u32, 1..4_u32, slow_start, 0..200_u32, any::<bool>(), initial, flaps);
    (timing, rest).prop_map(|((interval, timeout, fast, phase, jitter), rest)| {
        let (rise, fall, slow_start, full, quiesce, initial, flaps) = rest;
        MonitorConfig::new(interval, timeout)
            .and_then(|config| config.with_rise(rise)?.with_fall(fall)?.with_fast_interval(fast))
            .unwrap()
            .with_phase(Duration::from_millis(phase))
            .with_jitter(Jitter::new(jitter, 1).unwrap())
            .with_slow_start(slow_start)
            .with_weight(weight(full))
            .with_quiesce(quiesce)
            .with_initial_state(initial)
            .with_flap_limit(flaps.map(|(outs, s)| FlapLimit::new(outs, secs(s)).unwrap()))
    })
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => (0..2_u64, any::<bool>()).prop_map(|(offset, passed)| Input::Result { offset, passed }),
        8 => Just(Input::Timeout),
        1 => any_config().prop_map(Input::Config),
        1 => prop_oneof![
            Just(Override::None),
            Just(Override::Drain),
            Just(Override::Disabled),
            Just(Override::ForceDown),
            Just(Override::ForceUp)
        ].prop_map(Input::Override),
    ]
}

fn remembered(monitor: &Monitor, now: Instant) -> Snapshot {
    let json = serde_json::to_string(&monitor.snapshot(now)).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn apply(monitor: &mut Monitor, now: Instant, input: &Input) -> Vec<Output> {
    match input {
        Input::Result { offset, passed } => {
            let id = ProbeId(monitor.next_id.saturating_sub(1 + offset));
            let result = if *passed { Ok(()) } else { Err(Failure::Refused) };
            monitor.handle_result(now, id, result);
        }
        Input::Timeout => monitor.handle_timeout(now),
        Input::Config(config) => monitor.handle_config(now, *config),
        Input::Override(forced) => monitor.handle_override(now, *forced),
    }
    drain(monitor)
}

/// Checks the laws after each input; the deadline comes either exactly or some time later.
fn obeys_the_laws(config: MonitorConfig, inputs: &[(u64, Input)]) -> Result<(), TestCaseError> {
    let mut monitor = Monitor::new(at(0), config);
    let introduced = drain(&mut monitor);
    prop_assert_eq!(introduced.is_empty(), config.initial_state() == InitialState::Probe);
    let mut twin = monitor.clone();
    let (mut now, mut in_flight, mut held) = (at(0), None, monitor.held);
    let mut passed_in_a_row = 0_u64;
    let mut been_in = config.initial_state() != InitialState::Probe;
    for (delay, input) in inputs {
        now = if *delay == 0 {
            now.max(monitor.poll_timeout().unwrap())
        } else {
            now + Duration::from_millis(*delay)
        };
        let (before, counted) = (monitor.health(), monitor.counters);
        let outputs = apply(&mut monitor, now, input);
        prop_assert_eq!(&outputs, &apply(&mut twin, now, input), "not deterministic");

        if monitor.counters.failed > counted.failed {
            passed_in_a_row = 0;
        }
        passed_in_a_row += monitor.counters.passed - counted.passed;
        if let Input::Result { .. } = input {
            in_flight = monitor.probe.map(|probe| probe.id);
        }
        for output in outputs {
            match output {
                Output::Probe { id, deadline } => {
                    prop_assert!(in_flight.replace(id).is_none(), "two checks at a time");
                    prop_assert!(deadline > now);
                }
                Output::Cancel { id } => prop_assert_eq!(in_flight.take(), Some(id)),
                Output::Changed { from, to, .. } => {
                    prop_assert!(from == before && to == monitor.health() && from != to);
                    if to == Health::Up && !from.is_in() && been_in {
                        let rise = u64::from(monitor.config.rise());
                        prop_assert!(passed_in_a_row >= rise, "admitted too early");
                    }
                    been_in |= to.is_in();
                }
                Output::Override(forced) => prop_assert_eq!(forced, monitor.forced),
                Output::Weight(weight) => {
                    let told_again = weight.is_none() && monitor.forced.keeps_out();
                    prop_assert!(weight != held || told_again, "no change");
                    held = weight;
                }
            }
        }
        prop_assert_eq!(held, monitor.held);
        let full = monitor.config.weight();
        if monitor.is_available() {
            prop_assert!(held.is_some_and(|held| held <= full));
            prop_assert!(held != Some(Weight::ZERO) || full.is_quiesced());
        } else {
            let may_stay = monitor.config.quiesce() || monitor.forced == Override::Drain;
            prop_assert!(held.is_none_or(|held| held.is_quiesced() && may_stay));
        }
        if matches!(input, Input::Timeout) {
            prop_assert!(monitor.poll_timeout().unwrap() > now, "would spin");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_laws_hold_for_any_course_of_events(
        config in any_config(),
        inputs in proptest::collection::vec((0..3000_u64, any_input()), 1..200),
    ) {
        obeys_the_laws(config, &inputs)?;
    }

    #[test]
    fn the_laws_hold_for_a_driver_that_is_always_in_time(
        config in any_config(),
        inputs in proptest::collection::vec(any_input(), 1..300),
    ) {
        let inputs: Vec<_> = inputs.into_iter().map(|input| (0, input)).collect();
        obeys_the_laws(config, &inputs)?;
    }

    #[test]
    fn a_restored_monitor_goes_on_as_if_nothing_had_happened(
        config in any_config(),
        before in proptest::collection::vec(any_input(), 1..60),
        after in proptest::collection::vec(any_input(), 1..60),
    ) {
        let mut monitor = Monitor::new(at(0), config);
        let mut now = at(0);
        let mut go = |monitor: &mut Monitor, input: &Input| {
            now = now.max(monitor.poll_timeout().unwrap());
            apply(monitor, now, input)
        };
        for input in &before {
            go(&mut monitor, input);
        }
        if let Some(probe) = monitor.probe {
            let offset = monitor.next_id - 1 - probe.id.0;
            go(&mut monitor, &Input::Result { offset, passed: true });
        }
        let config = *monitor.config();
        let snapshot = remembered(&monitor, now);
        let mut restored = Monitor::restore(now, config, snapshot);
        let told = drain(&mut restored);
        prop_assert_eq!(weights(&told).last().copied().flatten(), monitor.held.map(Weight::get));
        if restored.poll_timeout() == monitor.poll_timeout() {
            for input in &after {
                now = now.max(monitor.poll_timeout().unwrap());
                prop_assert_eq!(apply(&mut restored, now, input), apply(&mut monitor, now, input));
            }
            prop_assert_eq!(restored.status(), monitor.status());
        }
    }
}

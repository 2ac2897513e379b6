use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn config() -> MonitorConfig {
    MonitorConfig::new(Duration::from_secs(2), Duration::from_secs(1)).unwrap()
}

/// What is asked; only a connection says what it waits for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    connects: bool,
}

impl Ask for Asked {
    fn stage(&self) -> Option<Stage> {
        self.connects.then_some(Stage::Connect)
    }
}

type Members = Crew<char, Asked>;

fn start(config: MonitorConfig) -> Start {
    Start { config, snapshot: None }
}

fn alone(crew: &mut Members, key: char, config: MonitorConfig) -> Slot {
    crew.join(at(0), key, Side::Own(Asked { connects: true }), start(config))
}

fn actions(crew: &mut Members) -> Vec<Action<char>> {
    std::iter::from_fn(|| crew.poll_action()).collect()
}

fn started(actions: &[Action<char>]) -> Vec<Flight> {
    let of = |action: &Action<char>| match action {
        Action::Start(flight, _) => Some(*flight),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

fn told(actions: &[Action<char>]) -> String {
    let of = |action: &Action<char>| match action {
        Action::Tell(key, Output::Weight(Some(_))) => Some(format!("+{key}")),
        Action::Tell(key, Output::Weight(None)) => Some(format!("-{key}")),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

/// Lives until `end` with a server that answers as it says, at once; returns how many probes there
/// were, and what was told.
fn live(crew: &mut Members, end: Instant, result: &Result<(), Failure>) -> (usize, String) {
    let (mut probes, mut words) = (0, String::new());
    while let Some(now) = crew.poll_timeout().filter(|due| *due <= end) {
        crew.handle_timeout(now);
        let mut done = actions(crew);
        let flights = started(&done);
        probes += flights.len();
        for flight in flights {
            crew.handle_result(now, flight, result);
        }
        done.extend(actions(crew));
        words += &told(&done);
    }
    (probes, words)
}

#[test]
fn one_probe_serves_all_that_ask_the_same() {
    let mut crew = Members::default();
    let web = alone(&mut crew, 'a', config());
    crew.join(at(0), 'b', Side::With(web), start(config()));
    crew.join(at(1), 'c', Side::With(web), start(config().with_fall(2).unwrap()));
    assert_eq!(live(&mut crew, at(3000), &Ok(())), (2, "+a+b+c".into()));
    assert_eq!(live(&mut crew, at(5000), &Err(Failure::Refused)), (1, "-a-b".into()));
    assert_eq!(live(&mut crew, at(7000), &Err(Failure::Refused)), (1, "-c".into()));
}

#[test]
fn whoever_joins_later_knows_at_once_what_the_others_know() {
    let mut crew = Members::default();
    let web = alone(&mut crew, 'a', config());
    live(&mut crew, at(3000), &Ok(()));
    let slot = crew.join(at(3100), 'b', Side::With(web), start(config()));
    assert_eq!(told(&actions(&mut crew)), "+b");
    assert_eq!(live(&mut crew, at(9000), &Ok(())), (3, String::new()), "on one beat");
    assert!(crew.is_together(web, slot));
    crew.leave(web);
    assert_eq!(live(&mut crew, at(11_000), &Ok(())).0, 1, "the other goes on");
    crew.leave(slot);
    assert_eq!((crew.poll_timeout(), crew.groups.get(slot).is_none()), (None, true));
}

#[test]
fn a_probe_ends_when_the_last_that_waits_for_it_goes() {
    let mut crew = Members::default();
    let web = alone(&mut crew, 'a', config());
    let mail = crew.join(at(0), 'b', Side::With(web), start(config()));
    crew.handle_timeout(at(0));
    let flight = started(&actions(&mut crew))[0];
    crew.leave(web);
    assert_eq!(actions(&mut crew), []);
    crew.leave(mail);
    assert_eq!(actions(&mut crew), [Action::Stop(flight)]);
    crew.handle_result(at(5), flight, &Ok(()));
    assert_eq!(actions(&mut crew), []);
}

#[test]
fn a_connection_that_comes_to_nothing_says_what_it_waited_for() {
    let mut crew = Members::default();
    alone(&mut crew, 'a', config());
    crew.join(at(0), 'b', Side::Own(Asked { connects: false }), start(config()));
    crew.handle_timeout(at(0));
    actions(&mut crew);
    crew.handle_timeout(at(1000));
    let reason = |action: &Action<char>| match action {
        Action::Tell(key, Output::Changed { reason, .. }) => Some(format!("{key}: {reason}")),
        _ => None,
    };
    let mut reasons: Vec<_> = actions(&mut crew).iter().filter_map(reason).collect();
    reasons.sort();
    let expected = ["a: connecting timed out after 1s", "b: the check timed out after 1s"];
    assert_eq!(reasons, expected);
}

#[test]
fn another_way_to_ask_holds_from_the_next_probe_on() {
    let mut crew = Members::default();
    let (web, mail) = (alone(&mut crew, 'a', config()), alone(&mut crew, 'b', config()));
    assert_eq!(live(&mut crew, at(1000), &Ok(())).0, 2);
    crew.regroup(mail, Side::With(web));
    assert_eq!(live(&mut crew, at(5000), &Ok(())), (2, String::new()));
    crew.handle_timeout(at(6000));
    let flight = started(&actions(&mut crew))[0];
    crew.regroup(mail, Side::Own(Asked { connects: true }));
    crew.handle_result(at(6001), flight, &Err(Failure::Refused));
    assert_eq!(told(&actions(&mut crew)), "-a-b", "the answer under way counts for both");
    assert_eq!(live(&mut crew, at(8000), &Ok(())).0, 2);
}

#[test]
fn those_that_were_in_doubt_come_back_to_the_beat_of_the_others() {
    let fast = Some(Duration::from_millis(300));
    let pace = config().with_fast_interval(fast).unwrap();
    let mut crew = Members::default();
    let web = alone(&mut crew, 'a', pace);
    crew.join(at(0), 'b', Side::With(web), start(pace.with_fall(2).unwrap()));
    live(&mut crew, at(1000), &Ok(()));
    // The one is out with the first failure, the other looks again sooner.
    assert_eq!(live(&mut crew, at(2000), &Err(Failure::Refused)), (1, "-a".into()));
    live(&mut crew, at(3000), &Err(Failure::Refused));
    let (probes, _) = live(&mut crew, at(40_000), &Err(Failure::Refused));
    assert!((18..=20).contains(&probes), "{probes}");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u8, bool),
    Leave(u8),
    Regroup(u8, u8),
    Override(u8, Override),
    Answer(bool),
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (any::<u8>(), any::<bool>()).prop_map(|(of, share)| Step::Join(of, share)),
        1 => any::<u8>().prop_map(Step::Leave),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(one, other)| Step::Regroup(one, other)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(of, drain)| {
            Step::Override(of, if drain { Override::Drain } else { Override::None })
        }),
        4 => any::<bool>().prop_map(Step::Answer),
        4 => Just(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn no_group_has_two_probes_and_nobody_is_forgotten(
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let mut crew = Members::default();
        let (mut now, mut slots, mut flying) = (at(0), Vec::new(), BTreeMap::new());
        for step in steps {
            let pick = |n: u8, slots: &Vec<Slot>| slots.get(usize::from(n) % slots.len().max(1)).copied();
            match step {
                Step::Join(of, share) => {
                    let mate = pick(of, &slots).filter(|_| share);
                    let side = mate.map_or(Side::Own(Asked { connects: true }), Side::With);
                    slots.push(crew.join(now, 'x', side, start(config())));
                }
                Step::Leave(of) => if let Some(slot) = pick(of, &slots) {
                    slots.retain(|one| *one != slot);
                    crew.leave(slot);
                },
                Step::Regroup(one, other) => {
                    if let (Some(one), Some(other)) = (pick(one, &slots), pick(other, &slots)) {
                        let alone = one == other;
                        let own = Side::Own(Asked { connects: false });
                        crew.regroup(one, if alone { own } else { Side::With(other) });
                    }
                }
                Step::Override(of, forced) => if let Some(slot) = pick(of, &slots) {
                    crew.set_override(now, slot, forced);
                },
                Step::Answer(passed) => if let Some((_, flight)) = flying.pop_first() {
                    let result = if passed { Ok(()) } else { Err(Failure::Refused) };
                    crew.handle_result(now, flight, &result);
                },
                Step::Wait => {
                    now = now.max(crew.poll_timeout().unwrap_or(now));
                    crew.handle_timeout(now);
                }
            }
            for action in actions(&mut crew) {
                match action {
                    Action::Start(flight, _) => {
                        prop_assert!(crew.ask(flight).is_some());
                        let before = flying.insert(flight.group, flight);
                        prop_assert!(before.is_none(), "two probes of one group");
                    }
                    Action::Stop(flight) => {
                        prop_assert_eq!(flying.remove(&flight.group), Some(flight));
                    }
                    Action::Tell(..) => {}
                }
            }
            for slot in &slots {
                let member = crew.members.get(*slot).expect("it did not leave");
                prop_assert!(member.due.is_some(), "nobody looks after it");
                prop_assert_eq!(member.due, member.monitor.poll_timeout());
            }
            prop_assert_eq!(crew.poll_timeout().is_some(), !slots.is_empty());
        }
        slots.drain(..).for_each(|slot| crew.leave(slot));
        let left = actions(&mut crew).len();
        prop_assert_eq!(left, flying.len(), "every probe was stopped");
    }
}

use super::*;

fn declined(outputs: &[Output]) -> Vec<Cause> {
    let reasons = outputs.iter().filter_map(|output| match output {
        Output::Declined { reason } => Some(reason.clone()),
        _ => None,
    });
    reasons.collect()
}

/// Time passes for both, with every datagram delivered at once.
fn live(now: std::ops::Range<u64>, left: &mut Pulse, right: &mut Pulse) -> Vec<Output> {
    let mut log = Vec::new();
    for now in now.step_by(50) {
        left.handle_timeout(at(now));
        right.handle_timeout(at(now));
        log.extend(exchange(at(now), left, right));
    }
    log
}

#[test]
fn a_director_with_a_failing_guard_passes_the_service_on_and_does_not_ask_for_it() {
    let (mut primary, mut backup) = pair();
    primary.config.failback = true;
    primary.handle_guards(at(10), &no_carrier());
    exchange(at(10), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
    live(50..2000, &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
    assert!(backup.status(at(2000)).peer.unwrap().unfit);
    primary.handle_guards(at(2000), &[]);
    live(2000..3000, &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Active, State::Standby), "failback");
}

#[test]
fn a_director_whose_guard_holds_again_before_the_partner_agrees_keeps_the_service() {
    let (mut primary, mut backup) = pair();
    primary.handle_guards(at(10), &no_carrier());
    primary.handle_guards(at(11), &[]);
    let log = exchange(at(11), &mut primary, &mut backup);
    assert_eq!(declined(&log), [Cause::Mended]);
    live(50..2000, &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Active, State::Standby));
}

#[test]
fn a_degraded_owner_is_better_than_none() {
    let (mut primary, mut backup) = pair();
    backup.handle_guards(at(10), &no_carrier());
    exchange(at(10), &mut primary, &mut backup);
    primary.handle_guards(at(20), &no_carrier());
    let log = exchange(at(20), &mut primary, &mut backup);
    assert_eq!(declined(&log), [Cause::PeerUnfit]);
    let log = live(50..1000, &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Active, State::Standby));
    assert_eq!(declined(&log), [], "told once");
    backup.handle_guards(at(1000), &[]);
    exchange(at(1000), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
}

#[test]
fn an_owner_whose_guard_fails_keeps_the_service_while_the_partner_is_dead() {
    let (mut primary, _) = pair();
    for now in [100, 200, 300, 400] {
        primary.handle_timeout(at(now));
    }
    drain(&mut primary);
    primary.handle_guards(at(410), &no_carrier());
    assert_eq!(declined(&drain(&mut primary)), [Cause::PeerDead]);
    assert_eq!(state(&primary), State::Active);
    let declined = primary.status(at(420)).declined.unwrap();
    assert_eq!((declined.at, declined.reason), (at(410), Cause::PeerDead));
}

#[test]
fn a_standby_with_a_failing_guard_does_not_take_silence_for_death() {
    let (_, mut backup) = pair();
    backup.handle_guards(at(10), &no_carrier());
    drain(&mut backup);
    let mut told = Vec::new();
    for _ in 0..50 {
        let now = backup.poll_timeout().unwrap();
        backup.handle_timeout(now);
        assert!(backup.poll_timeout().unwrap() > now);
        told.extend(declined(&drain(&mut backup)));
    }
    let [reason] = no_carrier().map(Cause::Guard);
    assert_eq!((state(&backup), told), (State::Standby, vec![reason]));
    backup.handle_guards(backup.last_now, &[]);
    assert_eq!(state(&backup), State::Acquiring, "it has listened all the time");
}

#[test]
fn a_standby_with_a_failing_guard_takes_what_the_partner_certainly_has_not() {
    for stop in [true, false] {
        let (mut primary, mut backup) = pair();
        backup.handle_guards(at(10), &no_carrier());
        exchange(at(10), &mut primary, &mut backup);
        match stop {
            true => primary.handle_command(at(20), Command::Stop),
            false => primary.handle_data_plane(at(20), false),
        }
        exchange(at(20), &mut primary, &mut backup);
        assert_eq!(state(&backup), State::Active);
    }
}

#[test]
fn of_two_active_directors_the_fit_one_stays() {
    let (mut primary, mut backup) = pair();
    // Cut off from each other.
    for tick in 1..20 {
        primary.handle_timeout(at(tick * 50));
        backup.handle_timeout(at(tick * 50));
        let asked = [drain(&mut primary), drain(&mut backup)];
        complete(&mut primary, at(tick * 50), &asked[0]);
        complete(&mut backup, at(tick * 50), &asked[1]);
    }
    assert_eq!((state(&primary), state(&backup)), (State::Active, State::Active));
    primary.handle_guards(at(1000), &no_carrier());
    live(1000..1500, &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
}

#[test]
fn maintenance_passes_the_service_on_and_keeps_it_away() {
    let (mut primary, mut backup) = pair();
    primary.handle_command(at(10), Command::Maintenance(true));
    exchange(at(10), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Active));
    backup.handle_command(at(20), Command::Stop);
    let log = exchange(at(20), &mut primary, &mut backup);
    assert_eq!((state(&primary), state(&backup)), (State::Standby, State::Stopped));
    assert_eq!(declined(&log), [Cause::Maintenance]);
    assert!(primary.status(at(20)).maintenance);
    primary.handle_command(at(30), Command::Maintenance(false));
    assert_eq!(state(&primary), State::Acquiring);
}

#[test]
fn maintenance_is_refused_while_nobody_else_could_have_the_service() {
    let (mut primary, mut backup) = pair();
    backup.handle_data_plane(at(10), false);
    exchange(at(10), &mut primary, &mut backup);
    primary.handle_command(at(20), Command::Maintenance(true));
    assert_eq!(declined(&drain(&mut primary)), [Cause::PeerFailed]);
    let status = primary.status(at(20));
    assert_eq!((status.maintenance, status.state), (false, State::Active));
}

#[test]
fn a_hand_over_to_an_unfit_partner_is_refused_with_the_reason() {
    let (mut primary, mut backup) = pair();
    backup.handle_command(at(10), Command::Maintenance(true));
    exchange(at(10), &mut primary, &mut backup);
    primary.handle_command(at(20), Command::HandOver);
    assert_eq!(declined(&drain(&mut primary)), [Cause::PeerUnfit]);
    assert_eq!(state(&primary), State::Active);
}

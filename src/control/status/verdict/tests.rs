use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    Age, DataPlane, Partner, Process, QuorumStatus, Replication, Revision, STALE, ServiceState,
    Status, Timestamp,
};
use super::*;
use crate::control::{Override, Word};
use crate::failover::Role;
use crate::failover::guard::Guard;
use crate::ipvs::ServiceKey;

fn process() -> Process {
    Process::new(1, Duration::from_secs(60))
}

fn seconds(seconds: u64) -> Age {
    Age(Duration::from_secs(seconds))
}

fn path(age: Option<Age>) -> HeartbeatPath {
    let (local, partner) = ("192.0.2.1:539", "192.0.2.2:539");
    HeartbeatPath::new(local.parse().unwrap(), partner.parse().unwrap(), age)
}

/// An active primary that hears its standby on two paths.
fn pulse() -> Heartbeats {
    let mut half = Heartbeats::new(process(), Role::Primary, State::Active);
    half.authenticated = true;
    half.dead_time = seconds(5);
    half.partner = Some(Partner::new(State::Standby, seconds(1), Some(true)));
    half.paths = vec![path(Some(seconds(1))), path(Some(seconds(2)))];
    half
}

fn web(state: ServiceState) -> ServiceStatus {
    let key = ServiceKey::tcp("192.0.2.80:80".parse().unwrap());
    let mut web = ServiceStatus::new("web", key, "wlc");
    web.state = state;
    web
}

fn lvs() -> Balancing {
    let revision = Revision::new(PathBuf::from("lvs.cf"), String::new(), Age::default());
    let mut half = Balancing::new(process(), DataPlane::new("relay", None), revision);
    half.services = vec![web(ServiceState::Up)];
    half
}

fn verdict(pulse: Heartbeats, lvs: Balancing) -> Verdict {
    Verdict::of(&Reading::Known(pulse), &Reading::Known(lvs))
}

fn codes(verdict: &Verdict) -> Vec<ReasonCode> {
    verdict.reasons.iter().map(|reason| reason.code).collect()
}

/// The verdict after `spoil` has changed what pulse says: one reason, and its grade.
fn of_pulse(spoil: impl FnOnce(&mut Heartbeats)) -> (Vec<ReasonCode>, Grade, Failover) {
    let mut half = pulse();
    spoil(&mut half);
    let verdict = verdict(half, lvs());
    (codes(&verdict), verdict.health, verdict.failover)
}

fn of_lvs(spoil: impl FnOnce(&mut Balancing)) -> (Vec<ReasonCode>, Grade, Failover) {
    let mut half = lvs();
    spoil(&mut half);
    let verdict = verdict(pulse(), half);
    (codes(&verdict), verdict.health, verdict.failover)
}

#[test]
fn a_pair_that_lacks_nothing_is_healthy_and_would_fail_over() {
    assert_eq!(of_pulse(|_| {}), (vec![], Grade::Ok, Failover::WouldSucceed));
}

#[test]
fn the_standby_of_such_a_pair_says_the_same() {
    let standby = of_pulse(|half| {
        half.state = State::Standby;
        half.partner = Some(Partner::new(State::Active, seconds(0), None));
    });
    assert_eq!(standby, (vec![], Grade::Ok, Failover::WouldSucceed));
}

#[test]
fn a_daemon_that_does_not_answer_never_passes_for_good() {
    let none = Verdict::of(&unknown(), &unknown());
    assert_eq!(codes(&none), [ReasonCode::LvsUnknown, ReasonCode::PulseUnknown]);
    assert_eq!(none.failover, Failover::Unknown);
    let no_pulse = Verdict::of(&unknown(), &Reading::Known(lvs()));
    assert_eq!((no_pulse.health, no_pulse.failover), (Grade::Unknown, Failover::Unknown));
}

fn unknown<T>() -> Reading<T> {
    Reading::Unknown { reason: "no such socket".to_owned() }
}

#[test]
fn a_half_that_is_too_old_is_unknown() {
    let mut old = pulse();
    old.age = Age(STALE + Duration::from_millis(1));
    let (node, at) = ("lb1".to_owned(), Timestamp(0));
    let status = Status::new(node, at, Reading::Known(old), Reading::Known(lvs()));
    assert!(status.pulse.known().is_none());
    assert_eq!(codes(&status.verdict), [ReasonCode::PulseUnknown]);
}

#[test]
fn what_this_node_is_doing_is_a_reason_unless_it_is_active_or_standby() {
    let of = |state| of_pulse(|half| half.state = state);
    let failed = (vec![ReasonCode::NodeFailed], Grade::Critical, Failover::WouldFail);
    assert_eq!(of(State::Failed), failed);
    assert_eq!(of(State::Stopped), failed);
    let moving = (vec![ReasonCode::NodeMoving], Grade::Warning, Failover::WouldFail);
    for state in [State::Starting, State::Acquiring, State::Releasing] {
        assert_eq!(of(state), moving);
    }
}

#[test]
fn a_partner_that_is_not_there_stops_a_failover() {
    let of = |partner| of_pulse(|half| half.partner = partner);
    let because = |code| (vec![code], Grade::Warning, Failover::WouldFail);
    assert_eq!(of(None), because(ReasonCode::PartnerUnheard));
    let partner = |state, age| Some(Partner::new(state, seconds(age), None));
    assert_eq!(of(partner(State::Standby, 6)), because(ReasonCode::PartnerSilent));
    assert_eq!(of(partner(State::Stopped, 1)), because(ReasonCode::PartnerStopped));
    assert_eq!(of(partner(State::Failed, 1)), because(ReasonCode::PartnerFailed));
    assert_eq!(of(partner(State::Starting, 1)), because(ReasonCode::PartnerMoving));
}

#[test]
fn two_owners_or_none_are_critical() {
    let both = of_pulse(|half| {
        half.partner = Some(Partner::new(State::Active, seconds(0), None));
    });
    assert_eq!(both, (vec![ReasonCode::SplitBrain], Grade::Critical, Failover::WouldFail));
    let (none, grade, _) = of_pulse(|half| half.state = State::Standby);
    assert_eq!((none, grade), (vec![ReasonCode::NobodyActive], Grade::Critical));
}

#[test]
fn what_only_protects_less_is_a_warning_or_a_note() {
    let differ = of_pulse(|half| {
        half.partner = Some(Partner::new(State::Standby, seconds(0), Some(false)));
    });
    let differs = ReasonCode::ConfigurationsDiffer;
    assert_eq!(differ, (vec![differs], Grade::Warning, Failover::WouldSucceed));
    let silent = (vec![ReasonCode::PathSilent], Grade::Warning, Failover::WouldSucceed);
    assert_eq!(of_pulse(|half| half.paths[1] = path(Some(seconds(6)))), silent);
    assert_eq!(of_pulse(|half| half.paths[1] = path(None)), silent);
    let note = |code| (vec![code], Grade::Ok, Failover::WouldSucceed);
    assert_eq!(of_pulse(|half| half.paths.truncate(1)), note(ReasonCode::OnePath));
    assert_eq!(of_pulse(|half| half.authenticated = false), note(ReasonCode::NotAuthenticated));
}

#[test]
fn an_unfit_node_is_told_and_stops_a_failover_to_it() {
    let fault = || vec![Fault::new(Guard::Link("eth0".to_owned()), "no carrier")];
    let active = of_pulse(|half| half.faults = fault());
    let unfit = vec![ReasonCode::NodeUnfit];
    assert_eq!(active, (unfit.clone(), Grade::Warning, Failover::WouldSucceed));
    let standby = |spoil: fn(&mut Heartbeats)| {
        of_pulse(|half| {
            half.state = State::Standby;
            half.partner = Some(Partner::new(State::Active, seconds(0), None));
            spoil(half);
        })
    };
    let maintained = standby(|half| half.maintenance = true);
    let maintenance = vec![ReasonCode::Maintenance];
    assert_eq!(maintained, (maintenance, Grade::Warning, Failover::WouldFail));
    let partner = of_pulse(|half| half.partner.as_mut().unwrap().unfit = true);
    let unfit = vec![ReasonCode::PartnerUnfit];
    assert_eq!(partner, (unfit, Grade::Warning, Failover::WouldFail));
}

#[test]
fn what_operators_say_is_noted() {
    let said = Override::new("web", "s1", Word::Disable, "ann", Timestamp(0));
    let noted = of_lvs(|half| half.overrides = vec![said]);
    assert_eq!(noted, (vec![ReasonCode::Overridden], Grade::Ok, Failover::WouldSucceed));
}

#[test]
fn a_partner_that_nobody_tells_what_operators_say_is_named_where_there_is_one() {
    let message = |pulse: Heartbeats, replication| {
        let mut half = lvs();
        half.overrides = vec![Override::new("web", "s1", Word::Disable, "ann", Timestamp(0))];
        half.replication = replication;
        let verdict = verdict(pulse, half);
        let noted = verdict.reasons.iter().find(|reason| reason.code == ReasonCode::Overridden);
        noted.unwrap().message.contains("the partner is not told")
    };
    assert!(message(pulse(), None));
    assert!(!message(pulse(), Some(Replication::new(true, Age::default(), None))));
    let mut alone = pulse();
    alone.paths.clear();
    assert!(!message(alone, None));
}

#[test]
fn a_node_without_a_partner_is_healthy_and_says_so() {
    let alone = of_pulse(|half| {
        half.paths.clear();
        half.partner = None;
        half.authenticated = false;
    });
    assert_eq!(alone, (vec![ReasonCode::NoPartner], Grade::Ok, Failover::NoPartner));
}

#[test]
fn a_service_that_does_not_answer_is_critical_and_one_that_does_so_worse_a_warning() {
    let of = |state| of_lvs(|half| half.services = vec![web(state)]);
    let because = |code, grade| (vec![code], grade, Failover::WouldSucceed);
    assert_eq!(of(ServiceState::Down), because(ReasonCode::ServiceDown, Grade::Critical));
    assert_eq!(of(ServiceState::Sorry), because(ReasonCode::SorryServing, Grade::Warning));
    assert_eq!(of(ServiceState::Degraded), because(ReasonCode::ServiceDegraded, Grade::Warning));
    assert_eq!(of(ServiceState::Starting), because(ReasonCode::ServiceStarting, Grade::Warning));
    let quorum = of_lvs(|half| half.services[0].quorum = Some(QuorumStatus::new(false, 1, 2)));
    assert_eq!(quorum, because(ReasonCode::QuorumLost, Grade::Warning));
}

#[test]
fn a_refused_configuration_and_a_failing_data_plane_are_told() {
    let refused = of_lvs(|half| half.configuration.refused = Some("lvs.cf:1:1: no".to_owned()));
    assert_eq!(refused.0, [ReasonCode::ReloadRefused]);
    let failing = of_lvs(|half| half.data_plane.failure = Some("no memory".to_owned()));
    assert_eq!((failing.0, failing.1), (vec![ReasonCode::DataPlaneFailed], Grade::Critical));
}

#[test]
fn the_worst_reason_comes_first_and_each_has_a_mend() {
    let mut half = pulse();
    half.paths.truncate(1);
    half.partner = None;
    let mut services = lvs();
    services.services = vec![web(ServiceState::Degraded), web(ServiceState::Down)];
    let verdict = verdict(half, services);
    let grades: Vec<_> = verdict.reasons.iter().map(|reason| reason.grade).collect();
    assert!(grades.is_sorted_by(|a, b| a >= b), "{grades:?}");
    assert!(verdict.reasons.iter().all(|reason| !reason.mend.is_empty()));
    let stopping: Vec<_> = verdict.against_failover().map(|reason| reason.code).collect();
    assert_eq!(stopping, [ReasonCode::PartnerUnheard]);
}

/// Each code there is: whoever adds one is led here.
fn every_code() -> Vec<ReasonCode> {
    use ReasonCode as R;
    let after = |code: &ReasonCode| match code {
        R::PulseUnknown => Some(R::LvsUnknown),
        R::LvsUnknown => Some(R::SplitBrain),
        R::SplitBrain => Some(R::NobodyActive),
        R::NobodyActive => Some(R::NodeFailed),
        R::NodeFailed => Some(R::NodeUnfit),
        R::NodeUnfit => Some(R::Maintenance),
        R::Maintenance => Some(R::NodeMoving),
        R::NodeMoving => Some(R::PartnerUnheard),
        R::PartnerUnheard => Some(R::PartnerSilent),
        R::PartnerSilent => Some(R::PartnerStopped),
        R::PartnerStopped => Some(R::PartnerFailed),
        R::PartnerFailed => Some(R::PartnerUnfit),
        R::PartnerUnfit => Some(R::PartnerMoving),
        R::PartnerMoving => Some(R::ConfigurationsDiffer),
        R::ConfigurationsDiffer => Some(R::NoPartner),
        R::NoPartner => Some(R::PathSilent),
        R::PathSilent => Some(R::OnePath),
        R::OnePath => Some(R::NotAuthenticated),
        R::NotAuthenticated => Some(R::DataPlaneFailed),
        R::DataPlaneFailed => Some(R::ReloadRefused),
        R::ReloadRefused => Some(R::Unconfirmed),
        R::Unconfirmed => Some(R::HistoryLost),
        R::HistoryLost => Some(R::FileEdited),
        R::FileEdited => Some(R::ServiceDown),
        R::ServiceDown => Some(R::QuorumLost),
        R::QuorumLost => Some(R::SorryServing),
        R::SorryServing => Some(R::ServiceDegraded),
        R::ServiceDegraded => Some(R::ServiceStarting),
        R::ServiceStarting => Some(R::Overridden),
        R::Overridden => Some(R::NotReplicated),
        R::NotReplicated => None,
    };
    std::iter::successors(Some(R::PulseUnknown), after).collect()
}

#[test]
fn the_page_about_failover_lists_every_reason_with_its_grade() {
    const PAGE: &str = include_str!("../../../../docs/failover.md");
    for code in every_code() {
        let name = serde_json::to_value(code).unwrap();
        let row = format!("| `{}` | {} |", name.as_str().unwrap(), code.grade());
        let row = PAGE.lines().find(|line| line.starts_with(&row)).expect(&row);
        assert_eq!(row.ends_with("| yes |"), code.stops_failover(), "{row}");
    }
}

#[test]
fn services_that_were_left_out_are_counted_by_what_is_wrong_with_them() {
    let all = [ServiceState::Down, ServiceState::Down, ServiceState::Degraded, ServiceState::Up];
    let mut lvs = lvs();
    lvs.services = all.map(web).into();
    lvs.totals = Some(lvs.totals());
    lvs.services.truncate(1);
    lvs.left_out = 3;
    let verdict = verdict(pulse(), lvs);
    let told: Vec<_> = verdict.reasons.iter().map(|reason| reason.message.as_str()).collect();
    let wanted = [
        "nobody answers for web",
        "nobody answers for 1 more service",
        "servers fail their checks of 1 more service",
    ];
    assert_eq!(told, wanted);
    assert_eq!(verdict.health, Grade::Critical);
}

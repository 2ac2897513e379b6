//! Is this pair healthy, would a failover succeed now, and if not why.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Balancing, Concern, HeartbeatPath, Heartbeats, Reading, ServiceStatus, Totals};
use crate::control::revisions::Standing;
use crate::failover::State;
use crate::failover::guard::Fault;

/// The answer to the two questions that matter.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Is this pair healthy: the worst of the reasons.
    pub health: Grade,
    /// Would a failover succeed now.
    pub failover: Failover,
    /// Everything that speaks against it, the worst first.
    pub reasons: Vec<Reason>,
}

/// How bad something is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Good, or worth knowing only.
    Ok,
    /// The service runs, and something that protects it does not.
    Warning,
    /// It is not known whether the service runs.
    Unknown,
    /// The service, or a part of it, does not run.
    Critical,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        })
    }
}

/// Whether the partner could take over what this director holds, or this one what the partner
/// holds.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// As far as this node knows, yes.
    WouldSucceed,
    /// No; the reasons say why.
    WouldFail,
    /// There is no partner by configuration.
    NoPartner,
    /// Nobody can tell.
    Unknown,
}

/// One thing that speaks against it.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// For programs.
    pub code: ReasonCode,
    /// How bad it is.
    pub grade: Grade,
    /// Whether a failover would fail for it.
    pub stops_failover: bool,
    /// What it is about, where there are several: a service, a path.
    pub subject: Option<String>,
    /// What is wrong, in words.
    pub message: String,
    /// What would mend it, in words.
    pub mend: String,
}

impl Reason {
    fn new(
        code: ReasonCode,
        subject: Option<&str>,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            code,
            grade: code.grade(),
            stops_failover: code.stops_failover(),
            subject: subject.map(ToOwned::to_owned),
            message: message.into(),
            mend: mend.into(),
        }
    }
}

/// What speaks against it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// `pulse` does not answer, or has stood still.
    PulseUnknown,
    /// `lvs` does not answer.
    LvsUnknown,
    /// Both directors hold the service.
    SplitBrain,
    /// No director holds the service.
    NobodyActive,
    /// This node cannot hold the service.
    NodeFailed,
    /// This node had better not hold the service: a guard fails.
    NodeUnfit,
    /// This node is in maintenance.
    Maintenance,
    /// This node is bringing addresses up or down, or listens for its partner.
    NodeMoving,
    /// The partner was never heard.
    PartnerUnheard,
    /// The partner was not heard for the dead time.
    PartnerSilent,
    /// The partner said farewell.
    PartnerStopped,
    /// The partner cannot hold the service.
    PartnerFailed,
    /// The partner had better not hold the service: a guard of it fails, or it is in maintenance.
    PartnerUnfit,
    /// The partner is not ready yet.
    PartnerMoving,
    /// The directors have different configurations in force.
    ConfigurationsDiffer,
    /// There is no partner by configuration.
    NoPartner,
    /// No heartbeat came on one of the paths for the dead time.
    PathSilent,
    /// There is only one heartbeat path.
    OnePath,
    /// Heartbeats are not authenticated.
    NotAuthenticated,
    /// The data plane did not take the last change.
    DataPlaneFailed,
    /// What is in the file was refused; what ran is still running.
    ReloadRefused,
    /// A change of the configuration waits to be confirmed.
    Unconfirmed,
    /// The configuration's history cannot be kept, so it cannot be changed safely.
    HistoryLost,
    /// The file was edited by hand, and that is not in force.
    FileEdited,
    /// Nobody answers for a service.
    ServiceDown,
    /// A service has less weight, or fewer servers, than its quorum.
    QuorumLost,
    /// The sorry servers answer for a service.
    SorryServing,
    /// Some servers of a service fail their checks.
    ServiceDegraded,
    /// The servers of a service had no verdict yet.
    ServiceStarting,
    /// Operators keep servers out, or gave them another weight than lvs.cf.
    Overridden,
    /// What operators say of servers is not on the partner.
    NotReplicated,
}

impl ReasonCode {
    /// How bad it is.
    #[must_use]
    pub const fn grade(self) -> Grade {
        match self {
            Self::PulseUnknown => Grade::Unknown,
            Self::LvsUnknown
            | Self::SplitBrain
            | Self::NobodyActive
            | Self::NodeFailed
            | Self::DataPlaneFailed
            | Self::ServiceDown => Grade::Critical,
            Self::NodeMoving
            | Self::NodeUnfit
            | Self::Maintenance
            | Self::PartnerUnfit
            | Self::PartnerUnheard
            | Self::PartnerSilent
            | Self::PartnerStopped
            | Self::PartnerFailed
            | Self::PartnerMoving
            | Self::ConfigurationsDiffer
            | Self::PathSilent
            | Self::ReloadRefused
            | Self::Unconfirmed
            | Self::HistoryLost
            | Self::QuorumLost
            | Self::SorryServing
            | Self::ServiceDegraded
            | Self::ServiceStarting
            | Self::NotReplicated => Grade::Warning,
            Self::NoPartner
            | Self::OnePath
            | Self::NotAuthenticated
            | Self::FileEdited
            | Self::Overridden => Grade::Ok,
        }
    }

    /// Whether a failover would fail for it.
    #[must_use]
    pub const fn stops_failover(self) -> bool {
        matches!(
            self,
            Self::SplitBrain
                | Self::NodeFailed
                | Self::NodeMoving
                | Self::PartnerUnheard
                | Self::PartnerSilent
                | Self::PartnerStopped
                | Self::PartnerFailed
                | Self::PartnerMoving
                | Self::PartnerUnfit
        )
    }
}

impl Verdict {
    /// The verdict on what the two daemons say.
    #[must_use]
    pub fn of(pulse: &Reading<Heartbeats>, lvs: &Reading<Balancing>) -> Self {
        let mut reasons = Vec::new();
        match pulse {
            Reading::Known(half) => judge_pair(half, &mut reasons),
            Reading::Unknown { reason } => reasons.push(Reason::new(
                ReasonCode::PulseUnknown,
                None,
                format!("nothing is known of the heartbeats: {reason}"),
                "see that pulse runs and that this user may ask it",
            )),
        }
        match lvs {
            Reading::Known(half) => judge_balancing(half, has_partner(pulse), &mut reasons),
            Reading::Unknown { reason } => reasons.push(Reason::new(
                ReasonCode::LvsUnknown,
                None,
                format!("nothing is known of the services: {reason}"),
                "see that pulse has lvs running, and the log of lvs",
            )),
        }
        reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.grade), reason.code));
        let health = reasons.iter().map(|reason| reason.grade).max().unwrap_or(Grade::Ok);
        Self { health, failover: failover(pulse.known(), &reasons), reasons }
    }

    /// What a failover would fail for, in words; empty where it would not.
    pub fn against_failover(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| reason.stops_failover)
    }
}

fn failover(pulse: Option<&Heartbeats>, reasons: &[Reason]) -> Failover {
    match pulse {
        None => Failover::Unknown,
        Some(half) if half.paths.is_empty() => Failover::NoPartner,
        Some(_) if reasons.iter().any(|reason| reason.stops_failover) => Failover::WouldFail,
        Some(_) => Failover::WouldSucceed,
    }
}

fn judge_pair(pulse: &Heartbeats, reasons: &mut Vec<Reason>) {
    reasons.extend(own_state(pulse));
    reasons.extend(own_fitness(pulse));
    if pulse.paths.is_empty() {
        reasons.push(Reason::new(
            ReasonCode::NoPartner,
            None,
            "this node is alone: nothing takes over when it fails",
            "give lvs.cf a backup and backup_active = 1",
        ));
        return;
    }
    reasons.extend(partner(pulse));
    reasons.extend(pulse.paths.iter().filter_map(|path| silent(pulse, path)));
    if pulse.paths.len() == 1 {
        reasons.push(Reason::new(
            ReasonCode::OnePath,
            None,
            "heartbeats have one path only: whatever cuts it splits the pair",
            "give lvs.cf primary_private and backup_private, or a heartbeat_path",
        ));
    }
    if !pulse.authenticated {
        reasons.push(Reason::new(
            ReasonCode::NotAuthenticated,
            None,
            "heartbeats are not authenticated: who reaches the port can move the service",
            "give both nodes the same heartbeat_key",
        ));
    }
}

/// What speaks against this node; on the standby it is what a failover would fail for.
fn own_fitness(pulse: &Heartbeats) -> Vec<Reason> {
    let against = |code, message, mend| {
        let stops_failover = pulse.state != State::Active;
        Reason { stops_failover, ..Reason::new(code, None, message, mend) }
    };
    let fault = |fault: &Fault| {
        let message = format!("this node had better not hold the service: {fault}");
        against(ReasonCode::NodeUnfit, message, "mend what the guard watches")
    };
    let mut reasons: Vec<_> = pulse.faults.iter().map(fault).collect();
    if pulse.maintenance {
        let message = "this node is in maintenance and takes over from nobody".to_owned();
        let mend = "`piranha node ready` ends it";
        reasons.push(against(ReasonCode::Maintenance, message, mend));
    }
    reasons
}

fn own_state(pulse: &Heartbeats) -> Option<Reason> {
    let cause = pulse.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let since = pulse.since;
    let (code, message, mend) = match pulse.state {
        State::Active | State::Standby => return None,
        State::Failed => (
            ReasonCode::NodeFailed,
            format!("this node has been unable to hold the service for {since}{cause}"),
            "mend the cause; this node tries again by itself",
        ),
        State::Stopped => (
            ReasonCode::NodeFailed,
            format!("this node has stopped{cause}"),
            "start pulse when it is to take part again",
        ),
        state => (
            ReasonCode::NodeMoving,
            format!("this node has been {state} for {since}{cause}"),
            "wait; if it lasts, see the log of pulse",
        ),
    };
    Some(Reason::new(code, None, message, mend))
}

fn partner(pulse: &Heartbeats) -> Vec<Reason> {
    let Some(partner) = &pulse.partner else {
        return vec![Reason::new(
            ReasonCode::PartnerUnheard,
            None,
            format!("the partner has not been heard since this pulse started{}", refused(pulse)),
            "see that pulse runs there, that both have the same key and heartbeat_version, and that \
             nothing filters the heartbeat port",
        )];
    };
    if !pulse.hears_partner() {
        return vec![Reason::new(
            ReasonCode::PartnerSilent,
            None,
            format!("the partner was last heard {} ago", partner.age),
            "see that the partner runs and can be reached on the heartbeat paths",
        )];
    }
    let mut reasons = Vec::new();
    reasons.extend(partner_state(pulse.state, partner.state));
    if partner.unfit && pulse.state == State::Active {
        reasons.push(Reason::new(
            ReasonCode::PartnerUnfit,
            None,
            "the partner had better not hold the service: a guard fails, or it is in maintenance",
            "see the status of the partner for why",
        ));
    }
    if partner.same_configuration == Some(false) {
        reasons.push(Reason::new(
            ReasonCode::ConfigurationsDiffer,
            None,
            "the partner has another configuration in force",
            "bring lvs.cf to both nodes and reload both",
        ));
    }
    reasons
}

fn partner_state(own: State, theirs: State) -> Option<Reason> {
    let (code, message, mend) = match (own, theirs) {
        (State::Active, State::Active) => (
            ReasonCode::SplitBrain,
            "both nodes hold the service".to_owned(),
            "the backup gives it up by itself; if this lasts, heartbeats pass one way only",
        ),
        (State::Standby, State::Standby) => (
            ReasonCode::NobodyActive,
            "both nodes are standby and nobody holds the service".to_owned(),
            "wait for a dead time; if it lasts, see the logs of both",
        ),
        (_, State::Active | State::Standby) => return None,
        (_, State::Failed) => (
            ReasonCode::PartnerFailed,
            "the partner says that it cannot hold the service".to_owned(),
            "see the status of the partner for why",
        ),
        (_, State::Stopped) => (
            ReasonCode::PartnerStopped,
            "the partner has been stopped".to_owned(),
            "start pulse on the partner",
        ),
        (_, theirs) => (
            ReasonCode::PartnerMoving,
            format!("the partner is {theirs}"),
            "wait; if it lasts, see the log of the partner",
        ),
    };
    Some(Reason::new(code, None, message, mend))
}

/// The commonest reason for not hearing a partner that is there.
fn refused(pulse: &Heartbeats) -> String {
    let refused: u64 = pulse.rejected.values().sum();
    if refused == 0 { String::new() } else { format!("; {refused} heartbeats were refused") }
}

/// A path without heartbeats while others have them; where none has, the partner is silent.
fn silent(pulse: &Heartbeats, path: &HeartbeatPath) -> Option<Reason> {
    if !pulse.hears_partner() || path.age.is_some_and(|age| age <= pulse.dead_time) {
        return None;
    }
    let name = format!("{} - {}", path.local.ip(), path.partner.ip());
    let message = match path.age {
        Some(age) => format!("the last heartbeat on {name} came {age} ago"),
        None => format!("no heartbeat has come on {name}"),
    };
    let mend = "see the link and the filters of this path: the others are all that is left";
    Some(Reason::new(ReasonCode::PathSilent, Some(&name), message, mend))
}

/// Whether lvs.cf has a partner, as far as is known.
fn has_partner(pulse: &Reading<Heartbeats>) -> bool {
    pulse.known().is_some_and(|half| !half.paths.is_empty())
}

fn judge_balancing(lvs: &Balancing, has_partner: bool, reasons: &mut Vec<Reason>) {
    if let Some(failure) = &lvs.data_plane.failure {
        reasons.push(Reason::new(
            ReasonCode::DataPlaneFailed,
            None,
            format!("the data plane did not take the last change: {failure}"),
            "it is tried again with each audit; mend what the message names",
        ));
    }
    if let Some(refused) = &lvs.configuration.refused {
        reasons.push(Reason::new(
            ReasonCode::ReloadRefused,
            None,
            format!("the configuration in the file was refused: {refused}"),
            "run `piranha config check`, mend the file, reload",
        ));
    }
    reasons.extend(lvs.configuration.standing.iter().flat_map(standing));
    reasons.extend(lvs.services.iter().filter_map(service));
    reasons.extend(left_out(lvs));
    reasons.extend(overridden(lvs, has_partner));
    reasons.extend(not_replicated(lvs));
}

/// A partner that nobody tells would take over with the servers as lvs.cf has them.
fn overridden(lvs: &Balancing, has_partner: bool) -> Option<Reason> {
    let words = lvs.overrides.len();
    if words == 0 {
        return None;
    }
    let message = format!("what operators say of servers differs from lvs.cf: {words}");
    let (message, mend) = if has_partner && lvs.replication.is_none() {
        let message = format!("{message}; the partner is not told, and would not go by it");
        (
            message,
            "say it on both nodes, or pair them (`piranha pair`): see `piranha override list`",
        )
    } else {
        (message, "see `piranha override list`")
    };
    Some(Reason::new(ReasonCode::Overridden, None, message, mend))
}

/// Nothing is missing on the partner while nothing is said, and nobody is told of a second in
/// which it is on its way.
fn not_replicated(lvs: &Balancing) -> Option<Reason> {
    let problem = lvs.replication.as_ref()?.problem.as_ref()?;
    if lvs.overrides.is_empty() {
        return None;
    }
    let message = format!("what operators say of servers may not be on the partner: {problem}");
    let mend = "see `piranha pair status`, and `piranha sync serve` on both nodes";
    Some(Reason::new(ReasonCode::NotReplicated, None, message, mend))
}

fn standing(standing: &Standing) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(pending) = &standing.pending {
        let left = standing.left.unwrap_or_default();
        let message = format!(
            "revision {} of the configuration, by {}, is not confirmed: revision {} comes back in \
             {left}",
            pending.revision, pending.author, pending.base
        );
        let mend = "`piranha config confirm` keeps it, `piranha config undo` takes it back now";
        reasons.push(Reason::new(ReasonCode::Unconfirmed, None, message, mend));
    }
    if let Some(trouble) = &standing.trouble {
        let mend = "make room, or mend the state directory: until then no change can be applied";
        reasons.push(Reason::new(ReasonCode::HistoryLost, None, trouble, mend));
    }
    if standing.edited {
        let message = "the file was edited by hand, and that is not in force";
        let mend = "`piranha config apply` puts it in force";
        reasons.push(Reason::new(ReasonCode::FileEdited, None, message, mend));
    }
    reasons
}

fn service(service: &ServiceStatus) -> Option<Reason> {
    let (counts, name) = (service.counts, &service.name);
    let (code, message) = match service.concern()? {
        Concern::Down => (ReasonCode::ServiceDown, format!("nobody answers for {name}")),
        Concern::Sorry => {
            (ReasonCode::SorryServing, format!("the sorry server answers for {name}"))
        }
        Concern::Starting => {
            (ReasonCode::ServiceStarting, format!("the servers of {name} had no verdict yet"))
        }
        Concern::BelowQuorum => {
            (ReasonCode::QuorumLost, format!("{name} has less than its quorum"))
        }
        Concern::Degraded => (
            ReasonCode::ServiceDegraded,
            format!("{} of {} servers of {name} fail their checks", counts.down, counts.total),
        ),
    };
    Some(Reason::new(code, Some(name), message, SEE_SERVERS))
}

/// The services that were not told one by one.
fn left_out(lvs: &Balancing) -> Vec<Reason> {
    let told: Totals = lvs.services.iter().collect();
    let all = lvs.totals();
    let of = |concern| {
        let more = all.services.with(concern).saturating_sub(told.services.with(concern));
        (more > 0).then(|| further(concern, more))
    };
    Concern::ALL.into_iter().filter_map(of).collect()
}

fn further(concern: Concern, services: u32) -> Reason {
    let (code, what) = match concern {
        Concern::Down => (ReasonCode::ServiceDown, "nobody answers for"),
        Concern::Sorry => (ReasonCode::SorryServing, "the sorry servers answer for"),
        Concern::Starting => (ReasonCode::ServiceStarting, "no server had a verdict yet of"),
        Concern::BelowQuorum => (ReasonCode::QuorumLost, "there is less than the quorum of"),
        Concern::Degraded => (ReasonCode::ServiceDegraded, "servers fail their checks of"),
    };
    let noun = if services == 1 { "service" } else { "services" };
    let message = format!("{what} {services} more {noun}");
    Reason::new(code, None, message, SEE_SERVERS)
}

const SEE_SERVERS: &str = "see `piranha server list` for why each server is down";

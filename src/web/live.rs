//! What pages are told every second: little, and only what changed.

use serde_json::{Map, Value, json};

use super::page::{Glyph, sentence};
use crate::control::Timestamp;
use crate::control::status::{Balancing, Reading, ServerStatus, ServiceStatus, Status, Traffic};
use crate::time::Instant;

use crate::control::status::{Heartbeats, STALE};

/// What the two daemons said last, each with when that was.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    pulse: Option<(Instant, Reading<Heartbeats>)>,
    lvs: Option<(Instant, Reading<Balancing>)>,
    /// The last that was known of services, to name them when nothing is known any more.
    remembered: Option<Balancing>,
}

impl Halves {
    pub(crate) fn handle_pulse(&mut self, now: Instant, said: Reading<Heartbeats>) {
        self.pulse = Some((now, said));
    }

    pub(crate) fn handle_lvs(&mut self, now: Instant, said: Reading<Balancing>) {
        if let Reading::Known(said) = &said {
            self.remembered = Some(said.clone());
        }
        self.lvs = Some((now, said));
    }

    /// Both together, as node `node` at `now`, which is `at` by the calendar. What is too old is
    /// unknown.
    pub(crate) fn status(&self, node: &str, now: Instant, at: Timestamp) -> Status {
        let (pulse, lvs) = (young(self.pulse.as_ref(), now), young(self.lvs.as_ref(), now));
        Status::new(node.to_owned(), at, pulse, lvs)
    }

    /// What was last known of the services, if that is nothing now.
    pub(crate) fn remembered(&self, status: &Status) -> Option<Balancing> {
        self.remembered.as_ref().filter(|_| status.lvs.known().is_none()).map(faded)
    }
}

fn young<T: Clone>(said: Option<&(Instant, Reading<T>)>, now: Instant) -> Reading<T> {
    let unknown = |reason: &str| Reading::Unknown { reason: reason.to_owned() };
    match said {
        None => unknown("it was not asked yet"),
        Some((then, _)) if now - *then > STALE => unknown("it does not answer"),
        Some((_, said)) => said.clone(),
    }
}

/// The same services, of whose state nothing is known.
fn faded(known: &Balancing) -> Balancing {
    let mut faded = known.clone();
    for service in &mut faded.services {
        service.traffic = None;
        service.counts.up = 0;
        for server in service.servers.iter_mut().flatten() {
            server.state = crate::control::status::ServerState::Unknown;
            server.traffic = None;
            server.reason = None;
        }
    }
    faded
}

/// What pages show of `status`, without what only ages. Numbers stand under the names of
/// [`numbers`]; where anything else changes, a page has itself drawn anew.
pub(crate) fn live(status: &Status, remembered: Option<&Balancing>) -> Value {
    let pulse = status.pulse.known();
    json!({
        "at": status.at,
        "node": status.node,
        "configuration": status.lvs.known().map(configuration),
        "sentence": stem(status),
        "verdict": status.verdict,
        "pair": pulse.map(|pulse| json!({
            "state": pulse.state,
            "cause": pulse.cause,
            "maintenance": pulse.maintenance,
            "declined": pulse.declined.as_ref().map(|declined| &declined.reason),
            "addresses": pulse.addresses,
            "digest": pulse.digest,
            "partner": pulse.partner.as_ref().map(|partner| partner.state),
            "heard": pulse.hears_partner(),
            "paths": pulse.paths.iter().map(|path| {
                path.age.is_some_and(|age| age <= pulse.dead_time)
            }).collect::<Vec<_>>(),
        })),
        "known": status.lvs.known().is_some(),
        "services": services(status.lvs.known(), remembered),
    })
}

/// The sentence without the time that has passed.
fn stem(status: &Status) -> String {
    let sentence = sentence(status);
    sentence.split(" for ").next().unwrap_or_default().to_owned()
}

/// What stands over every page about lvs.cf.
fn configuration(lvs: &Balancing) -> Value {
    let standing = lvs.configuration.standing.as_ref();
    json!({
        "revision": standing.and_then(|standing| standing.revision),
        "edited": standing.is_some_and(|standing| standing.edited),
        "pending": standing.and_then(|standing| standing.pending.as_ref()),
    })
}

fn services(known: Option<&Balancing>, remembered: Option<&Balancing>) -> Value {
    let is_known = known.is_some();
    let services = known.or(remembered).map_or(&[][..], |lvs| &lvs.services);
    let mut all = Map::new();
    for service in services {
        all.insert(key(&all, &service.name), told(service, is_known));
    }
    all.into()
}

fn told(service: &ServiceStatus, is_known: bool) -> Value {
    let glyph = if is_known { Glyph::from(service.state) } else { super::page::UNKNOWN };
    let mut servers = Map::new();
    for server in service.servers.iter().flatten() {
        servers.insert(key(&servers, &server.name), told_server(server));
    }
    let mut told = json!({
        "state": glyph.shape,
        "up": service.counts.up,
        "total": service.counts.total,
        "sorry": service.sorry_servers,
        "servers": servers,
    });
    numbers(&mut told, service.traffic);
    told
}

fn told_server(server: &ServerStatus) -> Value {
    let mut told = json!({
        "state": Glyph::from(server.state).shape,
        "reason": server.reason,
        "weight": server.weight,
        "operator": server.operator,
    });
    numbers(&mut told, server.traffic);
    told
}

fn numbers(told: &mut Value, traffic: Option<Traffic>) {
    let rates = traffic.and_then(|traffic| traffic.rates);
    told["cps"] = rates.map(|rates| rates.connections).into();
    told["in"] = rates.map(|rates| rates.bytes_in).into();
    told["out"] = rates.map(|rates| rates.bytes_out).into();
    told["active"] = traffic.map(|traffic| traffic.load.active).into();
    told["inactive"] = traffic.map(|traffic| traffic.load.inactive).into();
}

/// `name`, or another where that is taken: lvs.cf may use one twice.
fn key(taken: &Map<String, Value>, name: &str) -> String {
    let mut key = name.to_owned();
    for number in 2.. {
        if !taken.contains_key(&key) {
            break;
        }
        key = format!("{name} ({number})");
    }
    key
}

/// What makes `after` of `before`, as a JSON merge patch (RFC 7396); nothing where they are equal.
pub(crate) fn patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return Some(after.clone());
    };
    let mut changes = Map::new();
    for (name, value) in new {
        let change = old.get(name).map_or_else(|| Some(value.clone()), |old| patch(old, value));
        changes.extend(change.map(|change| (name.clone(), change)));
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.insert(name.clone(), Value::Null);
    }
    Some(changes.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::status::{DataPlane, Process, Revision};
    use crate::control::{Age, status};
    use crate::failover::{Role, State};
    use std::time::Duration;

    /// What a page does with a patch.
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(changes) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (name, change) in changes {
            if change.is_null() {
                if let Some(object) = target.as_object_mut() {
                    object.remove(name);
                }
            } else {
                apply(&mut target[name], change);
            }
        }
    }

    /// Merge patches cannot say null; neither can an absent and a null value be told apart.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<u8>().prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect())
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_of_the_old(before in tree(), after in tree()) {
            let mut seen = without_nulls(&before);
            if let Some(patch) = patch(&before, &after) {
                apply(&mut seen, &patch);
            }
            prop_assert_eq!(without_nulls(&seen), without_nulls(&after));
        }
    }

    fn process() -> Process {
        Process::new(1, Duration::ZERO)
    }

    fn balancing() -> Balancing {
        let revision = Revision::new("lvs.cf".into(), "0".to_owned(), Age::default());
        let mut lvs = Balancing::new(process(), DataPlane::new("relay", None), revision);
        let key = crate::ipvs::ServiceKey::Mark {
            mark: crate::net::FirewallMark::new(1).unwrap(),
            family: crate::net::Family::Ipv4,
        };
        let mut service = ServiceStatus::new("web", key, "rr");
        service.state = status::ServiceState::Up;
        let mut server = ServerStatus::new("s1", ([10, 0, 0, 1], 80).into());
        server.state = status::ServerState::Up;
        service.servers = Some(vec![server]);
        lvs.services = vec![service];
        lvs
    }

    #[test]
    fn nothing_stays_up_when_the_daemons_do_not_answer_any_more() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut halves = Halves::default();
        halves.handle_pulse(
            at(0),
            Reading::Known(Heartbeats::new(process(), Role::Primary, State::Active)),
        );
        halves.handle_lvs(at(0), Reading::Known(balancing()));
        let shown = |halves: &Halves, seconds| {
            let status = halves.status("lb1", at(seconds), Timestamp(seconds * 1000));
            live(&status, halves.remembered(&status).as_ref())
        };
        let fresh = shown(&halves, 1);
        assert_eq!(fresh["services"]["web"]["servers"]["s1"]["state"], "up");
        let stale = shown(&halves, 4);
        assert_eq!(stale["services"]["web"]["state"], "unknown");
        assert_eq!(stale["services"]["web"]["servers"]["s1"]["state"], "unknown");
        assert_eq!(stale["pair"], Value::Null);
        assert_eq!(stale["verdict"]["failover"], "unknown");
        assert!(!stale.to_string().contains("\"up\":1") && !stale.to_string().contains("\"up\"}"));
    }

    #[test]
    fn what_only_ages_is_not_told_again() {
        let mut halves = Halves::default();
        let told = |halves: &mut Halves, age: u64| {
            let mut lvs = balancing();
            lvs.services[0].servers.as_mut().unwrap()[0].since = Age(Duration::from_secs(age));
            halves.handle_lvs(Instant::ZERO, Reading::Known(lvs));
            live(&halves.status("lb1", Instant::ZERO, Timestamp(age)), None)
        };
        let (before, after) = (told(&mut halves, 1), told(&mut halves, 2));
        assert_eq!(patch(&before, &after), Some(json!({ "at": 2 })));
    }
}

//! What measures the load of real servers, and how that steers their weights.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::mpsc;

use super::watch::ServerKey;
use crate::config::Config;
use crate::control::Age;
use crate::control::status::LoadReading;
use crate::health::{Failure, Load, LoadFormula, LoadMonitor, LoadSource, LoadWeight, Steer};
use crate::net::Weight;
use crate::runtime::agent::{Gauge, Reading};
use crate::runtime::checks::{CheckError, account};
use crate::runtime::clock;
use crate::time::Instant;

/// Readings that may wait for the director.
const QUEUE: usize = 256;

/// The first measurements of two servers are this far apart, so that a start is not a burst.
const OFFSET: Duration = Duration::from_millis(2);

/// Every server whose load is followed, and what measures it. Services that want the same of the
/// same server share one measurement.
pub(super) struct Loads {
    servers: BTreeMap<ServerKey, Followed>,
    gauges: BTreeMap<Question, Measured>,
    generation: u64,
    sender: mpsc::Sender<(Token, Result<Reading, Failure>)>,
    readings: mpsc::Receiver<(Token, Result<Reading, Failure>)>,
}

/// Something that came of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// A server is steered in another way.
    Steer(ServerKey, Steer),
    /// The agent of a server keeps it from serving with this word and reason, or with `None` no
    /// longer does.
    Agent(ServerKey, Option<&'static str>, Option<String>),
    /// The agent of a server wants it to have so many connections at most, or `None` to have any
    /// number.
    Most(ServerKey, Option<NonZeroU32>),
    /// The load of a server cannot be measured, or can be again.
    Measuring { server: IpAddr, monitor: String, failure: Option<Failure> },
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Question {
    server: IpAddr,
    source: LoadSource,
    interval: Duration,
}

/// Tells the readings of a gauge from those of an earlier one for the same question.
type Token = (Question, u64);

struct Measured {
    generation: u64,
    /// Whether the last measurement failed, which has been told.
    fails: bool,
    /// The last load there was, and when.
    last: Option<(Load, Instant)>,
    _gauge: Gauge,
}

struct Followed {
    question: Question,
    weight: LoadWeight,
    /// What the agent said last behind `#`.
    reason: Option<String>,
}

impl Default for Loads {
    fn default() -> Self {
        let (sender, readings) = mpsc::channel(QUEUE);
        let (servers, gauges) = (BTreeMap::new(), BTreeMap::new());
        Self { servers, gauges, generation: 0, sender, readings }
    }
}

/// Whether the users are there that commands run as.
///
/// # Errors
/// [`CheckError`]: which is not.
pub(super) fn check_users(config: &Config) -> Result<(), CheckError> {
    let monitors = config.active_virtuals().filter_map(|v| v.load_monitor.as_ref());
    let users: BTreeSet<_> = monitors.filter_map(|monitor| monitor.source.user()).collect();
    users.into_iter().try_for_each(|user| account::find(user).map(drop))
}

impl Loads {
    /// What comes of the next measurement.
    pub(super) async fn next(&mut self) -> Vec<News> {
        loop {
            let Some(((question, generation), reading)) = self.readings.recv().await else {
                return std::future::pending().await;
            };
            let gauge = self.gauges.get_mut(&question);
            if let Some(gauge) = gauge.filter(|gauge| gauge.generation == generation) {
                let told = gauge.fails;
                gauge.fails = reading.is_err();
                if let Ok(Reading::Load(load)) = &reading {
                    gauge.last = Some((*load, clock::now()));
                }
                return self.take(&question, reading, told);
            }
        }
    }

    /// How a server is steered; `None` if its load is not followed.
    pub(super) fn steer(&self, server: ServerKey) -> Option<Steer> {
        self.servers.get(&server).map(|followed| followed.weight.steer())
    }

    /// The word of its agent that keeps a server from serving, and its reason.
    pub(super) fn hindrance(&self, server: ServerKey) -> Option<(&'static str, Option<&str>)> {
        let followed = self.servers.get(&server)?;
        Some((followed.weight.hindrance()?, followed.reason.as_deref()))
    }

    /// How many connections the agent of a server wants it to have at most.
    pub(super) fn most(&self, server: ServerKey) -> Option<NonZeroU32> {
        self.servers.get(&server)?.weight.max_connections()
    }

    /// What was measured last, as of `now`; nothing of agents that say a share and no load.
    pub(super) fn readings(&self, now: Instant) -> Vec<LoadReading> {
        let read = self.gauges.iter().filter_map(|(question, gauge)| {
            let (load, at) = gauge.last?;
            let monitor = question.source.to_string();
            Some(LoadReading::new(question.server, monitor, load, Age(now - at)))
        });
        read.collect()
    }

    /// Follows the servers that `config` says and no others. Those that stay keep what is known.
    pub(super) fn configure(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.servers);
        for (server, monitor, full) in followed(config) {
            let question = Question {
                server: server.address.ip(),
                source: monitor.source.clone(),
                interval: monitor.interval,
            };
            let (weight, reason) = kept(before.remove(&server), &question, monitor.formula, full);
            self.servers.insert(server, Followed { question, weight, reason });
        }
        let wanted: BTreeSet<_> =
            self.servers.values().map(|followed| followed.question.clone()).collect();
        self.gauges.retain(|question, _| wanted.contains(question));
        for (place, question) in (0..).zip(wanted) {
            if !self.gauges.contains_key(&question) {
                self.measure(question, OFFSET.saturating_mul(place));
            }
        }
    }

    fn measure(&mut self, question: Question, offset: Duration) {
        self.generation += 1;
        let generation = self.generation;
        let Question { server, source, interval } = question.clone();
        let timing = (offset.min(interval), interval);
        let token = (question.clone(), generation);
        let _gauge = Gauge::spawn(token, source, server, timing, self.sender.clone());
        self.gauges.insert(question, Measured { generation, fails: false, last: None, _gauge });
    }

    fn take(
        &mut self,
        question: &Question,
        reading: Result<Reading, Failure>,
        told: bool,
    ) -> Vec<News> {
        let measuring = |failure| News::Measuring {
            server: question.server,
            monitor: question.source.to_string(),
            failure,
        };
        let reading = match reading {
            Ok(reading) => reading,
            Err(_) if told => return Vec::new(),
            Err(failure) => return vec![measuring(Some(failure))],
        };
        let mut news: Vec<_> = told.then(|| measuring(None)).into_iter().collect();
        let servers = self.servers.iter_mut();
        for (&server, followed) in servers.filter(|(_, one)| one.question == *question) {
            news.extend(followed.take(server, &reading));
        }
        news
    }
}

impl Followed {
    fn take(&mut self, server: ServerKey, reading: &Reading) -> impl Iterator<Item = News> + use<> {
        let state =
            |weight: &LoadWeight| (weight.steer(), weight.hindrance(), weight.max_connections());
        let before = state(&self.weight);
        match reading {
            Reading::Load(load) => self.weight.handle_load(*load),
            Reading::Report(report) => {
                self.weight.handle_report(report);
                self.reason.clone_from(&report.reason);
            }
        }
        let (steer, word, most) = state(&self.weight);
        let reason = self.reason.clone();
        let agent = (word != before.1).then_some(News::Agent(server, word, reason));
        let steered = (steer != before.0).then_some(News::Steer(server, steer));
        let limited = (most != before.2).then_some(News::Most(server, most));
        agent.into_iter().chain(limited).chain(steered)
    }
}

fn followed(config: &Config) -> impl Iterator<Item = (ServerKey, &LoadMonitor, Weight)> {
    config.active_virtuals().flat_map(|v| {
        v.active_servers().filter_map(move |server| {
            let key = ServerKey { service: v.key(), address: server.address };
            Some((key, server.load_monitor.as_ref()?, server.weight))
        })
    })
}

/// What is known of a server that may have been followed before. Another source knows nothing of
/// what an agent said.
fn kept(
    before: Option<Followed>,
    question: &Question,
    formula: LoadFormula,
    full: Weight,
) -> (LoadWeight, Option<String>) {
    match before {
        Some(followed) if followed.question.source == question.source => {
            let mut weight = followed.weight;
            weight.configure(formula, full);
            (weight, followed.reason)
        }
        _ => (LoadWeight::new(formula, full), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::health::AgentReport;

    fn config(first: &str, second: &str) -> Config {
        let service = |name: &str, port: u16, load: &str| {
            format!(
                "virtual {name} {{\nactive = 1\naddress = 192.0.2.80 eth0\nport = {port}\n{load}\n\
                 server s {{\naddress = 127.0.0.1\nactive = 1\nweight = 100\n}}\n}}\n"
            )
        };
        let text =
            format!("primary = 192.0.2.1\n{}{}", service("a", 80, first), service("b", 81, second));
        let loaded = load(text.as_bytes());
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    }

    fn question(loads: &Loads) -> Question {
        loads.gauges.keys().next().unwrap().clone()
    }

    fn report(line: &str) -> Result<Reading, Failure> {
        Ok(Reading::Report(AgentReport::decode(line.as_bytes()).unwrap()))
    }

    #[tokio::test]
    async fn services_that_ask_the_same_share_one_measurement() {
        let mut loads = Loads::default();
        loads.configure(&config("load_monitor = agent", "load_monitor = agent"));
        assert_eq!((loads.gauges.len(), loads.servers.len()), (1, 2));
        let news = loads.take(&question(&loads), report("drain"), false);
        let steers = news.iter().filter(|news| matches!(news, News::Steer(_, Steer::Drain)));
        assert_eq!(steers.count(), 2);
        loads.configure(&config("load_monitor = agent", "load_monitor = agent\nagent_port = 7"));
        assert_eq!(loads.gauges.len(), 2);
        loads.configure(&config("load_monitor = none", ""));
        assert!(loads.gauges.is_empty() && loads.servers.is_empty());
    }

    #[tokio::test]
    async fn a_silent_agent_changes_nothing_and_is_told_once() {
        let mut loads = Loads::default();
        loads.configure(&config("load_monitor = agent", ""));
        let question = question(&loads);
        loads.take(&question, report("drain"), false);
        let silent = loads.take(&question, Err(Failure::Refused), false);
        assert!(matches!(&silent[..], [News::Measuring { failure: Some(_), .. }]), "{silent:?}");
        assert_eq!(loads.take(&question, Err(Failure::Refused), true), []);
        let server = *loads.servers.keys().next().unwrap();
        assert_eq!(loads.steer(server), Some(Steer::Drain));
        let back = loads.take(&question, report("drain"), true);
        assert!(matches!(&back[..], [News::Measuring { failure: None, .. }]), "{back:?}");
    }

    #[tokio::test]
    async fn a_reload_keeps_what_the_agent_said_and_another_source_does_not() {
        let mut loads = Loads::default();
        loads.configure(&config("load_monitor = agent", ""));
        loads.take(&question(&loads), report("maint"), false);
        let server = *loads.servers.keys().next().unwrap();
        loads.configure(&config("load_monitor = agent\nagent_interval = 1", ""));
        assert_eq!(loads.steer(server), Some(Steer::Out));
        loads.configure(&config("load_monitor = rup", ""));
        assert_eq!(loads.steer(server), Some(Steer::Weight(Weight::new(100).unwrap())));
    }

    #[tokio::test]
    async fn a_limit_of_an_agent_is_news_when_it_comes_changes_and_goes() {
        let mut loads = Loads::default();
        loads.configure(&config("load_monitor = agent", ""));
        let question = question(&loads);
        let mut most = |line| {
            let news = loads.take(&question, report(line), false);
            news.into_iter().find_map(|news| match news {
                News::Most(_, most) => Some(most.map_or(0, NonZeroU32::get)),
                _ => None,
            })
        };
        let lines = ["up", "maxconn:30 up", "maxconn:30 up", "maxconn:9 up", "up", "up"];
        assert_eq!(lines.map(&mut most), [None, Some(30), None, Some(9), Some(0), None]);
    }

    #[tokio::test]
    async fn a_load_that_changes_nothing_is_no_news() {
        let mut loads = Loads::default();
        loads.configure(&config("load_monitor = rup", ""));
        let question = question(&loads);
        let idle = || Ok(Reading::Load(Load::IDLE));
        assert_eq!(loads.take(&question, idle(), false), []);
        let busy = Ok(Reading::Load(Load::new(9.0).unwrap()));
        assert_eq!(loads.take(&question, busy, false).len(), 1);
    }
}

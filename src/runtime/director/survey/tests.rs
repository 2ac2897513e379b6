use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::control::protocol::{Operation, Scope, Servers};
use crate::control::status::Balancing;
use crate::control::{Timestamp, Word};
use crate::ipvs::{Backend as _, Op};
use crate::runtime::control::now;

const SERVICES: usize = 6;
const SERVERS: usize = 3;

/// Something that can change what there is to tell.
#[derive(Clone, Debug)]
enum Change {
    /// An operator says something of a server, or of a whole service.
    Operate {
        service: usize,
        server: Option<usize>,
        word: Word,
        brief: bool,
    },
    TakeBack {
        service: usize,
        server: usize,
    },
    /// The server's own answer, and time for it to be noticed.
    Answer {
        server: usize,
        answers: bool,
    },
    /// Verdicts that have come in are taken down.
    Heed,
    /// Somebody else removes a service from the table.
    Meddle {
        service: usize,
    },
    Audit,
    /// Another file: services and servers that are not in it, and the weight of the rest.
    Reload {
        without: Option<usize>,
        servers: usize,
        weight: u32,
    },
    /// It is asked for, so that later changes meet something that is remembered.
    Ask,
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![
        Just(Word::Disable),
        Just(Word::Drain { deadline: None }),
        Just(Word::Drain { deadline: Some(Timestamp(1)) }),
        (0_u32..5).prop_map(|weight| Word::Weight(Weight::new(weight).unwrap())),
    ];
    let (service, server) = (0..SERVICES, 0..SERVERS);
    let some = prop::option::weighted(0.8, server.clone());
    prop_oneof![
        4 => (service.clone(), some, word, any::<bool>()).prop_map(|(service, server, word, brief)| {
            Change::Operate { service, server, word, brief }
        }),
        2 => (service.clone(), server.clone())
            .prop_map(|(service, server)| Change::TakeBack { service, server }),
        4 => (server, any::<bool>())
            .prop_map(|(server, answers)| Change::Answer { server, answers }),
        4 => Just(Change::Heed),
        1 => service.clone().prop_map(|service| Change::Meddle { service }),
        2 => Just(Change::Audit),
        1 => (prop::option::of(service), 1..=SERVERS, 1_u32..4).prop_map(
            |(without, servers, weight)| Change::Reload { without, servers, weight }
        ),
        4 => Just(Change::Ask),
    ]
}

/// A director in front of servers that answer or do not.
struct World {
    director: Director,
    directory: tempfile::TempDir,
    /// The port of each server, and the listener while it answers.
    servers: Vec<(u16, Option<TcpListener>)>,
    reports: mpsc::UnboundedSender<crate::control::supervision::Report>,
}

impl World {
    async fn new() -> Self {
        let listeners = (0..SERVERS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let servers: Vec<_> = listeners.map(|one| (port(&one), Some(one))).collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lvs.cf");
        write(&path, &servers, None, SERVERS, 1);
        let director = Director::start(path, Arc::new(|_| {})).await.unwrap();
        let (reports, _) = mpsc::unbounded_channel();
        Self { director, directory, servers, reports }
    }

    async fn carry_out(&mut self, change: Change) {
        match change {
            Change::Operate { service, server, word, brief } => {
                let server = server.map_or_else(|| "*".to_owned(), |server| format!("s{server}"));
                let mut operation = Operation::new(format!("v{service}/{server}"), word);
                operation.force = true;
                operation.until = brief.then(|| now().after(Duration::from_millis(1)));
                // A service that has gone, or a weight for a whole one, is refused.
                let _ = self.director.operate("somebody", operation, &self.reports).await;
            }
            Change::TakeBack { service, server } => {
                let target = format!("v{service}/s{server}");
                let _ = self.director.clear("somebody", Some(&target)).await;
            }
            Change::Answer { server, answers } => {
                let (port, listener) = &mut self.servers[server];
                *listener = answers.then(|| TcpListener::bind(("127.0.0.1", *port)).ok()).flatten();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            Change::Heed => {
                tokio::time::sleep(Duration::from_millis(3)).await;
                if let Some((server, output)) = self.director.watch.ready() {
                    self.director.on_health(server, output).await;
                }
            }
            Change::Meddle { service } => {
                let key = ServiceKey::tcp(
                    ([127, 77, 0, 1], 8000 + u16::try_from(service).unwrap()).into(),
                );
                let _ = self.director.table.backend_mut().apply(&[Op::RemoveService(key)]).await;
            }
            Change::Audit => {
                self.director.audit().await;
            }
            Change::Reload { without, servers, weight } => {
                let path = self.directory.path().join("lvs.cf");
                write(&path, &self.servers, without, servers, weight);
                self.director.reload().await.unwrap();
            }
            Change::Ask => drop(self.director.tell_status(&Scope::default())),
        }
    }

    /// Nothing runs between the two.
    fn compare(&mut self) {
        for servers in [Servers::None, Servers::Notable, Servers::All] {
            let told = self.director.tell_status(&Scope::of(servers));
            assert_alike(&told, &self.director.status(servers, None));
        }
        let fresh = self.director.status(Servers::None, None);
        for most in [0, 2, SERVICES] {
            let told = self.director.tell_status(&Scope::overview().at_most(most));
            assert_eq!(told.totals(), fresh.totals());
            assert_eq!(told.services.len() + told.left_out as usize, fresh.services.len());
            assert_eq!(told.services.len(), most.min(fresh.services.len()));
            assert_worst_first(&told, &fresh);
        }
    }
}

/// What is told is as bad as anything that is not, and in that order.
fn assert_worst_first(told: &Balancing, all: &Balancing) {
    let rank = |service: &ServiceStatus| service.concern().map_or(99, |concern| concern as usize);
    let ranks: Vec<_> = told.services.iter().map(rank).collect();
    let mut wanted: Vec<_> = all.services.iter().map(rank).collect();
    wanted.sort_unstable();
    wanted.truncate(ranks.len());
    assert_eq!(ranks, wanted);
}

fn assert_alike(told: &Balancing, fresh: &Balancing) {
    let [told, fresh] = [told, fresh].map(|half| serde_json::to_value(half).unwrap());
    assert_same("", &told, &fresh);
}

/// Ages differ by the time between the two answers.
fn assert_same(name: &str, told: &Value, fresh: &Value) {
    match (told, fresh) {
        (Value::Object(told), Value::Object(fresh)) => {
            assert!(told.keys().eq(fresh.keys()), "{name}: {told:?} and {fresh:?}");
            told.iter().for_each(|(key, value)| assert_same(key, value, &fresh[key]));
        }
        (Value::Array(told), Value::Array(fresh)) => {
            assert_eq!(told.len(), fresh.len(), "{name}: {told:?} and {fresh:?}");
            told.iter().zip(fresh).for_each(|(told, fresh)| assert_same(name, told, fresh));
        }
        (Value::Number(told), Value::Number(fresh)) if name.ends_with("_ms") => {
            let [told, fresh] = [told, fresh].map(|age| age.as_f64().unwrap());
            assert!(fresh >= told && fresh - told < 10_000.0, "{name}: {told} and {fresh}");
        }
        (Value::String(told), Value::String(fresh)) if told.starts_with("left lvs.cf") => {
            assert!(fresh.starts_with("left lvs.cf"));
        }
        (told, fresh) => assert_eq!(told, fresh, "{name}"),
    }
}

fn write(
    path: &Path,
    servers: &[(u16, Option<TcpListener>)],
    without: Option<usize>,
    some: usize,
    weight: u32,
) {
    let mut text = "role = primary\nprimary = 127.0.0.1\ndataplane = relay\n".to_owned();
    for service in (0..SERVICES).filter(|service| Some(*service) != without) {
        let port = 8000 + service;
        // Services that differ in what their servers' failure means.
        let more = ["", "quorum = 2\n", "sorry_server = 127.0.0.1:9\n", "quiesce_server = 1\n"];
        let more = more[service % more.len()];
        let _ = write!(
            text,
            "virtual v{service} {{\nactive = 1\naddress = 127.77.0.1 lo:1\nport = {port}\n\
             scheduler = wrr\ncheck = connect\ntimeout = 2ms\nrise = 1\n{more}"
        );
        for (place, (port, _)) in servers.iter().take(some).enumerate() {
            let backup = u8::from(service == 4 && place == 1);
            let _ = write!(
                text,
                "server s{place} {{\nactive = 1\naddress = 127.0.0.1\nport = {port}\n\
                 weight = {weight}\nbackup = {backup}\n}}\n"
            );
        }
        text.push_str("}\n");
    }
    std::fs::write(path, text).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 50, ..Default::default() })]

    #[test]
    fn what_is_remembered_is_what_a_fresh_look_would_find(
        changes in prop::collection::vec(change(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            world.compare();
            for change in changes {
                world.carry_out(change).await;
                world.compare();
            }
            world.director.table.backend_mut().shutdown();
        });
    }
}

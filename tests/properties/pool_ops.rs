//! A pool against a model that only counts and picks by plain [rules](crate::rules), under any
//! sequence of operations.
//!
//! One property, run by proptest (`tests/properties/main.rs`) and by the fuzzer
//! (`fuzz/fuzz_targets/pool_ops.rs`). It takes plain numbers, which both can make and shrink.

#![allow(clippy::expect_used, reason = "a property fails by a panic")]

use std::net::SocketAddr;
use std::time::Duration;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Options, Pool, ServerId};
use piranha::time::Instant;

use crate::rules::{Rules, Verdict};

/// What to do, to which server, and two numbers for it.
pub(crate) type Step = (u8, u8, u8, u8);

/// At every step each server has the connections the model has, and what is picked is what the
/// scheduler's rule says; of those with turns (rr, wrr): a server that may take a connection, and
/// nothing only if there is none.
pub(crate) fn check(script: &[Step]) {
    let mut run = Run::new();
    run.set_scheduler(script.len(), 0);
    for &(what, which, a, b) in script {
        run.step(what, usize::from(which), a, b);
        run.compare();
    }
}

/// One server as the model sees it. Servers that are gone stay, to be used by stale names.
pub(crate) struct Model {
    pub(crate) id: ServerId,
    pub(crate) address: SocketAddr,
    pub(crate) weight: u64,
    pub(crate) last_weight: u64,
    upper: u64,
    lower: u64,
    pub(crate) active: u64,
    pub(crate) inactive: u64,
    overloaded: bool,
    listed: bool,
}

impl Model {
    fn total(&self) -> u64 {
        self.active + self.inactive
    }

    pub(crate) fn is_eligible(&self) -> bool {
        self.listed && self.weight > 0 && !self.overloaded
    }

    fn set(&mut self, weight: Weight, thresholds: Thresholds) {
        self.weight = weight.get().into();
        if self.weight > 0 {
            self.last_weight = self.weight;
        }
        self.upper = thresholds.upper().into();
        self.lower = match thresholds.lower() {
            0 => self.upper - self.upper / 4,
            lower => lower.into(),
        };
        if self.upper == 0 || self.total() < self.lower {
            self.overloaded = false;
        } else if self.total() >= self.upper {
            self.overloaded = true;
        }
    }

    fn opened(&mut self) {
        self.overloaded |= self.total() == self.upper;
    }

    fn closed(&mut self) {
        self.overloaded &= self.total() + 1 != self.lower;
    }
}

struct Run {
    pool: Pool,
    options: Options,
    rules: Rules,
    now: Instant,
    /// The newest last.
    models: Vec<Model>,
}

impl Run {
    fn new() -> Self {
        let scheduler = scheduler::by_name("wlc").expect("registered");
        let mut pool = Pool::new(scheduler);
        pool.handle_time(Instant::ZERO);
        Self {
            pool,
            options: Options::default(),
            rules: Rules::default(),
            now: Instant::ZERO,
            models: Vec::new(),
        }
    }

    fn step(&mut self, what: u8, which: usize, a: u8, b: u8) {
        match what % 16 {
            0 => self.add(a, b),
            1 => self.remove(which),
            2 => self.edit(which, a, b),
            3 => self.pass_time(a),
            5 => self.with(which, Pool::open, |m| {
                m.active += 1;
                m.opened();
            }),
            6 => self.with(which, Pool::close, |m| {
                if m.active > 0 {
                    m.active -= 1;
                    m.closed();
                }
            }),
            7 => self.with(which, Pool::deactivate, |m| {
                if m.active > 0 {
                    m.active -= 1;
                    m.inactive += 1;
                }
            }),
            8 => self.with(which, Pool::close_inactive, |m| {
                if m.inactive > 0 {
                    m.inactive -= 1;
                    m.closed();
                }
            }),
            9 => self.set_scheduler(which, a),
            _ => self.pick_and_open(a, b),
        }
    }

    fn add(&mut self, a: u8, b: u8) {
        let address = SocketAddr::from(([10, 0, 0, a % 16], 80));
        if self.models.iter().any(|m| m.listed && m.address == address) {
            return;
        }
        let (weight, thresholds) = (weight(a), thresholds(b));
        let id = self.pool.add(address, weight, thresholds);
        let model = self.returning(id, address);
        model.last_weight = 0;
        model.set(weight, thresholds);
    }

    /// A server that still has connections comes back under its name; any other is a new one.
    fn returning(&mut self, id: ServerId, address: SocketAddr) -> &mut Model {
        let old = self.models.iter().position(|m| m.total() > 0 && m.address == address);
        let model = match old {
            Some(index) => self.models.remove(index),
            None => {
                assert!(self.models.iter().all(|m| m.id != id), "{id:?} is used twice");
                Model {
                    id,
                    address,
                    weight: 0,
                    last_weight: 0,
                    upper: 0,
                    lower: 0,
                    active: 0,
                    inactive: 0,
                    overloaded: false,
                    listed: true,
                }
            }
        };
        assert_eq!(model.id, id);
        self.models.push(Model { listed: true, ..model });
        self.models.last_mut().expect("pushed")
    }

    fn remove(&mut self, which: usize) {
        let Some(index) = self.index(which) else {
            return;
        };
        let model = &mut self.models[index];
        assert_eq!(self.pool.remove(model.id), model.listed);
        model.listed = false;
    }

    fn edit(&mut self, which: usize, a: u8, b: u8) {
        let Some(index) = self.index(which) else {
            return;
        };
        let (weight, thresholds) = (weight(a), thresholds(b));
        let model = &mut self.models[index];
        assert_eq!(self.pool.edit(model.id, weight, thresholds), model.listed);
        if model.listed {
            model.set(weight, thresholds);
        }
    }

    fn pass_time(&mut self, a: u8) {
        let minutes = u64::from(a) * 11;
        self.now += Duration::from_secs(minutes * 60);
        self.pool.handle_time(self.now);
        self.rules.pass(minutes);
    }

    fn pick_and_open(&mut self, a: u8, b: u8) {
        let flow = flow(a, b);
        let list: Vec<_> = self.models.iter().rev().filter(|m| m.listed).collect();
        let verdict = self.rules.verdict(self.pool.scheduler(), self.options, &flow, &list);
        let picked = self.pool.pick(&flow);
        match verdict {
            Verdict::Exactly(expected) => {
                assert_eq!(picked, expected, "{} {:?}", self.pool.scheduler(), self.options);
            }
            Verdict::AnyEligible => {
                let may = |id| list.iter().any(|m| m.id == id && m.is_eligible());
                assert!(picked.is_none_or(may), "{picked:?} may not take a connection");
                assert_eq!(picked.is_none(), !list.iter().any(|m| m.is_eligible()));
            }
        }
        let Some(index) = self.models.iter().position(|m| Some(m.id) == picked) else {
            return;
        };
        let model = &mut self.models[index];
        if a & 1 == 0 {
            self.pool.open(model.id);
            model.active += 1;
        } else {
            self.pool.open_inactive(model.id);
            model.inactive += 1;
        }
        model.opened();
    }

    /// Does the same to the pool and to the model; a server gone for good takes no part.
    fn with(&mut self, which: usize, on_pool: fn(&mut Pool, ServerId), on_model: fn(&mut Model)) {
        let Some(index) = self.index(which) else {
            return;
        };
        let model = &mut self.models[index];
        on_pool(&mut self.pool, model.id);
        if model.listed || model.total() > 0 {
            on_model(model);
        }
    }

    fn set_scheduler(&mut self, which: usize, a: u8) {
        let names: Vec<_> = scheduler::names().collect();
        let name = names[which % names.len()];
        self.options = Options { fallback: a & 1 != 0, port: a & 2 != 0, seed: a.into() };
        self.pool.set_scheduler(scheduler::build(name, self.options).expect("registered"));
        self.rules = Rules::default();
    }

    fn index(&self, which: usize) -> Option<usize> {
        which.checked_rem(self.models.len())
    }

    fn compare(&self) {
        let listed: Vec<_> = self.models.iter().rev().filter(|m| m.listed).collect();
        let servers = self.pool.servers().as_slice();
        assert_eq!(servers.len(), listed.len());
        for (server, model) in servers.iter().zip(listed) {
            assert_eq!(server.id(), model.id, "the newest comes first");
            assert_eq!(u64::from(server.load().active), model.active);
            assert_eq!(u64::from(server.load().inactive), model.inactive);
            assert_eq!(server.is_overloaded(), model.overloaded);
        }
    }
}

/// One of a few clients of either family, to one of four addresses.
fn flow(a: u8, b: u8) -> Flow {
    let v4 = |host: u8, port| SocketAddr::from(([198, 51, 100, host], port));
    let v6 = |host: u8, port| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 1, host.into()], port));
    let source = if b & 0x80 == 0 { v4 } else { v6 }(b, 1024 + u16::from(a));
    Flow { source, destination: v4(a & 3, 80) }
}

fn weight(a: u8) -> Weight {
    Weight::new(u32::from(a >> 4)).expect("small")
}

fn thresholds(b: u8) -> Thresholds {
    let upper = u32::from(b & 7);
    Thresholds::new(upper, u32::from(b >> 4).min(upper)).expect("in order")
}

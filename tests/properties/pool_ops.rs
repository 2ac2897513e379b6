//! A pool against a model that only counts, under any sequence of operations.
//!
//! One property, run by proptest (`tests/properties/main.rs`) and by the fuzzer
//! (`fuzz/fuzz_targets/pool_ops.rs`). It takes plain numbers, which both can make and shrink.

#![allow(clippy::expect_used, reason = "a property fails by a panic")]

use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Pool, ServerId};

/// What to do, to which server, and two numbers for it.
pub(crate) type Step = (u8, u8, u8, u8);

/// At every step each server has the connections the model has, what is picked may take a
/// connection, nothing is picked only if nothing may, and lc and wlc pick the cheapest.
pub(crate) fn check(script: &[Step]) {
    let mut run = Run::new();
    for &(what, which, a, b) in script {
        run.step(what, usize::from(which), a, b);
        run.compare();
    }
}

/// One server as the model sees it. Servers that are gone stay, to be used by stale names.
struct Model {
    id: ServerId,
    address: SocketAddr,
    weight: u64,
    upper: u64,
    lower: u64,
    active: u64,
    inactive: u64,
    overloaded: bool,
    listed: bool,
}

impl Model {
    fn total(&self) -> u64 {
        self.active + self.inactive
    }

    fn is_eligible(&self) -> bool {
        self.listed && self.weight > 0 && !self.overloaded
    }

    fn set(&mut self, weight: Weight, thresholds: Thresholds) {
        self.weight = weight.get().into();
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
    /// The newest last.
    models: Vec<Model>,
}

impl Run {
    fn new() -> Self {
        let scheduler = scheduler::by_name("wlc").expect("registered");
        Self { pool: Pool::new(scheduler), models: Vec::new() }
    }

    fn step(&mut self, what: u8, which: usize, a: u8, b: u8) {
        match what % 10 {
            0 => self.add(a, b),
            1 => self.remove(which),
            2 => self.edit(which, a, b),
            3 | 4 => self.pick_and_open(a),
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
            _ => self.set_scheduler(which),
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

    fn pick_and_open(&mut self, a: u8) {
        let expected = self.cheapest();
        let picked = self.pool.pick(&Flow::default());
        let eligible = |id| self.models.iter().any(|m| m.id == id && m.is_eligible());
        assert!(picked.is_none_or(eligible), "{picked:?} may not take a connection");
        assert_eq!(picked.is_none(), !self.models.iter().any(Model::is_eligible));
        if self.pool.scheduler().ends_with("lc") {
            assert_eq!(picked, expected);
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

    /// What lc or wlc picks: the least cost, of equals the newest.
    fn cheapest(&self) -> Option<ServerId> {
        let weighted = self.pool.scheduler() == "wlc";
        let costs = |m: &Model, n: &Model| {
            let load = 257 * m.active + m.inactive;
            load * if weighted { n.weight } else { 1 }
        };
        let newest_first = self.models.iter().rev().filter(|m| m.is_eligible());
        let least = newest_first.reduce(|m, n| if costs(n, m) < costs(m, n) { n } else { m });
        least.map(|m| m.id)
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

    fn set_scheduler(&mut self, which: usize) {
        let names: Vec<_> = scheduler::names().collect();
        let name = names[which % names.len()];
        let scheduler = scheduler::by_name(name).expect("registered");
        self.pool.set_scheduler(scheduler);
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

fn weight(a: u8) -> Weight {
    Weight::new(u32::from(a >> 4)).expect("small")
}

fn thresholds(b: u8) -> Thresholds {
    let upper = u32::from(b & 7);
    Thresholds::new(upper, u32::from(b >> 4).min(upper)).expect("in order")
}

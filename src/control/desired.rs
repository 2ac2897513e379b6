mod kept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;

use crate::config::{AllDown, Config, Quorum, QuorumOf, RealServer, Virtual};
use crate::health::{Health, Steer};
use crate::ipvs::{Destination, Entry, Forwarding, Service, ServiceKey, Table, Thresholds};
use crate::net::Weight;

/// The table that should be in force: the configuration, as far as the servers' health allows it.
///
/// A server is in the table from its first verdict on and with the weight that came with it; a
/// backup with weight 0, so that it takes nothing and finishes what it has, while any other server
/// of the service takes connections. The sorry servers stand in for a service whose servers have
/// all had their verdict and none of which takes connections; at start, before the first verdicts,
/// neither they nor backups serve.
///
/// With a [`quorum`](crate::config::Quorum) backups and sorry servers stand in as soon as the
/// others have too little weight together, and until they have enough again. Meanwhile those
/// others have weight 0; but where nobody can stand in, or a backup had no verdict yet, they serve
/// on, as with keepalived. [`AllDown`] has the other ways to go on below the quorum. Where fewer
/// than `min_servers` take connections, those that failed last are kept in beside them.
///
/// A server whose load is followed is [steered](Self::set_steer): its weight is another share of
/// what its checks give it, or it takes no connections whatever they say. What a data plane kept from an earlier life is
/// [adopted](Self::adopt) and holds until the first verdict.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    services: BTreeMap<ServiceKey, Wanted>,
}

#[derive(Clone, Debug)]
struct Wanted {
    service: Service,
    forwarding: Forwarding,
    sorry: Vec<SocketAddr>,
    /// Whether a sorry server served when the table was adopted.
    sorry_adopted: bool,
    quorum: Option<Quorum>,
    all_down: AllDown,
    /// How many servers are kept in, pass or fail.
    min_servers: usize,
    /// How many times a server stopped taking connections.
    departures: u64,
    /// Whether the others than backups have the weight they need.
    is_met: bool,
    servers: BTreeMap<SocketAddr, Standing>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    thresholds: Thresholds,
    forwarding: Forwarding,
    backup: bool,
    /// The configured weight.
    full: Weight,
    /// Whether its checks say that it is down.
    failed: bool,
    /// Whether an administrator keeps it out.
    withheld: bool,
    /// Which of the departures was the latest of this server; 0 for none.
    departed: u64,
    /// What it adds to the quorum while it takes connections.
    share: u64,
    /// What it adds to what a quorum is a share of.
    part: u64,
    verdict: Verdict,
    /// Whether it stays in the table with weight 0 when it is out.
    quiesce: bool,
    steer: Option<Steer>,
    /// How many connections its agent wants it to have at most.
    most: Option<NonZeroU32>,
}

/// Who takes the connections of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pool {
    Others,
    Backups,
    Sorry,
}

/// How a service stands to its `quorum`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuorumState {
    /// Whether the service counts as up.
    pub is_met: bool,
    /// What the servers have that take connections, or may before their first verdict: the sum of
    /// their configured weights, or their number. Backups do not count.
    pub weight: u64,
    /// Where that changes: below this an up service goes down, from this on a down one is up.
    pub needed: u64,
    /// What both count.
    pub of: QuorumOf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Pending,
    /// In the table before anything was known of it.
    Adopted(Weight),
    Out,
    In(Weight),
}

impl Desired {
    /// What `config` asks for, before any server was seen.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut desired = Self::default();
        desired.configure(config);
        desired
    }

    /// Takes a new configuration over. Servers that stay keep their verdict.
    pub fn configure(&mut self, config: &Config) {
        let before = std::mem::take(&mut self.services);
        let wanted = |v: &Virtual| (v.key(), Wanted::new(v, before.get(&v.key())));
        self.services = config.active_virtuals().map(wanted).collect();
    }

    /// Leaves the servers that `table` has where they are until their first verdict: their
    /// connections go on over a restart.
    pub fn adopt(&mut self, table: &Table) {
        for (key, wanted) in &mut self.services {
            if let Some(entry) = table.get(key) {
                wanted.adopt(entry);
            }
        }
    }

    /// Notes what the table should hold for a server: `None` to be out, 0 to be quiesced. A server
    /// that is not configured (any more) is ignored.
    pub fn set_weight(&mut self, key: ServiceKey, server: SocketAddr, weight: Option<Weight>) {
        let verdict = weight.map_or(Verdict::Out, Verdict::In);
        self.update(key, server, |standing| standing.set(verdict));
    }

    /// Notes that a server failed its checks: [`set_health`](Self::set_health) with
    /// [`Health::Down`].
    pub fn set_down(&mut self, key: ServiceKey, server: SocketAddr) {
        self.set_health(key, server, Health::Down);
    }

    /// Notes what the checks say of a server. With [`Health::Down`] one that was never in the table
    /// has its verdict; for one that was, what the table should hold is said by its weight.
    pub fn set_health(&mut self, key: ServiceKey, server: SocketAddr, health: Health) {
        self.update(key, server, |standing| match health {
            Health::Down => {
                standing.failed = true;
                if matches!(standing.verdict, Verdict::Pending | Verdict::Adopted(_)) {
                    standing.set(Verdict::Out);
                }
            }
            // One that is back is so with the weight that follows, unless none does.
            Health::Up | Health::Falling => standing.failed &= !standing.withheld,
            Health::Unknown | Health::Rising => {}
        });
    }

    /// Notes whether an administrator keeps a server out. Such a server is not kept in, whatever
    /// the rules for the servers together say.
    pub fn set_withheld(&mut self, key: ServiceKey, server: SocketAddr, withheld: bool) {
        self.update(key, server, |standing| standing.withheld = withheld);
    }

    /// Notes what measures the load of a server makes of its weight; `None` to leave it to the
    /// checks alone, as at first.
    pub fn set_steer(&mut self, key: ServiceKey, server: SocketAddr, steer: Option<Steer>) {
        self.update(key, server, |standing| standing.steer = steer);
    }

    /// Notes how many connections a server wants at most, by its agent's word: its upper threshold,
    /// unless a lower one is configured. `None` leaves it at the configured one, as at first.
    pub fn set_most(&mut self, key: ServiceKey, server: SocketAddr, most: Option<NonZeroU32>) {
        self.update(key, server, |standing| standing.most = most);
    }

    /// What the checks and the load of a server make of its weight: `None` to be out, 0 to be
    /// quiesced. A server that is not configured is out, and so is one without a verdict.
    #[must_use]
    pub fn weight(&self, key: ServiceKey, server: SocketAddr) -> Option<Weight> {
        self.services.get(&key)?.servers.get(&server)?.weight()
    }

    /// The service `key` as it should be, or `None` if it should not be there.
    #[must_use]
    pub fn entry(&self, key: ServiceKey) -> Option<Entry> {
        self.services.get(&key).map(Wanted::entry)
    }

    /// The whole table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.services.values().map(Wanted::entry).collect::<Vec<_>>().into()
    }

    /// The sorry servers of the service `key`, while they serve.
    #[must_use]
    pub fn sorry_servers(&self, key: ServiceKey) -> &[SocketAddr] {
        self.services.get(&key).map_or(&[], Wanted::serving_sorry)
    }

    /// Whether every server has had a verdict of its checks.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        let servers = self.services.values().flat_map(|wanted| wanted.servers.values());
        let judged = |s: &Standing| matches!(s.verdict, Verdict::Out | Verdict::In(_));
        servers.into_iter().all(judged)
    }

    /// The servers of the service `key` that serve although their checks say otherwise.
    #[must_use]
    pub fn kept(&self, key: ServiceKey) -> BTreeSet<SocketAddr> {
        self.services.get(&key).map(Wanted::kept).unwrap_or_default()
    }

    /// How the service `key` stands to its quorum; `None` if it is not configured or has none.
    #[must_use]
    pub fn quorum(&self, key: ServiceKey) -> Option<QuorumState> {
        self.services.get(&key).and_then(Wanted::quorum_state)
    }

    /// The same of every service that has a quorum.
    pub fn quorums(&self) -> impl Iterator<Item = (ServiceKey, QuorumState)> {
        self.services.iter().filter_map(|(&key, wanted)| Some((key, wanted.quorum_state()?)))
    }

    /// Whether a server could take connections and has nothing to do: a backup while others of
    /// its service are up, or one of those others while they are too few for the quorum.
    #[must_use]
    pub fn stands_by(&self, key: ServiceKey, server: SocketAddr) -> bool {
        self.services.get(&key).is_some_and(|wanted| {
            wanted.servers.get(&server).is_some_and(|standing| wanted.waits(standing))
        })
    }

    fn update(&mut self, key: ServiceKey, server: SocketAddr, change: impl FnOnce(&mut Standing)) {
        if let Some(wanted) = self.services.get_mut(&key) {
            wanted.update(server, change);
        }
    }
}

/// The table of `config` with every server in it at its full weight: what a data plane must be
/// able to carry, and what two configurations are compared by.
#[must_use]
pub fn whole_table(config: &Config) -> Table {
    config.active_virtuals().map(whole_entry).collect::<Vec<_>>().into()
}

fn whole_entry(v: &Virtual) -> Entry {
    let mut entry = Entry::new(v.service());
    for server in v.active_servers() {
        entry.insert(server.destination());
    }
    entry
}

impl Wanted {
    fn new(v: &Virtual, before: Option<&Self>) -> Self {
        let known = |address| before.and_then(|wanted| wanted.servers.get(&address));
        let servers = v.active_servers();
        let mut wanted = Self {
            service: v.service(),
            forwarding: v.forwarding,
            sorry: v.sorry_servers.clone(),
            sorry_adopted: before.is_some_and(|wanted| wanted.sorry_adopted),
            quorum: v.quorum,
            all_down: v.all_down,
            min_servers: usize::try_from(v.min_servers).unwrap_or(usize::MAX),
            departures: before.map_or(0, |wanted| wanted.departures),
            is_met: before.is_none_or(|wanted| wanted.is_met),
            servers: servers
                .map(|server| {
                    let (address, quiesce) = (server.address, v.quiesce_server);
                    let mut standing = Standing::new(server, quiesce, known(address));
                    standing.count(v.quorum.map(|quorum| quorum.of).unwrap_or_default());
                    (address, standing)
                })
                .collect(),
        };
        wanted.recount();
        wanted
    }

    fn adopt(&mut self, entry: &Entry) {
        for (&address, standing) in &mut self.servers {
            if let (Verdict::Pending, Some(present)) = (standing.verdict, entry.get(address)) {
                standing.verdict = Verdict::Adopted(present.weight());
            }
        }
        let mut sorry = self.sorry.iter().filter(|sorry| !self.servers.contains_key(sorry));
        self.sorry_adopted = sorry.any(|&sorry| entry.get(sorry).is_some());
        self.is_met &= !self.sorry_adopted;
        self.recount();
    }

    fn update(&mut self, server: SocketAddr, change: impl FnOnce(&mut Standing)) {
        let Some(standing) = self.servers.get_mut(&server) else { return };
        let took = standing.takes();
        change(standing);
        if took && !standing.takes() {
            self.departures += 1;
            standing.departed = self.departures;
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.is_met = self.weight() >= self.needed();
    }

    fn quorum_state(&self) -> Option<QuorumState> {
        let of = self.quorum?.of;
        Some(QuorumState { is_met: self.is_met, weight: self.weight(), needed: self.needed(), of })
    }

    /// The weight, or number of servers, at which being up or not changes next.
    fn needed(&self) -> u64 {
        let whole = self.others().map(|standing| standing.part).sum();
        match self.quorum {
            Some(quorum) if self.is_met => quorum.lost_below(whole),
            Some(quorum) => quorum.gained_at(whole),
            None => 1,
        }
    }

    fn weight(&self) -> u64 {
        let taking = self.others().filter(|standing| self.may_take(standing));
        taking.map(|standing| standing.share).sum()
    }

    fn others(&self) -> impl Iterator<Item = &Standing> {
        self.servers.values().filter(|standing| !standing.backup)
    }

    fn backups(&self) -> impl Iterator<Item = &Standing> {
        self.servers.values().filter(|standing| standing.backup)
    }

    fn entry(&self) -> Entry {
        let mut entry = Entry::new(self.service.clone());
        let (pool, kept) = (self.pool(), self.kept());
        for (&address, standing) in &self.servers {
            let weight = match standing.weight() {
                _ if kept.contains(&address) => standing.full,
                Some(_) if standing.waits_in(pool) => Weight::ZERO,
                Some(weight) => weight,
                None => continue,
            };
            entry.insert(standing.destination(address, weight));
        }
        for &sorry in self.serving_sorry() {
            let destination = Destination::new(sorry).with_forwarding(self.forwarding);
            entry.insert(destination.with_weight(Weight::ONE));
        }
        entry
    }

    fn pool(&self) -> Pool {
        if self.is_met {
            Pool::Others
        } else if self.backups().any(Standing::takes) {
            Pool::Backups
        } else if self.all_down != AllDown::Sorry
            || self.sorry.is_empty()
            || self.backups().any(|standing| self.may_take(standing))
        {
            Pool::Others
        } else {
            Pool::Sorry
        }
    }

    /// Whether a server of this service takes connections or may yet.
    fn may_take(&self, standing: &Standing) -> bool {
        let pending = standing.verdict == Verdict::Pending && !standing.is_hindered();
        standing.takes() || (pending && !self.sorry_adopted)
    }

    /// Whether a server has weight 0 because it is another pool's turn.
    fn waits(&self, standing: &Standing) -> bool {
        match self.pool() {
            Pool::Others => standing.backup && self.others().any(|other| self.may_take(other)),
            Pool::Backups | Pool::Sorry => !standing.backup && standing.takes(),
        }
    }

    fn serving_sorry(&self) -> &[SocketAddr] {
        if self.pool() == Pool::Sorry { &self.sorry } else { &[] }
    }
}

impl Standing {
    fn new(server: &RealServer, quiesce: bool, before: Option<&Self>) -> Self {
        Self {
            thresholds: server.thresholds,
            forwarding: server.forwarding,
            backup: server.backup,
            full: server.weight,
            quiesce,
            steer: before.and_then(|before| before.steer),
            most: before.and_then(|before| before.most),
            failed: before.is_some_and(|before| before.failed),
            withheld: before.is_some_and(|before| before.withheld),
            departed: before.map_or(0, |before| before.departed),
            share: 1,
            part: 1,
            verdict: before.map_or(Verdict::Pending, |before| before.verdict),
        }
    }

    /// Counts for a quorum of `of`. One of weight 0 takes connections only by an administrator's
    /// word, and then counts as if it had the least.
    fn count(&mut self, of: QuorumOf) {
        self.part = of.share(self.full);
        self.share = self.part.max(1);
    }

    fn set(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        self.failed &= !matches!(verdict, Verdict::In(weight) if !weight.is_quiesced());
    }

    fn destination(&self, address: SocketAddr, weight: Weight) -> Destination {
        Destination::new(address)
            .with_forwarding(self.forwarding)
            .with_weight(weight)
            .with_thresholds(
                self.most.map_or(self.thresholds, |most| self.thresholds.at_most(most)),
            )
    }

    /// Whether it has nothing to do while it is the turn of `pool`.
    const fn waits_in(&self, pool: Pool) -> bool {
        match pool {
            Pool::Others => self.backup,
            Pool::Backups | Pool::Sorry => !self.backup,
        }
    }

    fn takes(&self) -> bool {
        self.weight().is_some_and(|weight| !weight.is_quiesced())
    }

    const fn is_hindered(&self) -> bool {
        matches!(self.steer, Some(Steer::Drain | Steer::Out))
    }

    fn weight(&self) -> Option<Weight> {
        let (Verdict::In(weight) | Verdict::Adopted(weight)) = self.verdict else {
            return None;
        };
        match self.steer {
            // What was adopted has been steered in an earlier life.
            Some(Steer::Weight(_)) if self.verdict == Verdict::Adopted(weight) => Some(weight),
            Some(steer) => steer.apply(weight, self.full, self.quiesce),
            None => Some(weight),
        }
    }
}

//! What our schedulers choose in a given course of events, to be compared with what another
//! implementation of the same rules (the kernel's) chooses in it.
//!
//! Only plain data goes in and comes out: whoever replays a [`Case`] elsewhere adds the servers in
//! the given order, makes each connection (TCP, and leaves it open), and compares the servers.

#![allow(clippy::expect_used, reason = "a case that cannot be played is a mistake in the case")]

use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Options, Pool, ServerId};

/// A virtual service, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) scheduler: &'static str,
    pub(crate) options: Options,
    /// In the order they are added in, with their weights.
    pub(crate) servers: Vec<(SocketAddr, u32)>,
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A client opens a connection.
    Connect(Flow),
    /// The connection of the `n`th `Connect`, counted from 0, ends altogether. It was not refused.
    Close(usize),
    Add(SocketAddr, u32),
    Edit(SocketAddr, u32),
    Remove(SocketAddr),
}

/// The server of each [`Event::Connect`]; `None` where it is refused.
pub(crate) fn choices(case: &Case) -> Vec<Option<SocketAddr>> {
    let scheduler = scheduler::build(case.scheduler, case.options).expect("registered");
    let mut run = Run { pool: Pool::new(scheduler), connections: Vec::new() };
    for &(address, weight) in &case.servers {
        run.handle(Event::Add(address, weight));
    }
    case.events.iter().for_each(|&event| run.handle(event));
    run.connections.into_iter().map(|chosen| chosen.map(|(_, address)| address)).collect()
}

struct Run {
    pool: Pool,
    connections: Vec<Option<(ServerId, SocketAddr)>>,
}

impl Run {
    fn handle(&mut self, event: Event) {
        match event {
            Event::Connect(flow) => self.connect(&flow),
            Event::Close(which) => {
                let (server, _) = self.connections[which].expect("it was not refused");
                self.pool.close(server);
            }
            Event::Add(address, heavy) => {
                self.pool.add(address, weight(heavy), Thresholds::NONE);
            }
            Event::Edit(address, heavy) => {
                let server = self.server(address);
                assert!(self.pool.edit(server, weight(heavy), Thresholds::NONE));
            }
            Event::Remove(address) => {
                let server = self.server(address);
                assert!(self.pool.remove(server));
            }
        }
    }

    fn connect(&mut self, flow: &Flow) {
        let chosen = self.pool.pick(flow).map(|id| (id, self.pool.get(id).expect("picked")));
        let chosen = chosen.map(|(id, server)| (id, server.address()));
        if let Some((server, _)) = chosen {
            self.pool.open(server);
        }
        self.connections.push(chosen);
    }

    fn server(&self, address: SocketAddr) -> ServerId {
        let servers = self.pool.servers();
        let found = servers.find(address).and_then(|position| servers.at(position));
        found.expect("in the service").id()
    }
}

fn weight(heavy: u32) -> Weight {
    Weight::new(heavy).expect("a weight")
}

/// Every scheduler whose choices can be foretold (so all but `twos`), with each of its options,
/// through one course of events.
pub(crate) fn cases(vip: SocketAddr, servers: &[SocketAddr; 4]) -> Vec<Case> {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    let foretold = scheduler::names().filter(|&name| name != "twos");
    foretold
        .flat_map(|scheduler| {
            let flags = if ["sh", "mh"].contains(&scheduler) { &flags[..] } else { &flags[..1] };
            flags.iter().map(move |&(fallback, port)| Case {
                scheduler,
                options: Options { fallback, port, ..Options::default() },
                servers: servers[..3].iter().copied().zip([3, 1, 2]).collect(),
                events: events(vip, servers),
            })
        })
        .collect()
}

/// Ten clients at a time, and in between every kind of change: another weight, weight 0 and back,
/// a server more, a server less, and back, nothing but weight 0.
fn events(vip: SocketAddr, servers: &[SocketAddr; 4]) -> Vec<Event> {
    let [first, second, third, fourth] = *servers;
    let changes = [
        vec![Event::Edit(second, 4)],
        vec![Event::Edit(first, 0)],
        vec![Event::Edit(first, 3)],
        vec![Event::Add(fourth, 2)],
        vec![Event::Remove(third)],
        vec![Event::Add(third, 0)],
        vec![Event::Edit(third, 5)],
        [first, second, third, fourth].map(|server| Event::Edit(server, 0)).to_vec(),
        [first, second, third, fourth].map(|server| Event::Edit(server, 1)).to_vec(),
    ];
    let mut events = Vec::new();
    for (round, change) in (0_u8..).zip(changes) {
        let clients = (0..10).map(|client| Event::Connect(flow(vip, round * 10 + client)));
        events.extend(clients.chain(change));
    }
    events.extend((90..100).map(|client| Event::Connect(flow(vip, client))));
    events
}

/// Clients in 10.9.0.0/16, whose addresses lie on no straight line, which a multiplicative hash
/// would map to another.
fn flow(vip: SocketAddr, client: u8) -> Flow {
    let address = [10, 9, client.wrapping_mul(client), client + 1];
    let source = SocketAddr::from((address, 20_000 + u16::from(client) * 7));
    Flow { source, destination: vip }
}

//! What our schedulers choose in a given course of events, to be compared with what another
//! implementation of the same rules (the kernel's) chooses in it.
//!
//! Only plain data goes in and comes out: whoever plays a [`Case`] elsewhere does what the events
//! say, one after the other, and compares the servers.

#![allow(clippy::expect_used, reason = "a case that cannot be played is a mistake in the case")]

use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::{Protocol, Weight};
use piranha::scheduler::{self, Flow, Options, Pool, ServerId};

/// A virtual service without servers, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) scheduler: &'static str,
    pub(crate) options: Options,
    /// UDP connections are never active.
    pub(crate) protocol: Protocol,
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A client opens a connection.
    Connect(Flow),
    /// The connection of the `n`th `Connect`, counted from 0, becomes inactive. Nothing happens if
    /// it was refused or if its server is not in the service, which then hears no packet.
    Finish(usize),
    /// It ends altogether, with the same exceptions.
    Close(usize),
    Add(SocketAddr, u32, Thresholds),
    Edit(SocketAddr, u32, Thresholds),
    Remove(SocketAddr),
}

/// The server of each [`Event::Connect`]; `None` where it is refused.
pub(crate) fn choices(case: &Case) -> Vec<Option<SocketAddr>> {
    let scheduler = scheduler::build(case.scheduler, case.options).expect("registered");
    let mut run =
        Run { pool: Pool::new(scheduler), protocol: case.protocol, connections: Vec::new() };
    case.events.iter().for_each(|&event| run.handle(event));
    run.connections.into_iter().map(|connection| connection.map(|c| c.address)).collect()
}

struct Run {
    pool: Pool,
    protocol: Protocol,
    connections: Vec<Option<Connection>>,
}

struct Connection {
    server: ServerId,
    address: SocketAddr,
    active: bool,
}

impl Run {
    fn handle(&mut self, event: Event) {
        match event {
            Event::Connect(flow) => self.connect(&flow),
            Event::Finish(which) => self.finish(which),
            Event::Close(which) => self.close(which),
            Event::Add(address, heavy, thresholds) => {
                self.pool.add(address, weight(heavy), thresholds);
            }
            Event::Edit(address, heavy, thresholds) => {
                let server = self.server(address);
                assert!(self.pool.edit(server, weight(heavy), thresholds));
            }
            Event::Remove(address) => {
                let server = self.server(address);
                assert!(self.pool.remove(server));
            }
        }
    }

    fn connect(&mut self, flow: &Flow) {
        let active = self.protocol != Protocol::Udp;
        let chosen = self.pool.pick(flow).map(|server| {
            let address = self.pool.get(server).expect("picked").address();
            Connection { server, address, active }
        });
        if let Some(connection) = &chosen {
            let count = if active { Pool::open } else { Pool::open_inactive };
            count(&mut self.pool, connection.server);
        }
        self.connections.push(chosen);
    }

    fn finish(&mut self, which: usize) {
        if let Some(connection) = &mut self.connections[which]
            && self.pool.get(connection.server).is_some()
        {
            connection.active = false;
            self.pool.deactivate(connection.server);
        }
    }

    fn close(&mut self, which: usize) {
        if let Some(connection) = &self.connections[which]
            && self.pool.get(connection.server).is_some()
        {
            let count = if connection.active { Pool::close } else { Pool::close_inactive };
            count(&mut self.pool, connection.server);
        }
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

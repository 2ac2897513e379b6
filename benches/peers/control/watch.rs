//! The kernel's table, as it becomes what it should be.

use std::thread::sleep;
use std::time::{Duration, Instant};

use piranha::ipvs::ServiceKey;
use piranha::runtime::kernel::Client;

use crate::contender::Layout;
use crate::{Outcome, PATIENCE, SERVERS};

pub(crate) struct Table {
    client: Client,
}

impl Table {
    /// There is nothing in it.
    pub(crate) fn empty() -> Outcome<Self> {
        let mut client = Client::new()?;
        client.danger_flush()?;
        Ok(Self { client })
    }

    /// Waits until all servers are in it and take connections.
    pub(crate) fn wait_for_servers(&mut self, layout: &Layout) -> Outcome<Instant> {
        let wanted = (layout.services * SERVERS) as usize;
        let until = Instant::now() + PATIENCE;
        // Both fill it in order: before the last is there looking at all of them is for nothing.
        self.wait_for_weight(layout)?;
        loop {
            let begun = Instant::now();
            let table = self.client.table()?;
            let servers = table.iter().flat_map(|entry| entry.destinations());
            let there = servers.filter(|server| !server.weight().is_quiesced()).count();
            if there == wanted {
                return Ok(begun);
            }
            if begun > until {
                return Err(format!("{there} of {wanted} servers in the table").into());
            }
            // So that looking takes little of what there is of the processor.
            sleep(begun.elapsed() * 4);
        }
    }

    /// Waits until the last server of the last service has the weight of the layout.
    pub(crate) fn wait_for_weight(&mut self, layout: &Layout) -> Outcome<Instant> {
        let key = ServiceKey::tcp(Layout::service(layout.services - 1));
        let server = Layout::server(layout.services * SERVERS - 1);
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            // Gone for a moment is not an error: it may be made anew.
            let listed = self.client.destinations(key).unwrap_or_default();
            let mut servers = listed.iter().map(|status| status.destination);
            let found = servers.find(|destination| destination.address().ip() == server);
            if found.is_some_and(|found| found.weight().get() == layout.weight) {
                return Ok(now);
            }
            if now > until {
                return Err("the changed weight did not come".into());
            }
            sleep(Duration::from_millis(5));
        }
    }
}

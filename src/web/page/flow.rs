//! The way of connections through a service, as a picture: VIP, scheduler, servers.

use super::glyph::Glyph;
use crate::control::status::{ServerState, ServerStatus, ServiceStatus};

/// Servers that are drawn; of more the rest is counted.
const DRAWN: usize = 16;

/// A server's box, and the room between two.
const ROW: usize = 44;

/// The least height: that of the boxes of VIP and scheduler.
const LEAST: usize = 64;

/// The picture of a service.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) height: usize,
    /// The middle.
    pub(crate) middle: usize,
    pub(crate) ends: Vec<End>,
    /// Servers that are not drawn.
    pub(crate) further: usize,
}

/// Where connections go: a server.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) glyph: Glyph,
    pub(crate) weight: String,
    pub(crate) active: u32,
    /// Its part of the connections there are, in percent; of the weights where there are none.
    pub(crate) share: u64,
    /// Whether new connections go there.
    pub(crate) takes: bool,
    /// The upper edge of its box.
    pub(crate) top: usize,
}

impl Flow {
    /// Of `service`, of which nothing is known now unless `is_known`.
    pub(crate) fn new(service: &ServiceStatus, is_known: bool) -> Self {
        let servers = service.servers.as_deref().unwrap_or_default();
        let active =
            |server: &ServerStatus| server.traffic.map_or(0, |traffic| traffic.load.active);
        let weight = |server: &ServerStatus| server.weight.map_or(0, crate::net::Weight::get);
        let any = servers.iter().any(|server| active(server) > 0);
        let part =
            |server: &ServerStatus| u64::from(if any { active(server) } else { weight(server) });
        let whole = servers.iter().map(part).sum::<u64>().max(1);
        let end = |server: &ServerStatus| End {
            name: server.name.clone(),
            address: server.address.to_string(),
            glyph: Glyph::from(server.state),
            weight: server.weight.map_or("–".to_owned(), |weight| weight.to_string()),
            active: active(server),
            share: part(server) * 100 / whole,
            takes: is_known && takes(server),
            top: 0,
        };
        let mut ends: Vec<_> = servers.iter().take(DRAWN).map(end).collect();
        if is_known {
            ends.extend(service.sorry_servers.iter().map(|sorry| sorry_server(*sorry)));
        }
        let height = (ends.len() * ROW).max(LEAST);
        let above = (height - ends.len() * ROW) / 2;
        for (place, end) in ends.iter_mut().enumerate() {
            end.top = above + place * ROW;
        }
        Self { height, middle: height / 2, ends, further: servers.len().saturating_sub(DRAWN) }
    }
}

fn takes(server: &ServerStatus) -> bool {
    let is_in = matches!(server.state, ServerState::Up | ServerState::Falling);
    is_in && server.weight.is_some_and(|weight| !weight.is_quiesced())
}

fn sorry_server(address: std::net::SocketAddr) -> End {
    End {
        name: "sorry server".to_owned(),
        address: address.to_string(),
        glyph: Glyph { shape: "sorry", word: "SORRY" },
        weight: "–".to_owned(),
        active: 0,
        share: 100,
        takes: true,
        top: 0,
    }
}

impl End {
    /// The line that leads to it from the scheduler.
    pub(crate) fn way(&self, flow: &Flow) -> String {
        let (from, to) = (flow.middle, self.top + ROW / 2);
        format!("M390 {from}C430 {from} 430 {to} 470 {to}")
    }

    /// How thick that is: by its part.
    pub(crate) fn thickness(&self) -> String {
        let tenths = if self.takes { 15 + self.share * 45 / 100 } else { 10 };
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// Its name as far as there is room for it.
    pub(crate) fn short(&self) -> String {
        short(&self.name, 18)
    }

    /// Its address as far as there is room for it.
    pub(crate) fn place(&self) -> String {
        short(&self.address, 30)
    }
}

/// `text`, or what of it has room.
pub(crate) fn short(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::Traffic;
    use crate::ipvs::{Counters, Load, ServiceKey};
    use crate::net::{Family, FirewallMark, Weight};

    fn service(servers: Vec<ServerStatus>) -> ServiceStatus {
        let key = ServiceKey::Mark { mark: FirewallMark::new(1).unwrap(), family: Family::Ipv4 };
        let mut service = ServiceStatus::new("web", key, "wlc");
        service.servers = Some(servers);
        service
    }

    fn server(weight: u32, active: u32, state: ServerState) -> ServerStatus {
        let mut server = ServerStatus::new("s", "[2001:db8::1]:80".parse().unwrap());
        server.weight = Weight::try_from(weight).ok();
        server.state = state;
        let load = Load { active, ..Load::default() };
        server.traffic = Some(Traffic::new(load, Counters::default(), None));
        server
    }

    #[test]
    fn shares_are_of_connections_and_of_weights_where_there_are_none() {
        let shares = |servers| {
            let flow = Flow::new(&service(servers), true);
            flow.ends.iter().map(|end| end.share).collect::<Vec<_>>()
        };
        let up = ServerState::Up;
        assert_eq!(shares(vec![server(1, 30, up), server(9, 10, up)]), [75, 25]);
        assert_eq!(shares(vec![server(1, 0, up), server(3, 0, up)]), [25, 75]);
        assert_eq!(shares(vec![server(0, 0, ServerState::Down)]), [0]);
        assert_eq!(shares(vec![]), [0_u64; 0]);
    }

    #[test]
    fn only_what_takes_connections_is_drawn_so_and_many_servers_are_counted() {
        let servers = vec![
            server(1, 0, ServerState::Up),
            server(0, 4, ServerState::Draining),
            server(1, 0, ServerState::Down),
        ];
        let takes = |is_known| {
            let flow = Flow::new(&service(servers.clone()), is_known);
            flow.ends.iter().map(|end| end.takes).collect::<Vec<_>>()
        };
        assert_eq!(takes(true), [true, false, false]);
        assert_eq!(takes(false), [false; 3], "what is not known is not drawn as taking");
        let many = Flow::new(&service(vec![server(1, 1, ServerState::Up); 20]), true);
        assert_eq!((many.ends.len(), many.further), (DRAWN, 4));
        assert!(many.ends.iter().all(|end| end.top + ROW <= many.height));
        assert_eq!(short("äöüäöü", 4), "äöü…");
    }
}

//! Who is connected to a service, and the whole table in ipvsadm's words.

use std::net::SocketAddr;

use askama::Template;

use super::frame::Frame;
use super::number::count;
use crate::control::Age;
use crate::ipvs::{Load, ServiceKey};
use crate::web::connections::Connections;
use crate::web::form::encode;

/// Servers with their addresses and the connections they have, as far as known.
pub(crate) type ServerLoads = Vec<(String, SocketAddr, Option<Load>)>;

/// Who is connected to a service.
#[derive(Debug, Template)]
#[template(path = "connections.html")]
pub(crate) struct ConnectionsPage {
    frame: Frame,
    name: String,
    /// Its name in a URL.
    path: String,
    key: String,
    servers: Vec<LoadRow>,
    servers_age: String,
    found: Option<Connections>,
    age: String,
    /// Why there is no list.
    unknown: String,
}

/// The connections of a server as a row.
#[derive(Debug)]
struct LoadRow {
    name: String,
    address: SocketAddr,
    active: String,
    inactive: String,
    persistent: String,
}

impl ConnectionsPage {
    /// Of the service of this name and key.
    pub(crate) fn new(
        frame: Frame,
        (name, key): (&str, ServiceKey),
        (servers, servers_age): (ServerLoads, Option<Age>),
        found: Result<(Connections, Age), String>,
    ) -> Self {
        let row = |(name, address, load): (String, SocketAddr, Option<Load>)| {
            let number =
                |of: fn(Load) -> u32| load.map_or(String::new(), |load| count(of(load).into()));
            LoadRow {
                name,
                address,
                active: number(|load| load.active),
                inactive: number(|load| load.inactive),
                persistent: number(|load| load.persistent),
            }
        };
        let (found, age, unknown) = match found {
            Ok((found, age)) => (Some(found), age.to_string(), String::new()),
            Err(why) => (None, String::new(), why),
        };
        Self {
            frame,
            name: name.to_owned(),
            path: encode(name),
            key: key.to_string(),
            servers: servers.into_iter().map(row).collect(),
            servers_age: aged(servers_age),
            found,
            age,
            unknown,
        }
    }
}

/// The table of the data plane as `ipvsadm -Ln` prints it.
#[derive(Debug, Template)]
#[template(path = "listing.html")]
pub(crate) struct Listing {
    pub(crate) frame: Frame,
    pub(crate) text: String,
    pub(crate) age: Option<Age>,
}

impl Listing {
    fn aged(&self) -> String {
        aged(self.age)
    }
}

fn aged(age: Option<Age>) -> String {
    age.map_or("connections are not known".to_owned(), |age| format!("measured {age} ago"))
}

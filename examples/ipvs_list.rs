//! Lists the kernel's virtual services: `cargo run --example ipvs_list [NAMESPACE]`.
//!
//! With a namespace, such as `/run/netns/edge`, those of that network namespace. With `--memory`, or
//! where the kernel's IPVS is not to be had, a table in memory is shown instead.

use piranha::ipvs::{Destination, Service, ServiceKey, Table};
use piranha::runtime::kernel::Client;

fn main() {
    let argument = std::env::args().nth(1);
    let table = match argument.as_deref() {
        Some("--memory") => Ok(sample()),
        Some(namespace) => Client::in_namespace(namespace).and_then(|mut client| client.table()),
        None => Client::new().and_then(|mut client| client.table()),
    };
    print(&table.unwrap_or_else(|error| {
        eprintln!("{error}\nA table in memory instead:");
        sample()
    }));
}

fn print(table: &Table) {
    for entry in table.iter() {
        println!("{} {}", entry.service().key(), entry.service().scheduler());
        for destination in entry.destinations() {
            let (address, weight) = (destination.address(), destination.weight());
            println!("  {address} {} weight {weight}", destination.forwarding());
        }
    }
}

fn sample() -> Table {
    let mut table = Table::new();
    let web = ServiceKey::tcp(([192, 0, 2, 80], 80).into());
    let entry = table.insert(Service::new(web));
    entry.insert(Destination::new(([10, 0, 0, 1], 80).into()));
    entry.insert(Destination::new(([10, 0, 0, 2], 80).into()));
    table
}

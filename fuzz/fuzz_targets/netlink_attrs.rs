//! Answers of the kernel, and its connection table, from any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::ipvs::ServiceKey;
use piranha::ipvs::kernel::{Attributes, Exchange, Reply, Request, parse_connections};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (command, bytes) = input;
    let key = ServiceKey::tcp(([192, 0, 2, 1], 80).into());
    let request = Request::ListDestinations(key);
    if let Ok(Reply::Service(status)) = Reply::decode(&request, command, Attributes::new(&bytes)) {
        what_was_read_can_be_written(Request::AddService(status.service.clone()), status.exact);
    }
    let _ = Reply::decode(&request, command, Attributes::new(&bytes));

    let mut exchange = Exchange::new();
    exchange.submit(request);
    let mut sent = Vec::new();
    exchange.poll_transmit(&mut sent);
    exchange.handle_datagram(&bytes);
    for connection in parse_connections(&String::from_utf8_lossy(&bytes)).flatten() {
        let _ = connection.mark();
    }
});

/// A service read from the kernel, written back and read again, is the same.
fn what_was_read_can_be_written(request: Request, exact: bool) {
    let mut bytes = Vec::new();
    request.encode(0x20, 1, &mut bytes);
    // Behind the headers of netlink and generic netlink; the answer has the number of NEW_SERVICE.
    let again = Reply::decode(&request, 1, Attributes::new(&bytes[20..])).expect("our own bytes");
    let Request::AddService(service) = request else { return };
    match again {
        Reply::Service(status) => assert!(!exact || status.service == service),
        other => panic!("{other:?}"),
    }
}

//! What the kernel says of links and addresses, from any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::wire::rtnetlink::{Message, Request, messages};

fuzz_target!(|bytes: &[u8]| {
    for message in messages(bytes) {
        let Message::Address(address) = message else { continue };
        // Removing what was read names the same address.
        let mut request = Vec::new();
        Request::RemoveAddress(address.clone()).encode(1, &mut request);
        let Some(Message::AddressGone(gone)) = messages(&request).next() else {
            panic!("not read back")
        };
        assert!(gone.is_same(&address));
    }
});

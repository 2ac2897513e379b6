//! Whatever a server answers to a check: certificates, ASN.1, echo replies and HTTP bodies are
//! decoded without a panic and within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::net::Family;
use piranha::runtime::checks::http::Answer;
use piranha::wire::ber::Reader;
use piranha::wire::certificate::Certificate;
use piranha::wire::icmp::{Echo, ipv4_payload};

fuzz_target!(|input: (Vec<u8>, u8, u16)| {
    let (bytes, size, limit) = input;
    let mut reader = Reader::new(&bytes);
    while let Ok(value) = reader.value() {
        assert!(value.whole.ends_with(value.content));
    }
    let _ = Certificate::parse(&bytes);
    let packet = ipv4_payload(&bytes).unwrap_or(&bytes);
    for family in [Family::Ipv4, Family::Ipv6] {
        let _ = Echo::decode(packet, family);
    }
    body(&bytes, usize::from(size).max(1), usize::from(limit));
});

fn body(bytes: &[u8], size: usize, limit: usize) {
    let mut answer = Answer::default();
    let mut pieces = bytes.chunks(size);
    if !pieces.any(|piece| matches!(answer.push(piece), Some(Ok(_)))) {
        return;
    }
    let mut body = answer.into_body(true, limit);
    for piece in pieces {
        body.push(piece);
        assert!(body.kept().len() <= limit);
    }
}

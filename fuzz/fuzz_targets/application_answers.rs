//! Whatever applications answer to a check: gRPC, RADIUS, MySQL, PostgreSQL and bodies of JSON are
//! decoded without a panic and within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::health::JsonExpect;
use piranha::runtime::checks::http::judge_json;
use piranha::wire::grpc::health_status;
use piranha::wire::mysql::{Greeting, Method};
use piranha::wire::postgresql::{Authentication, ScramFirst, field};
use piranha::wire::radius::{MESSAGE_AUTHENTICATOR, Packet};

fuzz_target!(|input: (Vec<u8>, String)| {
    let (bytes, pointer) = input;
    let _ = health_status(&bytes);
    if let Some(packet) = Packet::parse(&bytes) {
        let lengths = packet.attributes().map(|(_, value)| value.len() + 2);
        assert_eq!(lengths.sum::<usize>() + 20, packet.whole.len());
        if let Some((at, value)) = packet.attribute(MESSAGE_AUTHENTICATOR) {
            assert_eq!(&packet.whole[at..at + value.len()], value);
        }
    }
    let _ = (Greeting::parse(&bytes), Method::parse(&bytes), field(&bytes, b'M'));
    if let Some(Authentication::SaslContinue(first)) = Authentication::parse(&bytes) {
        let _ = ScramFirst::parse(first);
    }
    let _ = ScramFirst::parse(&bytes);
    if let Ok(expect) = JsonExpect::new(&pointer, "ok") {
        if let Err(failure) = judge_json(&[expect], &bytes) {
            assert!(failure.to_string().len() < 1000 + pointer.len());
        }
    }
});

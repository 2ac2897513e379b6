//! Any bytes, in both versions of the pulse protocol: no panic, and what decodes encodes to the
//! same bytes. The machine is fed the same bytes as if the peer had sent them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::failover::pulse::{Config, Pulse, Version};
use piranha::failover::{Heartbeat, PathId, Role};
use piranha::time::Instant;
use piranha::wire::pulse::{Magic, Sealed};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(magic) = Magic::decode(bytes) {
        assert_eq!(magic.encode().as_slice(), bytes);
    }
    if let Ok(heartbeat) = Sealed::parse(bytes).and_then(|sealed| sealed.open(None)) {
        assert_eq!(heartbeat.encode(None).as_slice(), bytes);
    }
    for version in [Version::V1, Version::V2] {
        let peer = ([192, 0, 2, 2], 539).into();
        let config = Config::builder(Role::Backup).version(version).path(peer).boot(1).build();
        let mut pulse = Pulse::new(Instant::ZERO, config.expect("a valid configuration"));
        pulse.handle_timeout(Instant::ZERO);
        while pulse.poll_output().is_some() {}
        pulse.handle_datagram(Instant::from_millis(1), PathId(0), peer, bytes);
        while pulse.poll_output().is_some() {}
        assert!(pulse.poll_timeout().is_some());
    }
});

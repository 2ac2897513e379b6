//! Any bytes as an IP packet to a VRRP router of each version, standby and active: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::failover::vrrp::{Config, Path, Version, Vrrp};
use piranha::failover::{Heartbeat, PathId, Role};
use piranha::time::Instant;
use piranha::wire::ip::Packet;
use piranha::wire::vrrp::{Advertisement, Ends};

fuzz_target!(|bytes: &[u8]| {
    let Some(packet) = Packet::decode(bytes) else { return };
    let ends = Ends { source: packet.source, destination: packet.destination };
    if let Ok(heard) = Advertisement::decode(packet.payload, &ends) {
        assert_eq!(heard.addresses.iter().count(), heard.addresses.len());
    }
    for (version, active) in
        [(Version::V2, false), (Version::V2, true), (Version::V3, false), (Version::V3, true)]
    {
        let mut builder = Config::builder(
            Role::Backup,
            version,
            packet.payload.get(1).map_or(1, |id| (*id).max(1)),
        )
        .force_active(active)
        .path(Path::multicast([192, 0, 2, 2].into()));
        if version == Version::V3 {
            builder = builder.path(Path::multicast("fe80::2".parse().expect("an address")));
        }
        let mut router = Vrrp::new(Instant::ZERO, builder.build().expect("a valid configuration"));
        router.handle_timeout(Instant::ZERO);
        while router.poll_output().is_some() {}
        for path in [PathId(0), PathId(1)] {
            router.handle_datagram(Instant::from_millis(1), path, (packet.source, 0).into(), bytes);
            while router.poll_output().is_some() {}
        }
        assert!(router.poll_timeout().is_some());
    }
});

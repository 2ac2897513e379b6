//! Packet formats: bytes on the wire to values and back. Decoders are bounded and never panic.

pub mod arp;
pub mod ber;
pub mod certificate;
mod checksum;
pub mod ethernet;
pub mod grpc;
pub mod icmp;
pub mod ip;
pub mod mysql;
pub mod ndisc;
pub mod postgresql;
pub mod proxy;
pub mod pulse;
pub mod radius;
pub mod rtnetlink;
pub mod vrrp;

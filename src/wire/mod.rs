//! Packet formats: bytes on the wire to values and back. Decoders are bounded and never panic.
//!
//! ```
//! use piranha::wire::arp::{Form, claim, gratuitous};
//! use piranha::wire::ethernet::MacAddr;
//!
//! let (vip, mac) = ([192, 0, 2, 80].into(), MacAddr([2, 0, 0, 0, 0, 1]));
//! let frame = gratuitous(Form::Reply, mac, vip);
//! assert_eq!(claim(&frame), Some((vip, mac)));
//! // What was cut short says nothing.
//! assert_eq!(claim(&frame[..20]), None);
//! ```

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

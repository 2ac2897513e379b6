//! Packet formats: bytes on the wire to values and back. Decoders are bounded and never panic.

pub mod ber;
pub mod certificate;
pub mod proxy;
pub mod pulse;

//! System calls that no safe crate offers: the only place in the project with `unsafe`.
//!
//! What is here is safe to call with any argument; what the kernel is handed lives for the call.
#![allow(unsafe_code, reason = "the one place for it; see each SAFETY comment")]
#![allow(trivial_numeric_casts, reason = "other C libraries have narrower fields")]

#[cfg(feature = "kernel")]
mod carrier;
#[cfg(feature = "kernel")]
mod clock;
mod datagrams;
mod hops;
#[cfg(feature = "kernel")]
mod ip_option;
#[cfg(feature = "kernel")]
mod link;
mod names;
mod peer;
mod scheduling;

#[cfg(feature = "kernel")]
pub(super) use carrier::carrier;
#[cfg(feature = "kernel")]
pub(super) use clock::is_clock_synchronised;
pub(super) use datagrams::{BATCH, Inbox, Train, accept_coalesced, overruns, send_trains};
pub(super) use hops::receive_with_hops;
#[cfg(feature = "kernel")]
pub(super) use ip_option::{get_ipvs_option, set_ipvs_option};
#[cfg(feature = "kernel")]
pub(super) use link::link_address;
pub(super) use peer::peer_groups;
pub(super) use scheduling::set_realtime;

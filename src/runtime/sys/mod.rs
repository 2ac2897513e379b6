//! System calls that no safe crate offers: the only place in the project with `unsafe`.
//!
//! What is here is safe to call with any argument; what the kernel is handed lives for the call.
#![allow(unsafe_code, reason = "recvmmsg(2), `UDP_SEGMENT` and `SO_MEMINFO` have no safe wrapper")]
#![allow(trivial_numeric_casts, reason = "other C libraries have narrower fields")]

mod datagrams;
mod names;

pub(crate) use datagrams::{BATCH, Inbox, Train, accept_coalesced, overruns, send_trains};

//! What no safe interface offers: the only place for `unsafe`.
#![allow(unsafe_code, reason = "the one place for it; see each SAFETY comment")]

mod ip_option;
mod link;

pub(super) use ip_option::{get_ip_option, set_ip_option};
pub(super) use link::link_address;

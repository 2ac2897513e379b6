//! Numbers that nobody can guess, to tell answers to a check from others.

use rustix::rand::{GetRandomFlags, getrandom};

use super::dialer::own;
use crate::health::Failure;

pub(in crate::runtime) fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    // So few bytes come whole, or not at all.
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| own(&error.into()))?;
    Ok(bytes)
}

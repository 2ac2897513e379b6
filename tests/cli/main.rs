//! The daemons as processes: what they do with bad input, signals and each other's death.
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "tests run on the operating system")]

mod bad_input;
mod daemon;
mod lifecycle;

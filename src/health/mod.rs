//! Health: is a real server fit to take connections?
//!
//! What to probe is a [`CheckSpec`].

mod spec;

pub use spec::{CheckSpec, Expect, HttpSpec};

//! Pictures of known states, and what keys do.

mod keys;
mod pictures;
mod states;

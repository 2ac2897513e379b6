//! Weights that follow the load of real servers.
//!
//! A [`LoadSource`] says what measures, [`LoadWeight`] what follows for one server of one
//! service: its [`Steer`], which is applied to the weight that its checks and its slow start give
//! it. `runtime::agent` has the drivers that measure.

mod formula;
mod output;
#[cfg(test)]
mod simulation;
mod source;
mod weight;

pub use formula::LoadFormula;
pub use output::{Load, OutputError};
pub use source::{LoadCommand, LoadMonitor, LoadSource};
pub use weight::{LoadWeight, Steer};

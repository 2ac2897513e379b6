use async_trait::async_trait;

use super::{Capabilities, Op, Table};

/// A data plane: something that holds a [`Table`] and balances connections by it.
///
/// Nothing above this trait may assume the kernel. An implementation answers three questions;
/// what to change is decided by [`plan`](super::plan()), which is pure.
#[async_trait]
pub trait Backend: Send {
    /// What it can do. Constant for the life of the value.
    fn capabilities(&self) -> &Capabilities;

    /// The table in force, as far as it is ours: entries made by others are not in it.
    ///
    /// # Errors
    /// [`BackendError`] when the data plane cannot be read. Nothing was changed.
    async fn observe(&mut self) -> Result<Table, BackendError>;

    /// Carries out `ops` in order and goes on after one that fails.
    ///
    /// Returns one result for each operation. On any failure the caller observes and plans again;
    /// it never assumes what the table has become.
    ///
    /// # Errors
    /// [`BackendError`] when the data plane is out of reach altogether; how many operations were
    /// carried out is then unknown.
    async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError>;
}

/// What became of one [`Op`].
pub type Applied = Result<(), BackendError>;

/// Why a data plane did not do what it was asked.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The entry an operation names is not there, or is there already. The table stays as it was;
    /// observe and plan again.
    #[error("{object}: {problem}")]
    Conflict {
        /// The service or destination.
        object: String,
        /// What is wrong about it.
        problem: &'static str,
    },
    /// The operating system refused. The table stays as it was for this operation.
    #[error("{object}: {attempted}")]
    System {
        /// The service or destination.
        object: String,
        /// What was attempted.
        attempted: &'static str,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The data plane's worker is gone.
    #[error("the data plane has stopped")]
    Stopped,
}

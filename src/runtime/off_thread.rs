//! Work that waits for a disk, done where no check and no heartbeat waits for it.

use crate::control::protocol::{Problem, ProblemCode};

/// Runs `work` on a thread of its own and waits for it without holding this one up.
///
/// # Errors
/// Those of `work`, or [`Lost`] where it panicked.
pub(super) async fn off_thread<T: Send + 'static, E: Send + 'static + From<Lost>>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_panicked) => Err(Lost.into()),
    }
}

/// The thread that was to do it is gone.
pub(super) struct Lost;

impl From<Lost> for std::io::Error {
    fn from(_: Lost) -> Self {
        Self::other("the thread that writes is gone")
    }
}

impl From<Lost> for Problem {
    fn from(_: Lost) -> Self {
        Self::new(
            ProblemCode::System,
            "the thread that writes is gone",
            "this is a defect: report it",
        )
    }
}

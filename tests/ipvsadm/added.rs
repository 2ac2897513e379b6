//! What ours has that the original has not.

//! The deterministic simulator of whole clusters.

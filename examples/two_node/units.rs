//! Durations as people and programs read them.

use std::time::Duration;

use serde::Serializer;

/// Milliseconds, with microseconds behind the point.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Serializes a duration as milliseconds: serde's own form, seconds and nanoseconds apart, is no
/// number one can compare.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize_millis<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(*duration))
}

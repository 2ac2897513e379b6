//! The clock the drivers read.

use rustix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// The present, on `CLOCK_BOOTTIME`: monotonic, and it goes on counting while the machine is
/// suspended, so that a director that was gone for a while notices.
#[must_use]
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Microseconds of `CLOCK_MONOTONIC`, by which a service manager counts.
#[must_use]
pub(super) fn monotonic_micros() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}

/// Waits until [`now`] has reached `deadline`; at once if it has.
///
/// tokio's timers have a granularity of a millisecond and stand still while the machine is
/// suspended, so after a suspension the wake-up comes late, never early.
pub async fn sleep_until(deadline: Instant) {
    loop {
        let left = deadline - now();
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

/// Waits until `deadline`, or for ever without one.
pub async fn sleep_until_or_forever(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_sleep_never_ends_early() {
        let deadline = now() + Duration::from_millis(20);
        sleep_until(deadline).await;
        assert!(now() >= deadline);
        sleep_until(Instant::ZERO).await;
    }
}

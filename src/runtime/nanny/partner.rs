use std::io;

use super::{Event, Settings, Signals, once};
use crate::health::Failure;
use crate::runtime::clock;

/// How watching the service of a partner ended.
#[allow(clippy::exhaustive_enums, reason = "the three ends that 0.8.6 has")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Partner {
    /// SIGTERM or SIGINT came.
    Stopped,
    /// It was there and is not any more.
    Lost,
    /// It was not there twice in a row, and never before.
    NeverSeen,
}

/// Watches the service of a partner as nanny 0.8.6 does for failover services (`--fos`): until it
/// fails after it passed, or fails twice before it ever passed. Nothing in any table changes.
///
/// # Errors
/// If a signal cannot be listened for, or with the error of `report`.
///
/// # Panics
/// Outside a tokio runtime with timers and I/O.
pub async fn watch_partner(
    settings: &Settings,
    mut report: impl FnMut(&Event) -> io::Result<()>,
) -> io::Result<Partner> {
    let mut signals = Signals::listen()?;
    report(&Event::Started)?;
    let (mut seen, mut failures) = (false, 0);
    let mut due = clock::now();
    loop {
        let result = tokio::select! {
            biased;
            signal = signals.next() => match signal {
                None => return Ok(Partner::Stopped),
                // There is nothing to force up or down.
                Some(_) => continue,
            },
            result = async {
                clock::sleep_until(due).await;
                once(settings.target, settings.check.as_ref(), settings.monitor.timeout()).await
            } => result,
        };
        due = clock::now().max(due + settings.monitor.interval());
        report(&Event::Checked(result.clone()))?;
        match result {
            Ok(()) => (seen, failures) = (true, 0),
            Err(Failure::Inconclusive(_)) => {}
            Err(_) if seen => return Ok(Partner::Lost),
            Err(_) => failures += 1,
        }
        if failures == 2 {
            return Ok(Partner::NeverSeen);
        }
    }
}

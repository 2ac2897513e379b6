use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::health::{Check, Failure, Monitor, MonitorConfig, Output, Override, ProbeId, Status};
use crate::runtime::clock;

/// A task that drives one [`Monitor`] with one [`Check`] against one real server. Dropping it
/// ends the task and the probe under way.
///
/// It sends what its owner must know, everything but [`Output::Probe`] and [`Output::Cancel`],
/// under the key it was given. What it sent before it was dropped may still be in the channel
/// then, so a key should not be used again for another server.
///
/// A full channel holds the monitor up rather than lose an output. Ten thousand of these are
/// cheap: each is a task, a timer and less than 2 kB.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Runner {
    /// Starts checking the real server at `target`, the first time after the initial offset of
    /// `config`.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers and I/O.
    #[must_use = "dropping it ends the checks"]
    pub fn spawn<K>(
        key: K,
        target: SocketAddr,
        check: Arc<dyn Check>,
        config: MonitorConfig,
        events: mpsc::Sender<(K, Output)>,
    ) -> Self
    where
        K: Clone + Send + 'static,
    {
        let shared = Arc::new(Shared {
            monitor: Mutex::new(Monitor::new(clock::now(), config)),
            check: Mutex::new(check),
            wake: Notify::new(),
        });
        let task = tokio::spawn(drive(key, target, Arc::clone(&shared), events));
        Self { shared, task: task.abort_handle() }
    }

    /// Goes on with another configuration, see [`Monitor::handle_config`].
    pub fn configure(&self, config: MonitorConfig) {
        self.shared.monitor().handle_config(clock::now(), config);
        self.shared.wake.notify_one();
    }

    /// Puts an administrator's decision into force, see [`Monitor::handle_override`].
    pub fn set_override(&self, forced: Override) {
        self.shared.monitor().handle_override(clock::now(), forced);
        self.shared.wake.notify_one();
    }

    /// Checks in another way from the next probe on. What is known of the server stays.
    pub fn replace_check(&self, check: Arc<dyn Check>) {
        *lock(&self.shared.check) = check;
    }

    /// What is known of the server at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.monitor().status()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    monitor: Mutex<Monitor>,
    check: Mutex<Arc<dyn Check>>,
    wake: Notify,
}

impl Shared {
    fn monitor(&self) -> MutexGuard<'_, Monitor> {
        lock(&self.monitor)
    }

    fn next_output(&self) -> Option<Output> {
        self.monitor().poll_output()
    }

    fn deadline(&self) -> crate::time::Instant {
        let deadline = self.monitor().poll_timeout();
        deadline.unwrap_or(crate::time::Instant::MAX)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

/// A monitor is consistent between its methods, so a lock that was poisoned is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn drive<K: Clone>(
    key: K,
    target: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::Sender<(K, Output)>,
) {
    let mut probe = None;
    loop {
        while let Some(output) = shared.next_output() {
            match output {
                Output::Probe { id, deadline } => {
                    let check = Arc::clone(&lock(&shared.check));
                    probe = Some(Probe::start(id, check, target, deadline - clock::now()));
                }
                Output::Cancel { .. } => probe = None,
                event => {
                    if events.send((key.clone(), event)).await.is_err() {
                        return;
                    }
                }
            }
        }
        // Biased, so that after a stall an answer that has come is seen before its deadline.
        tokio::select! {
            biased;
            (id, result) = finished(&mut probe) => {
                probe = None;
                shared.monitor().handle_result(clock::now(), id, result);
            }
            () = shared.wake.notified() => {}
            () = clock::sleep_until(shared.deadline()) => {
                shared.monitor().handle_timeout(clock::now());
            }
        }
    }
}

struct Probe {
    id: ProbeId,
    future: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
}

impl Probe {
    fn start(id: ProbeId, check: Arc<dyn Check>, target: SocketAddr, limit: Duration) -> Self {
        let future = Box::pin(async move { check.probe(target, limit).await });
        Self { id, future }
    }
}

/// Waits for the probe under way; for ever if there is none.
async fn finished(probe: &mut Option<Probe>) -> (ProbeId, Result<(), Failure>) {
    let Some(Probe { id, future }) = probe else {
        return std::future::pending().await;
    };
    (*id, guarded(future.as_mut()).await)
}

/// A probe whose panic is a failure.
pub(super) async fn guarded<F>(mut probe: Pin<&mut F>) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + ?Sized,
{
    std::future::poll_fn(|context| {
        let poll = AssertUnwindSafe(|| probe.as_mut().poll(context));
        catch_unwind(poll).unwrap_or_else(|_panic| {
            Poll::Ready(Err(Failure::Other("the check panicked".to_owned())))
        })
    })
    .await
}

//! Recordings of simulated directors.

use std::sync::{Arc, Mutex};

use crate::failover::record::{Entry, Sink};

/// The entries of a director that is recorded.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Entry>>>);

impl Recording {
    /// What was recorded until now.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().map_or_else(|_| Vec::new(), |entries| entries.clone())
    }
}

impl Sink for Recording {
    fn take(&mut self, entry: Entry) -> bool {
        self.0.lock().is_ok_and(|mut entries| {
            entries.push(entry);
            true
        })
    }
}

//! What was not confirmed while no daemon ran.

use std::path::Path;

use super::Store;
use crate::control::revisions::{News, Origin, Pending, Return};
use crate::control::{Event, Timestamp};
use crate::runtime::configuration::{self, fingerprint};
use crate::runtime::heartbeat::Observer;

/// Takes a change back whose time was over before this process began, and says so. For the moment
/// before the file is first read: the machine may have been started again to be rid of the change.
///
/// What waits still, or cannot be taken back now, is left to the [`Keeper`](super::Keeper).
pub fn settle(path: &Path, store: &Store, now: Timestamp, tell: &Observer) {
    let Ok(Some(pending)) = store.pending() else { return };
    if !pending.left(now).is_zero() {
        return;
    }
    let (from, to) = (pending.revision, pending.base);
    let news = match take_back(path, store, &pending, now) {
        Ok(false) => return,
        Ok(true) => News::Returned { from, to, why: Return::Unconfirmed },
        Err(reason) => News::Stuck { to, reason },
    };
    tell(Event::Configuration(news));
}

/// Whether there was anything to take back.
fn take_back(
    path: &Path,
    store: &Store,
    pending: &Pending,
    now: Timestamp,
) -> Result<bool, String> {
    let mut archive = store.archive().map_err(|error| error.to_string())?;
    let Some(base) = archive.get(pending.base).cloned() else {
        return Err(format!("revision {} is not kept any more", pending.base));
    };
    let text = store.text(&base.hash).map_err(|error| error.to_string())?;
    let mut original = configuration::open(path).map_err(|error| error.to_string())?;
    let is_there = original.hash() == base.hash;
    if !is_there {
        original.replace(&text).map_err(|error| error.to_string())?;
        let (hash, length) = (fingerprint(&text), text.len() as u64);
        let origin = Origin::RolledBack(pending.base);
        archive.record((&hash, length), now, &pending.author, origin, None);
        // The file counts: what cannot be recorded now is recorded as found later.
        let _recorded = store.write(&archive);
    }
    store.clear_pending().map_err(|error| error.to_string())?;
    Ok(!is_there)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::control::revisions::Archive;

    const WINDOW: Duration = Duration::from_secs(60);

    struct Fixture {
        directory: tempfile::TempDir,
        store: Store,
        pending: Pending,
    }

    /// A file in which `new` waits to be confirmed instead of `old`.
    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("history"));
        let mut archive = Archive::default();
        for text in ["old", "new"] {
            let hash = fingerprint(text.as_bytes());
            archive.record((&hash, 3), Timestamp(1), "ann", Origin::Applied, None);
            store.keep_text(&hash, text.as_bytes()).unwrap();
            store.write(&archive).unwrap();
        }
        std::fs::write(directory.path().join("lvs.cf"), "new").unwrap();
        let pending = Pending::new((1, 2), "ann".to_owned(), Timestamp(1000), WINDOW);
        store.set_pending(&pending).unwrap();
        Fixture { directory, store, pending }
    }

    impl Fixture {
        /// What is in the file, and what was told, once it was settled at `now`.
        fn settled_at(&self, now: Timestamp) -> (String, Vec<Event>) {
            let told = Arc::new(Mutex::new(Vec::new()));
            let ears = Arc::clone(&told);
            let observer: Observer = Arc::new(move |event| ears.lock().unwrap().push(event));
            let path = self.directory.path().join("lvs.cf");
            settle(&path, &self.store, now, &observer);
            let told = told.lock().unwrap().clone();
            (std::fs::read_to_string(path).unwrap(), told)
        }
    }

    #[test]
    fn a_change_whose_time_ended_while_nobody_ran_is_taken_back_once() {
        let fixture = fixture();
        let late = fixture.pending.until;
        let (text, told) = fixture.settled_at(late);
        assert_eq!(text, "old");
        let why = Return::Unconfirmed;
        assert_eq!(told, [Event::Configuration(News::Returned { from: 2, to: 1, why })]);
        let archive = fixture.store.archive().unwrap();
        assert_eq!(archive.latest().map(|one| one.origin), Some(Origin::RolledBack(1)));
        assert_eq!(fixture.settled_at(late), ("old".to_owned(), Vec::new()));
    }

    #[test]
    fn one_that_still_waits_is_left_alone() {
        let fixture = fixture();
        let (text, told) = fixture.settled_at(Timestamp(1000).after(WINDOW / 2));
        assert_eq!((text.as_str(), told.len()), ("new", 0));
        assert_eq!(fixture.store.pending().unwrap(), Some(fixture.pending));
    }

    #[test]
    fn what_cannot_be_taken_back_is_told_and_tried_again_later() {
        let fixture = fixture();
        let archive = fixture.store.archive().unwrap();
        let text = fixture.directory.path().join("history");
        std::fs::remove_file(text.join(format!("{}.cf", archive.get(1).unwrap().hash))).unwrap();
        let (text, told) = fixture.settled_at(fixture.pending.until);
        assert_eq!(text, "new");
        assert!(matches!(told[..], [Event::Configuration(News::Stuck { to: 1, .. })]));
        assert!(fixture.store.pending().unwrap().is_some());
    }
}

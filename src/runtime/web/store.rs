//! The accounts file: users and tokens, written so that a crash leaves the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::web::account::{AccountError, Accounts};

/// More than any accounts file has.
const MAX_BYTES: u64 = 1 << 20;

/// Why the accounts could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    #[error("cannot {step} {}: {source}", path.display())]
    System { step: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is no accounts file: {reason}; mend it, or move it away and begin anew", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error(transparent)]
    Refused(#[from] AccountError),
}

/// The accounts, as they are in the file at the moment.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    seen: Mutex<Seen>,
}

/// What was last read, and of which file: another program may have changed it since.
#[derive(Debug, Default)]
struct Seen {
    mark: Option<Mark>,
    accounts: Arc<Accounts>,
}

/// What differs when a file was replaced.
type Mark = (u64, i64, i64, u64);

impl Store {
    /// The accounts in `directory`, which is made if it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(system("make", directory))?;
        let store = Self { directory: directory.to_owned(), seen: Mutex::default() };
        store.read()?;
        Ok(store)
    }

    /// The accounts there are. Reads the file only where it changed.
    pub(crate) fn read(&self) -> Result<Arc<Accounts>, StoreError> {
        let path = self.path();
        let mark = match fs::metadata(&path) {
            Ok(file) => Some((file.ino(), file.mtime(), file.mtime_nsec(), file.size())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(system("read", &path)(error)),
        };
        let mut seen = self.seen();
        if mark != seen.mark {
            *seen = Seen { mark, accounts: Arc::new(load(&path)?) };
        }
        Ok(Arc::clone(&seen.accounts))
    }

    /// Changes the accounts; nobody else does meanwhile. What `change` refuses changes nothing.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, AccountError>,
    ) -> Result<T, StoreError> {
        let lock = self.directory.join("accounts.lock");
        let held = private().create(true).truncate(false).open(&lock);
        let held = held.map_err(system("open", &lock))?;
        flock(&held, FlockOperation::LockExclusive)
            .map_err(|error| system("lock", &lock)(error.into()))?;
        let mut accounts = load(&self.path())?;
        let result = change(&mut accounts)?;
        self.write(&accounts)?;
        Ok(result)
    }

    fn write(&self, accounts: &Accounts) -> Result<(), StoreError> {
        let (path, draft) = (self.path(), self.directory.join("accounts.json.new"));
        let text = serde_json::to_vec_pretty(accounts).unwrap_or_default();
        let written = private().create(true).truncate(true).open(&draft).and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(system("write", &draft))?;
        fs::rename(&draft, &path).map_err(system("replace", &path))?;
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(system("sync", &self.directory))
    }

    fn path(&self) -> PathBuf {
        self.directory.join("accounts.json")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To write a file that only its owner may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn load(path: &Path) -> Result<Accounts, StoreError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Accounts::default()),
        Err(error) => return Err(system("read", path)(error)),
        Ok(_) => {}
    }
    serde_json::from_slice(&text).map_err(|error| {
        let (path, reason) = (path.to_owned(), error.to_string());
        StoreError::Broken { path, reason }
    })
}

fn system(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::System { step, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Timestamp;
    use crate::web::Role;
    use crate::web::account::User;

    fn user(name: &str) -> User {
        let (name, password) = (name.to_owned(), "x".to_owned());
        User { name, role: Role::Admin, password, changed: Timestamp(0) }
    }

    #[test]
    fn what_one_program_changes_another_sees_and_only_the_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("state");
        let (ours, theirs) = (Store::open(&place).unwrap(), Store::open(&place).unwrap());
        theirs.change(|accounts| accounts.put_user(user("alice"))).unwrap();
        assert!(ours.read().unwrap().user("alice").is_some());
        let refused = ours.change(|accounts| accounts.remove_user("alice"));
        assert!(matches!(refused, Err(StoreError::Refused(AccountError::LastAdmin(_)))));
        assert!(theirs.read().unwrap().user("alice").is_some());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("accounts.json"))), (0o700, 0o600));
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = directory.path();
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    store.change(|all| all.put_user(user(&format!("user{number}")))).unwrap();
                });
            }
        });
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.read().unwrap().users.len(), 8);
    }

    #[test]
    fn a_broken_file_lets_nobody_in_and_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts.json");
        fs::write(&path, "{\"users\":[{}]}").unwrap();
        assert!(matches!(Store::open(directory.path()), Err(StoreError::Broken { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"users\":[{}]}");
    }
}

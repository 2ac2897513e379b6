//! The files a server has: the computed ones, and those that clients stored.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::Content;

/// The largest file a client may store.
pub(super) const STORED_SIZE_LIMIT: usize = 16 * 1024 * 1024;
/// The number of files clients may store.
const STORED_COUNT_LIMIT: usize = 16;
/// The longest name a client may store a file under.
const NAME_LIMIT: usize = 128;
/// The largest computed file, which keeps every offset far from overflow: 1 TiB.
const COMPUTED_SIZE_LIMIT: u64 = 1 << 40;
/// The computed files shown in listings; every other size exists as well.
const LISTED: [u64; 4] = [0, 1_000, 1_000_000, 100_000_000];

/// A file that can be sent.
#[derive(Clone)]
pub(super) enum File {
    /// `file-SIZE.bin`.
    Computed { content: Content, size: u64 },
    /// What a client stored.
    Stored(Arc<Vec<u8>>),
}

impl File {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Computed { size, .. } => *size,
            Self::Stored(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buffer` with what the file holds from `offset` on; returns the number of bytes.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        match self {
            Self::Computed { content, .. } => content.fill(offset, buffer),
            Self::Stored(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
                let count = buffer.len().min(bytes.len() - start);
                buffer[..count].copy_from_slice(&bytes[start..start + count]);
                count
            }
        }
    }
}

/// All files of one server, shared by its sessions.
#[derive(Default)]
pub(super) struct Files {
    stored: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
}

impl Files {
    /// The file at `path`; there is one directory, so `/name` and `name` are the same.
    pub(super) fn find(&self, path: &str) -> Option<File> {
        let name = base_name(path)?;
        if let Some(size) = computed_size(name) {
            let content = Content::of_size(size);
            return Some(File::Computed { content, size });
        }
        self.lock().get(name).cloned().map(File::Stored)
    }

    /// Keeps `bytes` under `path`, replacing what was stored there.
    ///
    /// # Errors
    /// Says why not, when the name is not allowed or there are too many files already.
    pub(super) fn store(&self, path: &str, bytes: Vec<u8>) -> Result<(), &'static str> {
        let name = Self::storable(path)?;
        let mut stored = self.lock();
        if stored.len() >= STORED_COUNT_LIMIT && !stored.contains_key(name) {
            return Err("too many files stored already");
        }
        stored.insert(name.to_owned(), Arc::new(bytes));
        Ok(())
    }

    /// The name that `path` would be stored under.
    ///
    /// # Errors
    /// Says why not, when the name is not allowed.
    pub(super) fn storable(path: &str) -> Result<&str, &'static str> {
        let name = base_name(path).ok_or("not a file name in this directory")?;
        if computed_size(name).is_some() {
            return Err("this file is computed and cannot be replaced");
        }
        if name.len() > NAME_LIMIT {
            return Err("the name is too long");
        }
        Ok(name)
    }

    /// The names in the directory, one per line, as NLST sends them.
    pub(super) fn names(&self) -> String {
        self.entries().fold(String::new(), |mut text, (name, _)| {
            let _ = write!(text, "{name}\r\n");
            text
        })
    }

    /// The directory in the form of `ls -l`, which is what clients parse.
    pub(super) fn listing(&self) -> String {
        self.entries().fold(String::new(), |mut text, (name, size)| {
            let _ =
                write!(text, "-rw-r--r--   1 ftp      ftp      {size:>12} Jan  1  2024 {name}\r\n");
            text
        })
    }

    fn entries(&self) -> impl Iterator<Item = (String, u64)> {
        let stored: Vec<_> =
            self.lock().iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
        let computed = LISTED.map(|size| (format!("file-{size}.bin"), size));
        computed.into_iter().chain(stored)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Vec<u8>>>> {
        // Every change is one call on the map, so a panic elsewhere cannot have left it half done.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name in `path`, if it lies in the only directory there is.
fn base_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    plain.then_some(name)
}

/// The size in `file-SIZE.bin`, digits without a sign or leading zeros.
fn computed_size(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("file-")?.strip_suffix(".bin")?;
    let size: u64 = digits.parse().ok()?;
    (size <= COMPUTED_SIZE_LIMIT && digits == size.to_string()).then_some(size)
}

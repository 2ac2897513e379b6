//! Writing lvs.cf so that no moment and no failure leaves half a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

use super::read_bounded;

/// Linux's limit for the names of all attributes of a file, and for the value of one, in bytes.
const MAX_ATTRIBUTES: usize = 1 << 16;

/// A file as it was read, to be written only if nobody else did so in the meantime.
#[derive(Clone, Debug)]
pub struct Original {
    /// The file itself, symbolic links followed.
    target: PathBuf,
    digest: [u8; 32],
    text: Vec<u8>,
}

/// Why a file was not written. It is what it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Somebody else wrote it since it was read.
    #[error("{} was changed since it was read: read it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else is writing it at this moment.
    #[error("{} is being written by somebody else: try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is a device, a pipe or a directory.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// A step of reading or writing failed.
    #[error("cannot {step} {}: {source}", path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// The file, or the directory, it was tried on.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Reads the file at `path` in order to write it.
///
/// # Errors
/// [`WriteError`] if it is not a regular file, cannot be read, or is larger than 16 MiB.
pub fn open(path: &Path) -> Result<Original, WriteError> {
    let target = fs::canonicalize(path).map_err(failed("find", path))?;
    let kind = fs::metadata(&target).map_err(failed("read", &target))?;
    if !kind.is_file() {
        return Err(WriteError::NotAFile { path: target });
    }
    let text = read_bounded(&target).map_err(failed("read", &target))?;
    Ok(Original { digest: Sha256::digest(&text).into(), text, target })
}

impl Original {
    /// What was read.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The [`fingerprint`](super::fingerprint) of what was read.
    #[must_use]
    pub fn hash(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Puts `text` in the place of what was read.
    ///
    /// The new file is complete on disk before it takes the name of the old one, whose mode, owner
    /// and extended attributes (access lists are among them) it gets; at every moment there is one
    /// or the other. A symbolic link stays one. Of two that write at the very same time one fails;
    /// programs that take no lock (flock(2)) are noticed if they wrote before.
    ///
    /// # Errors
    /// [`WriteError`]; the file is what it was. Only a failure to `sync` the directory comes after
    /// the change, which may then not outlive a loss of power.
    pub fn replace(&mut self, text: &[u8]) -> Result<(), WriteError> {
        let _locked = self.lock()?;
        self.check_unchanged()?;
        let directory = self.target.parent().unwrap_or(Path::new("/"));
        let beside = self.name_beside(directory)?;
        let written = write_beside(&beside, &self.target, text).and_then(|()| {
            self.check_unchanged()?;
            fs::rename(&beside, &self.target).map_err(failed("replace", &self.target))
        });
        if let Err(error) = written {
            let _gone_or_never_there = fs::remove_file(&beside);
            return Err(error);
        }
        (self.digest, self.text) = (Sha256::digest(text).into(), text.to_vec());
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(failed("sync", directory))
    }

    /// Keeps other writers out until it is dropped. Whoever locked the file that was replaced
    /// meanwhile finds another text under its name.
    fn lock(&self) -> Result<File, WriteError> {
        let file = File::open(&self.target).map_err(failed("lock", &self.target))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(Errno::WOULDBLOCK) => Err(WriteError::Busy { path: self.target.clone() }),
            Err(error) => Err(failed("lock", &self.target)(error.into())),
        }
    }

    fn check_unchanged(&self) -> Result<(), WriteError> {
        let now = read_bounded(&self.target).map_err(failed("read", &self.target))?;
        if <[u8; 32]>::from(Sha256::digest(&now)) == self.digest {
            return Ok(());
        }
        Err(WriteError::Changed { path: self.target.clone() })
    }

    /// A name in the same directory that nobody else has.
    fn name_beside(&self, directory: &Path) -> Result<PathBuf, WriteError> {
        let mut random = [0; 8];
        getrandom(&mut random, GetRandomFlags::empty())
            .map_err(|error| failed("name", directory)(error.into()))?;
        let name = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = u64::from_ne_bytes(random);
        Ok(directory.join(format!(".{name}.{number:016x}")))
    }
}

/// Writes `text` to a new file with the mode, owner and attributes of `model`, and waits for the
/// disk.
fn write_beside(beside: &Path, model: &Path, text: &[u8]) -> Result<(), WriteError> {
    let like = fs::metadata(model).map_err(failed("read", model))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)
        .map_err(failed("create", beside))?;
    file.write_all(text).map_err(failed("write", beside))?;
    let mode = fs::Permissions::from_mode(like.permissions().mode());
    file.set_permissions(mode).map_err(failed("keep the mode of", model))?;
    copy_attributes(model, &file)
        .map_err(|error| failed("keep the attributes of", model)(error.into()))?;
    // Last: without CAP_FOWNER nothing else can be done to a file that somebody else owns.
    let mine = file.metadata().map_err(failed("read", beside))?;
    if (mine.uid(), mine.gid()) != (like.uid(), like.gid()) {
        let (user, group) = (Uid::from_raw(like.uid()), Gid::from_raw(like.gid()));
        rustix::fs::fchown(&file, Some(user), Some(group))
            .map_err(|error| failed("keep the owner of", model)(error.into()))?;
    }
    file.sync_all().map_err(failed("sync", beside))
}

/// Copies the extended attributes. Those of the system's own that only the system may set, such as
/// security labels, are left to it.
fn copy_attributes(model: &Path, file: &File) -> Result<(), Errno> {
    let mut names = vec![0; MAX_ATTRIBUTES];
    let length = match rustix::fs::listxattr(model, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; MAX_ATTRIBUTES];
        let length = rustix::fs::getxattr(model, name, &mut value[..])?;
        match rustix::fs::fsetxattr(file, name, &value[..length], XattrFlags::empty()) {
            Err(_) if name.starts_with(b"security.") || name.starts_with(b"trusted.") => {}
            result => result?,
        }
    }
    Ok(())
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError + use<> {
    let path = path.to_owned();
    move |source| WriteError::Io { step, path, source }
}

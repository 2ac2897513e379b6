//! The file with the key that authenticates heartbeats.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::wire::pulse::{Key, KeyError};
use crate::wire::vrrp::Password;

/// More than any key; the rest of a larger file is not read.
const MAX_BYTES: u64 = 4096;

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Why a key file is not used. Its contents are in no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("{}: others may read it; chmod 600 it and make a new key", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It holds no key.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// It holds no password of VRRP.
    #[error("{}: a password of VRRP has 1 to {max} bytes", path.display(), max = Password::MAX)]
    Password {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the keys in `paths`, in order.
///
/// # Errors
/// [`KeyFileError`] for the first that cannot be used.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Key>, KeyFileError> {
    paths.iter().map(|path| read(path)).collect()
}

/// Reads the key in the file at `path`: its bytes without white space at the end.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<Key, KeyFileError> {
    let key = Key::new(&secret(path)?);
    key.map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
}

/// Reads the password of VRRP in the file at `path`, in the same way.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_password(path: &Path) -> Result<Password, KeyFileError> {
    let password = Password::new(&secret(path)?);
    password.ok_or_else(|| KeyFileError::Password { path: path.to_owned() })
}

fn secret(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & NOT_OWNER != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned() });
    }
    let mut secret = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut secret).map_err(failed)?;
    Ok(secret.trim_ascii_end().to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(mode: u32, contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_key_only_its_owner_may_read_is_used() {
        let (_directory, path) = file(0o600, b"0123456789abcdef\n");
        assert!(read(&path).is_ok());
    }

    #[test]
    fn a_key_others_may_read_is_refused() {
        let (_directory, path) = file(0o640, b"0123456789abcdef");
        assert!(matches!(read(&path), Err(KeyFileError::Exposed { .. })));
    }

    #[test]
    fn a_password_of_vrrp_is_read_without_the_end_of_its_line() {
        let (_directory, path) = file(0o600, b"s3cret\n");
        assert_eq!(read_password(&path).ok(), Password::new(b"s3cret"));
        let (_directory, path) = file(0o600, b"longer than eight\n");
        let error = read_password(&path).unwrap_err();
        assert!(error.to_string().ends_with("a password of VRRP has 1 to 8 bytes"), "{error}");
    }

    #[test]
    fn a_key_too_short_to_protect_anything_is_refused_without_showing_it() {
        let (_directory, path) = file(0o600, b"hunter2\n");
        let error = read(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Key { .. }));
        assert!(!error.to_string().contains("hunter2"));
    }
}

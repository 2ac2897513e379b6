//! Files with secrets. Their contents are in no message and no transcript.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::CheckError;

/// More than any key or password; the rest of a larger file is not read.
const MAX_BYTES: u64 = 64 << 10;

/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Reads the file at `path`, which nobody but its owner may read or write.
pub(in crate::runtime) fn read(path: &Path) -> Result<Vec<u8>, CheckError> {
    let failed = |reason: String| CheckError::File { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    if metadata.mode() & NOT_OWNER != 0 {
        return Err(failed("others may read it; chmod 600 it and make a new secret".to_owned()));
    }
    let mut secret = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut secret).map_err(|error| failed(error.to_string()))?;
    Ok(secret)
}

/// A user's name, perhaps empty, and password.
pub(in crate::runtime) struct Login {
    pub(in crate::runtime) user: String,
    pub(in crate::runtime) password: String,
}

/// Reads a line `user:password`, or a password alone.
pub(in crate::runtime) fn read_login(path: &Path) -> Result<Login, CheckError> {
    let bad = |reason: &str| CheckError::File { path: path.to_owned(), reason: reason.to_owned() };
    let text = String::from_utf8(read(path)?).map_err(|_invalid| bad("it is not UTF-8"))?;
    let line = text.trim_end();
    if line.is_empty() || line.contains(char::is_control) {
        return Err(bad("it must have one line, `user:password` or a password alone"));
    }
    let (user, password) = line.split_once(':').unwrap_or(("", line));
    Ok(Login { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn file(mode: u32, contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_secret_others_may_read_is_refused_without_showing_it() {
        let (_directory, path) = file(0o640, b"hunter2\n");
        let refusal = read(&path).unwrap_err().to_string();
        assert!(refusal.contains("chmod 600") && !refusal.contains("hunter2"), "{refusal}");
    }

    #[test]
    fn a_login_is_one_line() {
        let (_directory, path) = file(0o600, b"ann:pass:word\n");
        let login = read_login(&path).unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("ann", "pass:word"));
        let (_directory, path) = file(0o600, b"alone");
        assert_eq!(read_login(&path).unwrap().user, "");
        for bad in [&b""[..], b"\n", b"a:b\nc:d\n", b"a:\xff"] {
            let (_directory, path) = file(0o600, bad);
            assert!(read_login(&path).is_err());
        }
    }
}

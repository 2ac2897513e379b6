//! Files below a directory, out of which no name and no symbolic link leads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::runtime::peer::store::random;

/// The largest file that is synchronised.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// The bits of a mode that are mirrored: not those that change whose rights a program has.
const MODE: u32 = 0o777;

/// What is in a file, and who may do what with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// A directory whose files may be read and replaced.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a file relative to the directory, if it is plainly below.
    pub(super) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let relative = path.strip_prefix(&self.root).ok()?;
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && !relative.as_os_str().is_empty()).then_some(relative)
    }

    /// What is in the file; `None` where there is none.
    pub(super) fn read(&self, relative: &Path) -> io::Result<Option<Contents>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.open(relative, flags) {
            Err(Errno::NOENT) => return Ok(None),
            opened => File::from(opened?),
        };
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
        Ok(Some(Contents { bytes, mode: mode & MODE }))
    }

    /// Puts `contents` in the place of the file, on the disk when it returns; `None` removes it.
    /// The owner stays who it was.
    pub(super) fn write(&self, relative: &Path, contents: Option<&Contents>) -> io::Result<()> {
        let around = relative.parent().unwrap_or(Path::new(""));
        let around = if around.as_os_str().is_empty() { Path::new(".") } else { around };
        let directory = self.open(around, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let name = relative.file_name().ok_or(Errno::INVAL)?;
        match contents {
            None => match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
                Err(error) if error != Errno::NOENT => return Err(error.into()),
                _ => {}
            },
            Some(contents) => {
                let number = u64::from_ne_bytes(random()?);
                let beside = format!(".{}.{number:016x}", name.to_string_lossy());
                let written = self.write_beside(&directory, &beside, relative, contents);
                let placed = written.and_then(|()| {
                    Ok(rustix::fs::renameat(&directory, beside.as_str(), &directory, name)?)
                });
                if let Err(error) = placed {
                    let _gone = rustix::fs::unlinkat(&directory, beside.as_str(), AtFlags::empty());
                    return Err(error);
                }
            }
        }
        Ok(rustix::fs::fsync(&directory)?)
    }

    fn write_beside(
        &self,
        directory: &OwnedFd,
        beside: &str,
        model: &Path,
        contents: &Contents,
    ) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, beside, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(&contents.bytes)?;
        // Before it is another's: the unit has no CAP_FOWNER.
        rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(contents.mode & MODE))?;
        if let Ok(model) = self.open(model, OFlags::PATH) {
            let like = rustix::fs::fstat(&model)?;
            let mine = rustix::fs::fstat(&file)?;
            if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid) {
                let (user, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
                rustix::fs::fchown(&file, Some(user), Some(group))?;
            }
        }
        file.sync_all()
    }

    fn open(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let top = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &self.root, top, Mode::empty())?;
        let bounds =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&root, relative, flags | OFlags::CLOEXEC, Mode::empty(), bounds)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("in/sub")).unwrap();
        fs::write(directory.path().join("secret"), "outside").unwrap();
        let tree = Tree::new(directory.path().join("in"));
        (directory, tree)
    }

    fn contents(text: &str, mode: u32) -> Contents {
        Contents { bytes: text.as_bytes().to_vec(), mode }
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_removed() {
        let (directory, tree) = tree();
        let path = Path::new("sub/check");
        assert_eq!(tree.read(path).unwrap(), None);
        for wanted in [contents("one", 0o755), contents("two", 0o4640)] {
            tree.write(path, Some(&wanted)).unwrap();
            let mode = wanted.mode & 0o777;
            assert_eq!(tree.read(path).unwrap(), Some(Contents { mode, ..wanted }));
        }
        let mode =
            fs::metadata(directory.path().join("in/sub/check")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "no program gets another's rights");
        tree.write(path, None).unwrap();
        tree.write(path, None).unwrap();
        assert_eq!(fs::read_dir(directory.path().join("in/sub")).unwrap().count(), 0);
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let (directory, tree) = tree();
        let inside = directory.path().join("in");
        for path in ["../secret", "sub/../../secret", ".", "", "/etc/passwd"] {
            assert_eq!(tree.below(&inside.join(path)), None, "{path}");
        }
        assert!(tree.below(&inside.join("sub/x")).is_some());
        for path in ["../secret", "sub/../../secret"] {
            assert!(tree.read(Path::new(path)).is_err());
            assert!(tree.write(Path::new(path), Some(&contents("x", 0o600))).is_err());
            assert!(tree.write(Path::new(path), None).is_err());
        }
        assert_eq!(fs::read(directory.path().join("secret")).unwrap(), b"outside");
    }

    #[test]
    fn no_symbolic_link_is_followed() {
        let (directory, tree) = tree();
        symlink(directory.path(), directory.path().join("in/out")).unwrap();
        symlink(directory.path().join("secret"), directory.path().join("in/link")).unwrap();
        assert!(tree.read(Path::new("out/secret")).is_err());
        assert!(tree.read(Path::new("link")).is_err());
        assert!(tree.write(Path::new("out/secret"), Some(&contents("x", 0o600))).is_err());
        assert!(tree.write(Path::new("out/secret"), None).is_err());
        tree.write(Path::new("link"), Some(&contents("x", 0o600))).unwrap();
        assert_eq!(fs::read(directory.path().join("secret")).unwrap(), b"outside");
        assert_eq!(tree.read(Path::new("link")).unwrap().unwrap().bytes, b"x");
    }

    #[test]
    fn what_is_no_file_or_too_large_is_told() {
        let (directory, tree) = tree();
        assert!(tree.read(Path::new("sub")).is_err());
        fs::write(directory.path().join("in/big"), vec![0; 5 << 20]).unwrap();
        assert!(tree.read(Path::new("big")).unwrap_err().to_string().contains("4 MiB"));
        let gone = tree.write(Path::new("gone/file"), Some(&contents("x", 0o600)));
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

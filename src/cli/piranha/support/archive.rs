//! Texts in a compressed tar file that only its owner can read.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// The directory in the archive in which everything stands.
const TOP: &str = "piranha";

/// One text of the bundle.
pub(super) struct Member {
    name: String,
    text: String,
}

impl Member {
    pub(super) fn new(name: impl Into<String>, text: String) -> Self {
        Self { name: name.into(), text }
    }

    pub(super) fn map(self, change: impl FnOnce(&str) -> String) -> Self {
        Self { text: change(&self.text), name: self.name }
    }
}

/// Writes a new file with mode 0600. One that is there already is left as it is.
///
/// # Errors
/// The operating system's; what was begun is taken away.
pub(super) fn write(path: &Path, mut members: impl Iterator<Item = Member>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    let written = members
        .try_for_each(|member| append(&mut archive, &member))
        .and_then(|()| archive.into_inner()?.finish()?.sync_all());
    if written.is_err() {
        let _gone = std::fs::remove_file(path);
    }
    written
}

fn append(archive: &mut Builder<impl io::Write>, member: &Member) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(member.text.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(crate::runtime::control::now().0 / 1000);
    archive.append_data(&mut header, format!("{TOP}/{}", member.name), member.text.as_bytes())
}

//! Where log lines go.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::Format;

/// Where the journal takes records with fields.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Where a log daemon listens.
const SYSLOG: &str = "/dev/log";

/// Takes whole lines, each in one call of [`write`](Write::write).
pub(super) enum Sink {
    StandardError,
    /// One datagram for each line, to the socket of this name.
    Datagrams {
        socket: UnixDatagram,
        to: &'static str,
    },
}

impl Sink {
    /// Where lines of this format go; standard error where there are no sockets to be had.
    pub(super) fn new(format: Format) -> Self {
        let to = match format {
            Format::Text | Format::Json | Format::Priority => return Self::StandardError,
            Format::Journal => JOURNAL,
            Format::Syslog => SYSLOG,
        };
        UnixDatagram::unbound().map_or(Self::StandardError, |socket| Self::Datagrams { socket, to })
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::StandardError => io::stderr().write(line),
            // A log daemon that is being started again is missed by this line only.
            Self::Datagrams { socket, to } => match socket.send_to(line, to) {
                Ok(_) => Ok(line.len()),
                Err(_nobody_there) => io::stderr().write_all(line).map(|()| line.len()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether standard error goes to the journal, as `JOURNAL_STREAM` says (systemd.exec(5)): a shell
/// started from a service has the variable too, and another standard error.
pub(super) fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(own) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == *format!("{}:{}", own.st_dev, own.st_ino)
}

pub(super) fn has_journal_socket() -> bool {
    Path::new(JOURNAL).exists()
}

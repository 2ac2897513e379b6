//! A real server for FTP: control connections with passive and active data connections, enough of
//! RFC 959, RFC 2428 (EPSV, EPRT) and RFC 3659 (SIZE, REST) for curl, lftp and ncftp.
//!
//! Every name of the form `file-SIZE.bin` exists and holds [`Content::of_size`], so a transfer can
//! be of any length and resume at any offset, on any of several servers. What clients store is
//! kept in memory, within bounds, until the process ends. A throttle makes a transfer last long
//! enough for the story to kill a director in the middle of it.
//!
//! Passive replies name the server's own address, as those of every FTP server behind a director
//! do: making them fit the VIP is the director's business, and part of what the example shows.

mod data;
mod files;
mod session;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use crate::slots::Slots;
use files::Files;

/// Control connections at once; one more is closed unanswered.
const SESSION_LIMIT: usize = 64;

/// How a server is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The name in the greeting.
    pub(crate) name: String,
    /// The most each data connection sends per second; `None` for as fast as it goes.
    pub(crate) bytes_per_second: Option<u64>,
}

/// Serves FTP on `listen` until the process ends.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn run(listen: SocketAddr, settings: Settings) -> io::Result<()> {
    serve(&TcpListener::bind(listen)?, settings)
}

/// Serves FTP on a socket that is listening already.
///
/// # Errors
/// When a thread cannot be started.
pub(crate) fn serve(listener: &TcpListener, settings: Settings) -> io::Result<()> {
    let settings = Arc::new(settings);
    let files = Arc::new(Files::default());
    let slots = Slots::new(SESSION_LIMIT);
    for stream in listener.incoming() {
        // A connection can be gone again before it is accepted; that is not the listener's end.
        let Ok(stream) = stream else { continue };
        let Some(slot) = slots.take() else { continue };
        let (settings, files) = (Arc::clone(&settings), Arc::clone(&files));
        thread::Builder::new().spawn(move || {
            let _slot = slot;
            // Whatever ended the session, its client has seen the connection close.
            let _ = session::run(stream, &settings, &files);
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

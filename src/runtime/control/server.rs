//! The daemon's side of a control socket: who may ask, how much, and how long it may take.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::Gid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::accounts;
use super::feed::{Chronicle, Feed};
use super::session::{self, Session};
use crate::control::protocol::{Call, Daemon, Problem};

/// Clients a daemon has at the same time; one more is told to come back.
pub(in crate::runtime) const MAX_CLIENTS: usize = 64;

/// The pause after a client could not be accepted, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a daemon does for its clients.
#[async_trait]
pub(in crate::runtime) trait Serve: Send + Sync + 'static {
    /// Which daemon this is.
    fn daemon(&self) -> Daemon;

    /// Answers a call of `caller` with the JSON text of its result. Called on the thread of the
    /// control socket; what the heartbeat or the director must do is asked of them in passing.
    async fn serve(
        &self,
        caller: &Caller,
        call: Call,
        events: &Chronicle,
    ) -> Result<String, Problem>;
}

/// Who is at the other end, as the kernel says.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Caller {
    pub(in crate::runtime) user: String,
    /// Whether it is root or the daemon's own user, not only a member of the group.
    pub(in crate::runtime) is_owner: bool,
    /// Whether it is somebody on the partner, for whom who has the connection speaks.
    pub(in crate::runtime) is_partner: bool,
}

impl Caller {
    /// Somebody on the partner, for whom this caller speaks. A member of the group can say so of
    /// anybody, so it is named.
    pub(super) fn speaks_for(&self, author: String) -> Self {
        let user = if self.is_owner { author } else { format!("{author} by {}", self.user) };
        Self { user, is_owner: false, is_partner: true }
    }
}

/// Where a control socket is, and who may use it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the sockets of both daemons. Made if it is not there.
    pub directory: PathBuf,
    /// The group whose members may use it beside root and the daemon's own user; a name from
    /// /etc/group or a number. A group that does not exist has no members.
    pub group: Option<String>,
}

impl Options {
    /// What makes a daemon use these.
    pub(in crate::runtime) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--control".into(), self.directory.clone().into_os_string()];
        if let Some(group) = &self.group {
            arguments.extend(["--control-group".into(), group.into()]);
        }
        arguments
    }
}

/// A control socket that is served. Dropping it takes the socket away.
#[derive(Debug)]
pub struct Served {
    path: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.path);
        // Only a directory without the other daemon's socket goes.
        let _shared = self.path.parent().map(fs::remove_dir);
    }
}

/// A socket in the directory of `options`, and who may use it.
pub(in crate::runtime) fn open(
    options: &Options,
    daemon: Daemon,
) -> io::Result<(StdUnixListener, Door, Served)> {
    let path = super::place::socket(&options.directory, daemon);
    let group = options.group.as_deref().and_then(accounts::group);
    fs::create_dir_all(&options.directory)?;
    let listener = listen(&path, group)?;
    let door = Door { group, own: rustix::process::geteuid().as_raw() };
    Ok((listener, door, Served { path }))
}

/// Serves `service` on the socket of its daemon, on a thread of its own.
pub(in crate::runtime) fn start(
    options: &Options,
    feed: Feed,
    service: Arc<dyn Serve>,
) -> io::Result<Served> {
    let (listener, door, served) = open(options, service.daemon())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        runtime.block_on(accept(listener, door, feed, service));
    })?;
    Ok(served)
}

/// Binds `path`. A socket that nobody answers is left over from a daemon that was killed.
fn listen(path: &Path, group: Option<u32>) -> io::Result<StdUnixListener> {
    if StdUnixStream::connect(path).is_ok() {
        let reason = format!("another daemon answers on {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, reason));
    }
    // Under another name until it may be used, then over whatever has the name.
    let beside = path.with_extension(format!("{}", std::process::id()));
    let _not_there = fs::remove_file(&beside);
    let listener = StdUnixListener::bind(&beside)?;
    let ready = admit(&beside, group).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = ready {
        let _gone = fs::remove_file(&beside);
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn admit(path: &Path, group: Option<u32>) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let Some(group) = group else { return Ok(()) };
    match rustix::fs::chown(path, None, Some(Gid::from_raw(group))) {
        // Who is not root can give a file only to groups of its own: root and the own user are
        // left.
        Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o660)),
    }
}

async fn accept(listener: StdUnixListener, door: Door, feed: Feed, service: Arc<dyn Serve>) {
    let chronicle = Chronicle::new();
    tokio::spawn(chronicle.clone().keep(feed));
    // Registering a socket that is listening fails only without an event loop.
    let Ok(listener) = UnixListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, chronicle) = (Arc::clone(&service), chronicle.clone());
        let place = Arc::clone(&room).try_acquire_owned();
        match door.let_in(&stream) {
            Ok(caller) => {
                tokio::spawn(async move {
                    match place {
                        Ok(_place) => Session::new(stream, caller, service, chronicle).run().await,
                        Err(_full) => session::turn_away(stream, session::busy()).await,
                    }
                });
            }
            Err(problem) => {
                tokio::spawn(session::turn_away(stream, problem));
            }
        }
    }
}

/// Who may come in.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Door {
    group: Option<u32>,
    own: u32,
}

impl Door {
    /// Listens at `path` for root, the own user and the members of `group`.
    #[cfg(feature = "web")]
    pub(in crate::runtime) fn open(
        path: &Path,
        group: Option<&str>,
    ) -> io::Result<(StdUnixListener, Self)> {
        let group = group.and_then(accounts::group);
        let door = Self { group, own: rustix::process::geteuid().as_raw() };
        Ok((listen(path, group)?, door))
    }

    /// The name of who is at the other end, and whether that is root or the own user; nothing for
    /// who may not come in.
    #[cfg(feature = "web")]
    pub(in crate::runtime) fn who(self, stream: &UnixStream) -> Option<(String, bool)> {
        let caller = self.let_in(stream).ok()?;
        let uid = rustix::net::sockopt::socket_peercred(stream).ok()?.uid.as_raw();
        Some((caller.user, uid == 0 || uid == self.own))
    }

    pub(in crate::runtime) fn let_in(self, stream: &UnixStream) -> Result<Caller, Problem> {
        let peer = rustix::net::sockopt::socket_peercred(stream).ok();
        let peer = peer.map(|peer| (peer.uid.as_raw(), peer.gid.as_raw()));
        let Some((uid, gid)) = peer else { return Err(session::not_allowed("nobody knows who")) };
        let user = accounts::user(uid);
        if self.admits(uid, gid, || member_of(stream)) {
            let is_owner = uid == 0 || uid == self.own;
            Ok(Caller { user, is_owner, is_partner: false })
        } else {
            Err(session::not_allowed(&user))
        }
    }

    fn admits(self, uid: u32, gid: u32, groups: impl FnOnce() -> Vec<u32>) -> bool {
        let Some(group) = self.group else { return uid == 0 || uid == self.own };
        uid == 0 || uid == self.own || gid == group || groups().contains(&group)
    }
}

/// The further groups of who is at the other end.
fn member_of(stream: &UnixStream) -> Vec<u32> {
    crate::runtime::sys::peer_groups(stream).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_own_user_and_members_of_the_group_come_in_and_nobody_else() {
        let door = Door { group: Some(990), own: 500 };
        let admits = |uid, gid, groups: &[u32]| door.admits(uid, gid, || groups.to_vec());
        assert!(admits(0, 0, &[]));
        assert!(admits(500, 500, &[]));
        assert!(admits(1000, 990, &[]));
        assert!(admits(1000, 1000, &[4, 990]));
        assert!(!admits(1000, 1000, &[4]));
        let closed = Door { group: None, own: 500 };
        assert!(!closed.admits(1000, 990, || vec![990]));
    }

    #[test]
    fn a_socket_of_a_killed_daemon_is_replaced_and_one_that_answers_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lvs.sock");
        drop(listen(&path, None).unwrap());
        let second = listen(&path, None).unwrap();
        assert_eq!(listen(&path, None).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(second);
    }
}

//! Who may connect, how many, and for how long.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::app::Shared;
use super::gate::{self, Visitor};
use super::reply::Body;
use crate::runtime::control::Door;
use crate::web::Role;

/// Connections from the network at the same time.
const CONNECTIONS: usize = 512;

/// Of these, those of whom nobody knows yet who they are.
const STRANGERS: usize = 64;

/// Connections on the socket.
const LOCAL: usize = 64;

/// Whoever has not said who it is by then has to go.
const ACQUAINTANCE: Duration = Duration::from_secs(60);

/// For the handshake of TLS, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a request's head.
const HEAD: usize = 16 << 10;

/// Requests on one HTTP/2 connection at the same time.
const STREAMS: u32 = 64;

/// The pause after a connection could not be accepted, for want of descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections from the network until `stop`.
pub(super) async fn network(app: Shared, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let (room, strangers) =
        (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(STRANGERS)));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // One too many is closed at once: there is nothing to say before TLS.
        let places =
            (Arc::clone(&room).try_acquire_owned(), Arc::clone(&strangers).try_acquire_owned());
        let (Ok(place), Ok(stranger)) = places else { continue };
        tokio::spawn(guest(Arc::clone(&app), stream, address, (place, stranger), stop.clone()));
    }
}

async fn guest(
    app: Shared,
    stream: TcpStream,
    address: SocketAddr,
    (_place, stranger): (OwnedSemaphorePermit, OwnedSemaphorePermit),
    stop: watch::Receiver<bool>,
) {
    let mut first = [0];
    let peeked = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    // Every TLS connection begins with a handshake record (RFC 8446, section 5.1).
    if first != [0x16] {
        return plain(app, stream).await;
    }
    let _sooner = stream.set_nodelay(true);
    let accepting = TlsAcceptor::from(app.identity.config()).accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, accepting).await else { return };
    let visitor = Visitor::Network {
        address: address.ip(),
        stranger: Mutex::new(Some(stranger)),
        known: Notify::new(),
    };
    serve(app, stream, visitor, stop).await;
}

/// Answers one plain request with the way to HTTPS.
async fn plain(app: Shared, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = gate::redirect(&app, &request);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _whatever = tokio::time::timeout(PATIENCE, connection).await;
}

/// Serves one connection to its end.
async fn serve<S>(app: Shared, stream: S, visitor: Visitor, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let visitor = Arc::new(visitor);
    let by_service = Arc::clone(&visitor);
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, visitor) = (Arc::clone(&app), Arc::clone(&by_service));
        async move {
            Ok::<http::Response<Body>, std::convert::Infallible>(
                gate::answer(app, &visitor, request).await,
            )
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(16 << 10)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(PATIENCE);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let overstayed = overstays(&visitor);
    let mut overstayed = std::pin::pin!(overstayed);
    let mut leaving = false;
    loop {
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = &mut overstayed, if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = stop.wait_for(|stop| *stop), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(PATIENCE), if leaving => return,
        }
    }
}

/// Ends when somebody has been a stranger for too long.
async fn overstays(visitor: &Visitor) {
    if let Visitor::Network { known, .. } = visitor
        && tokio::time::timeout(ACQUAINTANCE, known.notified()).await.is_err()
    {
        return;
    }
    std::future::pending().await
}

/// The socket for programs on this machine. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    door: Door,
}

impl Socket {
    /// Listens at `path`, for root, the own user and the members of `group`.
    pub(super) fn bind(path: &Path, group: Option<&str>) -> io::Result<Self> {
        let (listener, door) = Door::open(path, group)?;
        let listener = UnixListener::from_std(listener)?;
        Ok(Self { listener, path: path.to_owned(), door })
    }

    /// Takes connections until `stop`.
    pub(super) async fn serve(self, app: Shared, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(LOCAL));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
            let Some(visitor) = self.visitor(&stream) else { continue };
            let (app, stop) = (Arc::clone(&app), stop.clone());
            tokio::spawn(async move {
                let _place = place;
                serve(app, stream, visitor, stop).await;
            });
        }
    }

    /// Root and the own user are admins, members of the group operators; others may not.
    fn visitor(&self, stream: &UnixStream) -> Option<Visitor> {
        let (user, owner) = self.door.who(stream)?;
        let role = if owner { Role::Admin } else { Role::Operator };
        Some(Visitor::Socket { user, role })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.path);
    }
}

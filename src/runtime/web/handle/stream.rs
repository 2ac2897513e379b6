//! What happens, as it happens: server-sent events (HTML, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::{Answer, Context};
use crate::runtime::web::app::App;
use crate::runtime::web::reply::{Body, Reply};
use crate::runtime::web::watch::News;
use crate::web::secret::Secret;

/// A page that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Messages on their way to one page.
const ROOM: usize = 8;

pub(super) fn open(context: &Context) -> Answer {
    let (sender, receiver) = mpsc::channel(ROOM);
    let app = Arc::clone(&context.app);
    let session = context.caller()?.session.clone();
    let seen = context.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    tokio::spawn(async move {
        // It ends with the page, or with the session.
        let _gone = feed(&app, session, seen, &sender).await;
    });
    let mut reply = Reply::new("text/event-stream", Bytes::new());
    reply.body = Body::Stream(receiver, None);
    Ok(reply.header("x-accel-buffering", "no"))
}

async fn feed(
    app: &App,
    session: Option<Secret>,
    seen: Option<u64>,
    page: &mpsc::Sender<Bytes>,
) -> Result<(), Gone> {
    let (snapshot, mut news) = app.watch.subscribe().await.ok_or(Gone)?;
    send(page, snapshot).await?;
    for event in seen.map(|id| app.watch.missed(id)).unwrap_or_default() {
        send(page, event).await?;
    }
    loop {
        match news.recv().await {
            Ok(News::Tick(line)) => {
                still_there(app, session.as_ref())?;
                send(page, line).await?;
            }
            Ok(News::Event(line)) => send(page, line).await?,
            Err(RecvError::Lagged(_)) => {
                let (snapshot, fresh) = app.watch.subscribe().await.ok_or(Gone)?;
                news = fresh;
                send(page, snapshot).await?;
            }
            Err(RecvError::Closed) => return Err(Gone),
        }
    }
}

/// The page, or its session, is gone.
struct Gone;

async fn send(page: &mpsc::Sender<Bytes>, line: Bytes) -> Result<(), Gone> {
    let sent = tokio::time::timeout(PATIENCE, page.send(line)).await;
    sent.ok().and_then(Result::ok).ok_or(Gone)
}

/// A session that was revoked sees nothing more, even on a stream that was open before.
fn still_there(app: &App, session: Option<&Secret>) -> Result<(), Gone> {
    let Some(secret) = session else { return Ok(()) };
    let caller = app.caller(secret.clone(), true);
    caller.ok().flatten().map(|_| ()).ok_or(Gone)
}

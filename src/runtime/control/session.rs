//! One client of a control socket, from its greeting to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::{self, error::RecvError};

use super::feed::Chronicle;
use super::server::{Caller, Serve};
use super::upload::Upload;
use crate::control::Record;
use crate::control::protocol::{Call, Hello, MAX_REQUEST, Message, Problem, ProblemCode, Request};
use crate::control::revisions::Draft;

/// How long a client may take to read what it was sent, before it is cut off.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// How long a client that listens to no events may say nothing.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// A client that was let in.
pub(super) struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    caller: Caller,
    service: Arc<dyn Serve>,
    chronicle: Chronicle,
    news: Option<broadcast::Receiver<Record>>,
    line: Vec<u8>,
    upload: Upload,
}

/// What a session wakes up for.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum Input {
    Line,
    News(Result<Record, RecvError>),
    End,
}

impl Session {
    pub(super) fn new(
        stream: UnixStream,
        caller: Caller,
        service: Arc<dyn Serve>,
        chronicle: Chronicle,
    ) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = BufReader::new(reader);
        let (line, upload) = (Vec::new(), Upload::default());
        Self { reader, writer, caller, service, chronicle, news: None, line, upload }
    }

    /// Serves the client until it goes, asks for too much, or takes nothing any more.
    pub(super) async fn run(mut self) {
        let hello = hello(self.service.as_ref(), &self.caller);
        if send(&mut self.writer, &Message::<()>::Hello { hello }).await.is_err() {
            return;
        }
        loop {
            let went_well = match self.next().await {
                Input::Line => self.on_line().await,
                Input::News(news) => self.on_news(news).await,
                Input::End => return,
            };
            if went_well.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> Input {
        let room = (MAX_REQUEST + 1 - self.line.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        let listens = self.news.is_some();
        tokio::select! {
            read = bounded.read_until(b'\n', &mut self.line) => match read {
                Ok(read) if read > 0 => Input::Line,
                _ => Input::End,
            },
            news = heard(&mut self.news) => Input::News(news),
            () = tokio::time::sleep(IDLE_LIMIT), if !listens => Input::End,
        }
    }

    async fn on_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let request = match parse(&line) {
            Ok(request) => request,
            Err((id, error)) => {
                send(&mut self.writer, &Message::<()>::Refusal { id, error }).await?;
                // What follows a line without an end cannot be told from it.
                let whole = line.ends_with(b"\n");
                return if whole { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
        };
        let id = request.id;
        let caller = self.caller.clone();
        match self.answer(caller, request.call).await {
            Ok(result) => {
                let line = format!("{{\"id\":{id},\"result\":{result}}}\n");
                write(&mut self.writer, line.as_bytes()).await
            }
            Err(error) => {
                send(&mut self.writer, &Message::<()>::Refusal { id: Some(id), error }).await
            }
        }
    }

    async fn answer(&mut self, caller: Caller, call: Call) -> Result<String, Problem> {
        match call {
            Call::FromPartner { author, call } if call.is_open_to_partner() => {
                let caller = caller.speaks_for(author);
                Box::pin(self.answer(caller, *call)).await
            }
            Call::FromPartner { author, .. } => Err(not_for_partner(&author)),
            Call::Events { after, follow: false } => text(&self.chronicle.events(after)),
            Call::Events { after, follow: true } => {
                let (events, news) = self.chronicle.subscribe(after);
                self.news = Some(news);
                text(&events)
            }
            Call::Upload { at, text: piece } => text(&self.upload.add(at, &piece)?),
            Call::ReviewConfig { draft: Draft::Upload } => {
                let call = Call::ReviewConfig { draft: self.upload.draft()? };
                self.service.serve(&caller, call, &self.chronicle).await
            }
            Call::ApplyConfig(mut wanted) if wanted.draft == Draft::Upload => {
                wanted.draft = self.upload.draft()?;
                let call = Call::ApplyConfig(wanted);
                self.service.serve(&caller, call, &self.chronicle).await
            }
            call => self.service.serve(&caller, call, &self.chronicle).await,
        }
    }

    async fn on_news(&mut self, news: Result<Record, RecvError>) -> io::Result<()> {
        match news {
            Ok(event) => send(&mut self.writer, &Message::<()>::Event { event }).await,
            Err(RecvError::Lagged(lost)) => {
                send(&mut self.writer, &Message::<()>::Lost { lost }).await
            }
            Err(RecvError::Closed) => {
                self.news = None;
                Ok(())
            }
        }
    }
}

/// The JSON text of a result.
pub(in crate::runtime) fn text(result: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(result).map_err(|error| {
        Problem::new(ProblemCode::System, error.to_string(), "this is a defect: report it")
    })
}

/// Tells a client why it cannot be served, and lets it go.
pub(in crate::runtime) async fn turn_away(stream: UnixStream, error: Problem) {
    let (_reader, mut writer) = stream.into_split();
    let _ = send(&mut writer, &Message::<()>::Refusal { id: None, error }).await;
}

pub(in crate::runtime) fn busy() -> Problem {
    let most = super::server::MAX_CLIENTS;
    Problem::new(
        ProblemCode::Busy,
        format!("{most} clients are connected already"),
        "end some of them, or try again",
    )
}

pub(super) fn not_allowed(user: &str) -> Problem {
    Problem::new(
        ProblemCode::NotAllowed,
        format!("{user} may not use this socket"),
        "be root, the daemon's user, or a member of its control group",
    )
}

fn not_for_partner(author: &str) -> Problem {
    Problem::new(
        ProblemCode::NotAllowed,
        format!("{author} may not ask that from the other node"),
        "ask it on this node",
    )
}

fn hello(service: &dyn Serve, caller: &Caller) -> Hello {
    Hello::new(service.daemon(), super::node_name(), std::process::id(), caller.user.clone())
}

/// The next event, for a client that listens.
async fn heard(news: &mut Option<broadcast::Receiver<Record>>) -> Result<Record, RecvError> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// What a line asks, or which request cannot be answered and why.
fn parse(line: &[u8]) -> Result<Request, (Option<u64>, Problem)> {
    if line.len() > MAX_REQUEST {
        return Err((None, bad_request("the line is longer than 64 KiB")));
    }
    let value: serde_json::Value = serde_json::from_slice(line)
        .map_err(|error| (None, bad_request(&format!("the line is no JSON: {error}"))))?;
    let id = value.get("id").and_then(serde_json::Value::as_u64);
    if id.is_none() {
        return Err((None, bad_request("the line has no `id`, a number")));
    }
    serde_json::from_value(value).map_err(|error| {
        let mend = "see docs/control-protocol.md for the calls of this version";
        (id, Problem::new(ProblemCode::UnknownCall, error.to_string(), mend))
    })
}

fn bad_request(message: &str) -> Problem {
    Problem::new(ProblemCode::BadRequest, message, "send {\"id\":1,\"call\":...} on one line")
}

async fn send(writer: &mut OwnedWriteHalf, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    write(writer, &line).await
}

/// A client that does not read is cut off: it holds memory here.
async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    tokio::time::timeout(WRITE_LIMIT, writer.write_all(bytes)).await?
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::control::protocol::{Daemon, Events};
    use crate::control::{Event, Timestamp};

    struct Nothing;

    #[async_trait]
    impl Serve for Nothing {
        fn daemon(&self) -> Daemon {
            Daemon::Lvs
        }

        async fn serve(&self, _: &Caller, _: Call, _: &Chronicle) -> Result<String, Problem> {
            Err(busy())
        }
    }

    async fn hear(reader: &mut BufReader<UnixStream>) -> Message<Events> {
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_told_what_it_lost_and_holds_nobody_up() {
        const HAPPENED: u64 = 5000;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let chronicle = Chronicle::new();
        let caller = Caller { user: "root".to_owned(), is_owner: true, is_partner: false };
        let session = Session::new(theirs, caller, Arc::new(Nothing), chronicle.clone());
        tokio::spawn(session.run());
        let mut reader = BufReader::new(ours);
        hear(&mut reader).await;
        let follow = b"{\"id\":1,\"call\":{\"events\":{\"follow\":true}}}\n";
        reader.get_mut().write_all(follow).await.unwrap();
        assert!(matches!(hear(&mut reader).await, Message::Answer { id: 1, .. }));
        for number in 0..HAPPENED {
            chronicle.add(Timestamp(number), Event::Warning { text: "x".repeat(200) });
            // The session gets its turn, and fills what buffers there are.
            tokio::task::yield_now().await;
        }
        let (mut heard, mut lost) = (0, 0);
        while heard + lost < HAPPENED {
            match hear(&mut reader).await {
                Message::Event { .. } => heard += 1,
                Message::Lost { lost: more } => lost += more,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard + lost, HAPPENED);
        assert!(lost > 0, "it was not slow enough to lose anything");
    }

    #[test]
    fn a_request_without_a_number_is_no_request_and_an_unknown_call_keeps_its_number() {
        let code = |line: &str| parse(line.as_bytes()).map_err(|(id, error)| (id, error.code));
        let bad = Err((None, ProblemCode::BadRequest));
        assert_eq!(code(r#"{"call":"reload"}"#), bad);
        assert_eq!(code(r#"{"id":-1,"call":"reload"}"#), bad);
        assert_eq!(code(""), bad);
        assert_eq!(code(&"[".repeat(1000)), bad);
        let unknown = Err((Some(4), ProblemCode::UnknownCall));
        assert_eq!(code(r#"{"id":4,"call":"explode"}"#), unknown);
        assert_eq!(code(r#"{"id":4}"#), unknown);
        assert_eq!(code(r#"{"id":4,"call":"reload"}"#), Ok(Request { id: 4, call: Call::Reload }));
    }
}

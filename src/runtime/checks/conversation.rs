use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::network::{Budget, close_at_once};
use super::tls::Tls;
use super::{Expiries, Transcript};
use crate::control::Timestamp;
use crate::health::{Excerpt, Failure, Stage};

/// A TCP connection, perhaps with TLS on it, on which a check sends and reads within its time and
/// within bounds. Closing it leaves nothing behind, see [`close_at_once`].
pub(in crate::runtime) struct Conversation {
    stream: Box<dyn Duplex>,
    goal: Goal,
    budget: Budget,
    transcript: Option<Transcript>,
    /// What was read and not yet taken.
    pending: Vec<u8>,
    /// All that was ever read, in bytes.
    received: usize,
}

/// Where a conversation goes.
pub(in crate::runtime) struct Goal {
    /// The address that is spoken to.
    pub(in crate::runtime) server: SocketAddr,
    /// The real server that this is about: the same, or one that the address leads to.
    pub(in crate::runtime) about: SocketAddr,
    /// Where it is noted when the certificate of the server ends.
    pub(in crate::runtime) expiries: Expiries,
}

/// A stream that TLS was agreed on for.
pub(in crate::runtime) struct Secured {
    pub(in crate::runtime) stream: Box<dyn Duplex>,
    /// What came of it, in a few words.
    pub(in crate::runtime) summary: String,
    /// When the certificate ends.
    pub(in crate::runtime) expires: Option<Timestamp>,
}

/// TCP, or TLS on it.
pub(in crate::runtime) trait Duplex:
    AsyncRead + AsyncWrite + Send + Unpin
{
    fn tcp(&self) -> &TcpStream;
    fn into_tcp(self: Box<Self>) -> Option<TcpStream>;
}

impl Duplex for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn into_tcp(self: Box<Self>) -> Option<TcpStream> {
        Some(*self)
    }
}

impl Conversation {
    /// The most bytes of one line, or of one answer that is read whole.
    pub(in crate::runtime) const LIMIT: usize = 8192;
    /// The most that is read on one connection.
    pub(in crate::runtime) const TOTAL: usize = 2 << 20;
    /// How much is read at once.
    const PIECE: usize = 4096;

    pub(in crate::runtime) fn new(
        stream: TcpStream,
        goal: Goal,
        budget: Budget,
        transcript: Option<Transcript>,
    ) -> Self {
        let stream = Box::new(stream);
        Self { stream, goal, budget, transcript, pending: Vec::new(), received: 0 }
    }

    /// Where it goes.
    pub(in crate::runtime) const fn server(&self) -> SocketAddr {
        self.goal.server
    }

    /// Goes on over TLS.
    ///
    /// What came in clear behind the server's consent would be taken for a part of the encrypted
    /// dialogue, the classic injection, so there must be nothing.
    pub(in crate::runtime) async fn start_tls(mut self, tls: &Tls) -> Result<Self, Failure> {
        if !self.pending.is_empty() {
            let got = Excerpt::new(&self.pending);
            return Err(Failure::Tls(format!("{got} came in clear behind the consent to TLS")));
        }
        self.note("starting TLS");
        let Some(stream) = self.stream.into_tcp() else {
            return Err(Failure::Tls("TLS was on already".to_owned()));
        };
        let secured = tls.handshake(stream, self.goal.server, &self.budget).await?;
        self.stream = secured.stream;
        if let Some(transcript) = &self.transcript {
            transcript.note(secured.summary);
        }
        if let Some(at) = secured.expires {
            self.goal.expiries.note(self.goal.about, at);
        }
        Ok(self)
    }

    /// Sends all of `bytes`.
    pub(in crate::runtime) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.send_shown_as(bytes, bytes).await
    }

    /// Sends all of `bytes`, of which a transcript shows `shown`.
    pub(in crate::runtime) async fn send_shown_as(
        &mut self,
        bytes: &[u8],
        shown: &[u8],
    ) -> Result<(), Failure> {
        if let Some(transcript) = &self.transcript {
            transcript.sent(shown);
        }
        let stream = &mut self.stream;
        let send = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        self.budget.spend(Stage::Send, send).await
    }

    /// Adds what comes next to what was read before; 0 bytes at the end of the connection.
    pub(in crate::runtime) async fn read_more(&mut self) -> Result<usize, Failure> {
        let stage = if self.received == 0 { Stage::Answer } else { Stage::Rest };
        if self.received > Self::TOTAL {
            return Err(Failure::AnswerTooLarge { limit: Self::TOTAL });
        }
        let mut piece = [0; Self::PIECE];
        let read = self.budget.spend(stage, self.stream.read(&mut piece)).await?;
        self.received += read;
        self.pending.extend_from_slice(&piece[..read]);
        if let Some(transcript) = &self.transcript {
            match read {
                0 => transcript.note("the server closed the connection"),
                _ => transcript.received(&piece[..read]),
            }
        }
        Ok(read)
    }

    /// What was read and not yet taken.
    pub(in crate::runtime) fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Takes all that was read.
    pub(in crate::runtime) fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// The next line without its end.
    pub(in crate::runtime) async fn read_line(&mut self) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        loop {
            let end = self.pending[searched..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end.map(|end| searched + end) {
                let mut line: Vec<u8> = self.pending.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            searched = self.pending.len();
            if searched > Self::LIMIT {
                return Err(Failure::AnswerTooLarge { limit: Self::LIMIT });
            }
            self.read_on().await?;
        }
    }

    /// The next `length` bytes; at most [`LIMIT`](Self::LIMIT).
    pub(in crate::runtime) async fn read_exactly(
        &mut self,
        length: usize,
    ) -> Result<Vec<u8>, Failure> {
        if length > Self::LIMIT {
            return Err(Failure::AnswerTooLarge { limit: Self::LIMIT });
        }
        while self.pending.len() < length {
            self.read_on().await?;
        }
        Ok(self.pending.drain(..length).collect())
    }

    /// Reads on where the answer is not complete.
    async fn read_on(&mut self) -> Result<(), Failure> {
        match self.read_more().await? {
            0 => Err(Failure::Closed { received: self.received }),
            _ => Ok(()),
        }
    }

    /// How much was read so far.
    pub(in crate::runtime) const fn received(&self) -> usize {
        self.received
    }

    pub(in crate::runtime) fn note(&self, text: &str) {
        if let Some(transcript) = &self.transcript {
            transcript.note(text);
        }
    }

    /// Takes leave with `farewell`, whose answer nobody waits for.
    ///
    /// The connection ends in the ordinary way: a reset would overtake the farewell, which is
    /// there so that the server does not count the check among broken connections.
    pub(in crate::runtime) async fn leave(mut self, farewell: &[u8]) {
        // The verdict is passed; a server that does not listen any more changes nothing.
        let _ = self.send(farewell).await;
        let _ = self.budget.spend(Stage::Send, self.stream.shutdown()).await;
    }

    /// Leaves the connection to whoever speaks a protocol of frames on it. It will end with a
    /// reset.
    #[cfg(feature = "http2")]
    pub(in crate::runtime) fn into_parts(self) -> (Box<dyn Duplex>, Budget, Option<Transcript>) {
        close_at_once(self.stream.tcp());
        (self.stream, self.budget, self.transcript)
    }

    /// Ends with a reset.
    pub(in crate::runtime) fn close(self) {
        close_at_once(self.stream.tcp());
    }
}

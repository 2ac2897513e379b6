use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::network::Budget;
use super::{CheckError, Dialer, random};
use crate::health::{Check, DnsSpec, Excerpt, Failure};
use crate::net::Protocol;

/// Passes if a name server answers a question as it should.
pub(super) struct Dns {
    question: Query,
    expect: Option<String>,
    protocol: Protocol,
    dialer: Dialer,
}

impl Dns {
    pub(super) fn new(
        spec: &DnsSpec,
        protocol: Protocol,
        dialer: Dialer,
    ) -> Result<Self, CheckError> {
        let mut name = Name::from_ascii(&spec.name)
            .map_err(|error| CheckError::Dns(format!("bad name {:?}: {error}", spec.name)))?;
        name.set_fqdn(true);
        let record =
            RecordType::from_str(&spec.record.to_ascii_uppercase()).map_err(|_unknown| {
                CheckError::Dns(format!("there is no type of record {:?}", spec.record))
            })?;
        let question = Query::query(name, record);
        Ok(Self { question, expect: spec.expect.clone(), protocol, dialer })
    }

    fn request(&self, id: u16) -> Result<Vec<u8>, Failure> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.question.clone());
        message.to_vec().map_err(|error| Failure::Inconclusive(error.to_string()))
    }

    /// Over TCP each message is behind its length (RFC 1035, 4.2.2).
    async fn over_tcp(
        &self,
        target: SocketAddr,
        request: &[u8],
        budget: Budget,
    ) -> Result<Vec<u8>, Failure> {
        let mut line = self.dialer.converse(target, budget).await?;
        let length = u16::try_from(request.len()).unwrap_or_default().to_be_bytes();
        line.send(&[&length, request].concat()).await?;
        let length = line.read_exactly(2).await?;
        let answer = line.read_exactly(usize::from(u16::from_be_bytes([length[0], length[1]])));
        let answer = answer.await?;
        line.close();
        Ok(answer)
    }

    /// The message, if it answers the question of this number.
    fn accept(&self, id: u16, answer: &[u8]) -> Result<Message, Failure> {
        let Ok(message) = Message::from_vec(answer) else {
            return Err(self.unexpected("an answer in DNS", answer));
        };
        let ours = message.metadata.id == id
            && message.metadata.message_type == MessageType::Response
            && message.queries.first().is_none_or(|question| same(question, &self.question));
        match ours {
            true => Ok(message),
            false => Err(self.unexpected("an answer to this question", answer)),
        }
    }

    fn judge(&self, message: &Message) -> Result<(), Failure> {
        let code = message.metadata.response_code;
        if code != ResponseCode::NoError {
            return Err(self.unexpected("an answer without an error", code.to_str().as_bytes()));
        }
        let Some(wanted) = &self.expect else {
            return Ok(());
        };
        let got: Vec<_> = message.answers.iter().map(|record| record.data.to_string()).collect();
        match got.iter().any(|got| plain(got) == plain(wanted)) {
            true => Ok(()),
            false => Err(self.unexpected(wanted, got.join(", ").as_bytes())),
        }
    }

    fn unexpected(&self, wanted: &str, got: &[u8]) -> Failure {
        Failure::Unexpected {
            step: format!("for {}", self.question),
            wanted: wanted.to_owned(),
            got: Excerpt::new(got),
        }
    }
}

/// Names compare without regard to case, also of the question that comes back.
fn same(got: &Query, asked: &Query) -> bool {
    got.name() == asked.name() && got.query_type() == asked.query_type()
}

/// Data of a record as it is compared: without case, quotes, and the dot at the end of a name.
fn plain(text: &str) -> String {
    text.trim_matches('"').trim_end_matches('.').to_ascii_lowercase()
}

#[async_trait]
impl Check for Dns {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        let id = u16::from_be_bytes(random::bytes()?);
        let request = self.request(id)?;
        let accept = |answer: &[u8]| self.accept(id, answer);
        let answer = match self.protocol {
            Protocol::Udp => {
                self.dialer.exchange_until(target, (&request, &request), &budget, accept).await?
            }
            Protocol::Tcp | Protocol::Sctp => {
                accept(&self.over_tcp(target, &request, budget).await?)?
            }
        };
        self.judge(&answer)
    }
}

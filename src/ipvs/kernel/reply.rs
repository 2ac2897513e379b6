//! What the kernel answers.

use super::abi::{command, top};
use super::attribute::{Attribute, Attributes};
use super::request::Request;
use super::{Daemon, DestinationStatus, Info, ServiceStatus, Timeouts};

/// One item of an answer.
#[allow(clippy::exhaustive_enums, reason = "what the interface can answer with")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// To [`Request::GetService`] and [`Request::ListServices`].
    Service(Box<ServiceStatus>),
    /// To [`Request::ListDestinations`].
    Destination(Box<DestinationStatus>),
    /// To [`Request::ListDaemons`].
    Daemon(Daemon),
    /// To [`Request::GetTimeouts`].
    Timeouts(Timeouts),
    /// To [`Request::GetInfo`].
    Info(Info),
}

impl Reply {
    /// Reads the message `number` (a command of the interface) with these attributes, which came
    /// in answer to `request`.
    ///
    /// # Errors
    /// [`Undecodable`].
    pub fn decode(
        request: &Request,
        number: u8,
        attributes: Attributes<'_>,
    ) -> Result<Self, Undecodable> {
        match number {
            command::NEW_SERVICE => {
                let status = ServiceStatus::decode(nest(attributes, top::SERVICE)?)?;
                Ok(Self::Service(Box::new(status)))
            }
            command::NEW_DEST => {
                let family = request.family().ok_or(UNASKED)?;
                let status = DestinationStatus::decode(nest(attributes, top::DEST)?, family)?;
                Ok(Self::Destination(Box::new(status)))
            }
            command::NEW_DAEMON => {
                let daemon = Daemon::decode(nest(attributes, top::DAEMON)?)?;
                Ok(Self::Daemon(daemon))
            }
            command::SET_CONFIG => Ok(Self::Timeouts(Timeouts::decode(attributes)?)),
            command::SET_INFO => Ok(Self::Info(Info::decode(attributes)?)),
            _ => Err(UNASKED.into()),
        }
    }
}

const UNASKED: Malformed = Malformed("an answer to something else");

fn nest(attributes: Attributes<'_>, kind: u16) -> Result<Attributes<'_>, Malformed> {
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind() == kind {
            return Ok(attribute.nested());
        }
    }
    Err(Malformed("a message without what it is about"))
}

/// An attribute this crate does not know, kept as it came.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownAttribute {
    /// Its number within the service, destination or daemon.
    pub kind: u16,
    /// Its value.
    pub value: Box<[u8]>,
}

impl UnknownAttribute {
    pub(super) fn new(attribute: &Attribute<'_>) -> Self {
        Self { kind: attribute.kind(), value: attribute.value().into() }
    }
}

/// Why an item of an answer cannot be had.
#[allow(clippy::exhaustive_enums, reason = "either its bytes or its meaning")]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Undecodable {
    /// Its bytes are not what the interface says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is something the model does not have, made by another program.
    #[error(transparent)]
    Inexpressible(#[from] Inexpressible),
}

/// Bytes that are not what the interface says: what is wrong with them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed answer: {0}")]
pub struct Malformed(pub(super) &'static str);

/// An entry the model has no name for, such as a service of IP protocol 47: what is odd about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an entry that cannot be named: {0}")]
pub struct Inexpressible(pub(super) &'static str);

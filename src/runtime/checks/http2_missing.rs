//! What stands for HTTP/2 in a build without it: no request can be made.

use super::CheckError;
use super::conversation::Conversation;
use crate::health::{Failure, HttpSpec};

/// Never there.
pub(super) enum Request {}

/// Never there.
pub(super) enum Answer {}

impl Request {
    pub(super) fn new(_: &HttpSpec, _: Option<&str>) -> Result<Self, CheckError> {
        Err(CheckError::NotBuilt("http2"))
    }

    #[expect(clippy::unused_async, reason = "it stands for one that waits")]
    pub(super) async fn ask(
        &self,
        _: Conversation,
        _: usize,
        _: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Answer, Failure> {
        match *self {}
    }
}

impl Answer {
    pub(super) fn body(&self) -> &[u8] {
        match *self {}
    }

    pub(super) fn field(&self, _: &str) -> Option<&[u8]> {
        match *self {}
    }
}

//! What stands for TLS in a build without it: it cannot be made.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::CheckError;
use super::conversation::Duplex;
use super::network::Budget;
use crate::health::{Failure, TlsSpec};

/// Never there.
pub(super) enum Tls {}

impl Tls {
    pub(super) const fn new(_: &TlsSpec, _: Option<&str>) -> Result<Self, CheckError> {
        Err(CheckError::NotBuilt("tls"))
    }

    pub(super) fn over_http2(self) -> Self {
        match self {}
    }

    pub(super) async fn handshake(
        &self,
        _: TcpStream,
        _: SocketAddr,
        _: &Budget,
    ) -> Result<(Box<dyn Duplex>, String), Failure> {
        match *self {}
    }
}

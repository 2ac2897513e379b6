//! What stands for TLS in a build without it: it cannot be made.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::CheckError;
use super::conversation::Secured;
use super::network::Budget;
use crate::health::{Failure, TlsSpec};

/// Never there.
pub(in crate::runtime) enum Tls {}

impl Tls {
    pub(in crate::runtime) const fn new(_: &TlsSpec, _: Option<&str>) -> Result<Self, CheckError> {
        Err(CheckError::NotBuilt("tls"))
    }

    pub(in crate::runtime) fn over_http2(self) -> Self {
        match self {}
    }

    pub(in crate::runtime) async fn handshake(
        &self,
        _: TcpStream,
        _: SocketAddr,
        _: &Budget,
    ) -> Result<Secured, Failure> {
        match *self {}
    }
}

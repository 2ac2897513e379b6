use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::network::Budget;
use super::tls::Tls;
use super::{CheckError, Dialer};
use crate::health::{Check, Failure, TlsSpec};

/// Passes if a TLS handshake succeeds.
pub(super) struct Handshake {
    tls: Tls,
    dialer: Dialer,
}

impl Handshake {
    pub(super) fn new(spec: &TlsSpec, dialer: Dialer) -> Result<Self, CheckError> {
        Ok(Self { tls: Tls::new(spec, None)?, dialer })
    }
}

#[async_trait]
impl Check for Handshake {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let line = self.dialer.converse(target, Budget::new(limit)).await?;
        line.start_tls(&self.tls).await?.close();
        Ok(())
    }
}

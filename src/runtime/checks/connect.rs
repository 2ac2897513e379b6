use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::Dialer;
use super::network::{Budget, close_at_once};
use crate::health::{Check, Failure};

/// Passes if a TCP connection can be made. The connection is reset at once.
pub(super) struct Connect(pub(super) Dialer);

#[async_trait]
impl Check for Connect {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let stream = self.0.connect(target, &Budget::new(limit)).await?;
        close_at_once(&stream);
        Ok(())
    }
}

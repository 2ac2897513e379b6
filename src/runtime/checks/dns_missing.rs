//! What stands for DNS in a build without it: it cannot be made.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{CheckError, Dialer};
use crate::health::{Check, DnsSpec, Failure};
use crate::net::Protocol;

/// Never there.
pub(super) enum Dns {}

impl Dns {
    pub(super) fn new(_: &DnsSpec, _: Protocol, _: Dialer) -> Result<Self, CheckError> {
        Err(CheckError::NotBuilt("dns"))
    }
}

#[async_trait]
impl Check for Dns {
    async fn probe(&self, _: SocketAddr, _: Duration) -> Result<(), Failure> {
        match *self {}
    }
}

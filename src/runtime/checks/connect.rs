use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::network::{Budget, close_at_once};
use super::{CheckError, Dialer};
use crate::health::{Check, Failure};
use crate::net::Protocol;

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

/// Passes if an SCTP association can be made (RFC 9260, section 5.1). It is aborted at once.
pub(super) struct Associate(Dialer);

impl Associate {
    /// Refused where the kernel has no SCTP: no server could pass.
    pub(super) fn new(dialer: Dialer) -> Result<Self, CheckError> {
        if Dialer::has_sctp() { Ok(Self(dialer)) } else { Err(CheckError::NoSctp) }
    }
}

#[async_trait]
impl Check for Associate {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let association = self.0.connect_over(Protocol::Sctp, target, &Budget::new(limit)).await?;
        close_at_once(&association);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::CheckSpec;
    use crate::runtime::checks::build;

    #[test]
    fn where_the_kernel_has_no_sctp_its_check_is_refused_and_says_so() {
        let built = build(&CheckSpec::Connect, Protocol::Sctp).err();
        assert_eq!(built, (!Dialer::has_sctp()).then_some(CheckError::NoSctp));
        assert!(build(&CheckSpec::Ping, Protocol::Sctp).is_ok(), "its servers can be checked");
    }
}

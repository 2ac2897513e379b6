//! Checks that speak the protocol of an application.

mod dialogue;
mod ldap;
mod mysql;
mod postgresql;
mod redis;
mod sip;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::conversation::Conversation;
use super::network::Budget;
use super::secret::{self, Login};
use super::tls::Tls;
use super::{CheckError, Dialer};
use crate::health::{
    Application as Kind, ApplicationSpec, Check, Excerpt, Failure, Security as Wanted,
};
use crate::net::Protocol;

/// Passes if the application answers.
pub(super) struct Application {
    kind: Kind,
    security: Security,
    login: Option<Login>,
    protocol: Protocol,
    dialer: Dialer,
}

enum Security {
    Clear,
    Tls(Tls),
    StartTls(Tls),
}

impl Application {
    pub(super) fn new(
        spec: &ApplicationSpec,
        protocol: Protocol,
        dialer: Dialer,
    ) -> Result<Self, CheckError> {
        let kind = spec.application;
        let security = match &spec.security {
            Wanted::Clear => Security::Clear,
            Wanted::Tls(tls) => Security::Tls(Tls::new(tls, None)?),
            Wanted::StartTls(_) if !kind.has_starttls() => {
                return Err(CheckError::NoStartTls(kind.name()));
            }
            Wanted::StartTls(tls) => Security::StartTls(Tls::new(tls, None)?),
        };
        let udp = protocol == Protocol::Udp;
        if udp && (kind != Kind::Sip || !matches!(security, Security::Clear)) {
            return Err(CheckError::ApplicationOverUdp(kind.name()));
        }
        if spec.auth.is_some() && !kind.has_login() {
            return Err(CheckError::NoLogin(kind.name()));
        }
        let login = spec.auth.as_deref().map(secret::read_login).transpose()?;
        Ok(Self { kind, security, login, protocol, dialer })
    }

    async fn speak(&self, line: Conversation) -> Result<(), Failure> {
        match self.kind {
            Kind::Redis => redis::speak(line, self.login.as_ref()).await,
            Kind::Mysql => mysql::speak(line).await,
            Kind::Postgresql => postgresql::speak(line, self.security.starttls()).await,
            Kind::Ldap => ldap::speak(line, self.login.as_ref()).await,
            Kind::Sip => sip::speak(line).await,
            Kind::Smtp | Kind::Pop3 | Kind::Imap | Kind::Ftp | Kind::Nntp => {
                dialogue::speak(self.kind, line, self.security.starttls()).await
            }
        }
    }
}

impl Security {
    const fn starttls(&self) -> Option<&Tls> {
        match self {
            Self::StartTls(tls) => Some(tls),
            Self::Clear | Self::Tls(_) => None,
        }
    }
}

#[async_trait]
impl Check for Application {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        if self.protocol == Protocol::Udp {
            return sip::exchange(&self.dialer, target, &budget).await;
        }
        let mut line = self.dialer.converse(target, budget).await?;
        if let Security::Tls(tls) = &self.security {
            line = line.start_tls(tls).await?;
        }
        self.speak(line).await
    }
}

/// The failure of a step that was answered otherwise.
fn unexpected(step: &str, wanted: &str, got: &[u8]) -> Failure {
    let (step, wanted) = (step.to_owned(), wanted.to_owned());
    Failure::Unexpected { step, wanted, got: Excerpt::new(got) }
}

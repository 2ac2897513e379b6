//! Checks that speak the protocol of an application.

mod dialogue;
mod ldap;
mod mysql;
mod postgresql;
mod redis;
mod scram;
mod sip;

use std::net::SocketAddr;
use std::path::Path;
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

/// The longest name of a user of a database.
const NAME: usize = 128;

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
        let login = spec.auth.as_deref().map(|path| read_login(kind, path)).transpose()?;
        Ok(Self { kind, security, login, protocol, dialer })
    }

    const fn access(&self) -> Access<'_> {
        Access {
            starttls: self.security.starttls(),
            login: self.login.as_ref(),
            is_secure: !matches!(self.security, Security::Clear),
        }
    }

    async fn speak(&self, line: Conversation) -> Result<(), Failure> {
        match self.kind {
            Kind::Redis => redis::speak(line, self.login.as_ref()).await,
            Kind::Mysql => mysql::speak(line, self.access()).await,
            Kind::Postgresql => postgresql::speak(line, self.access()).await,
            Kind::Ldap => ldap::speak(line, self.access()).await,
            Kind::Sip => sip::speak(line).await,
            Kind::Smtp | Kind::Pop3 | Kind::Imap | Kind::Ftp | Kind::Nntp => {
                dialogue::speak(self.kind, line, self.security.starttls()).await
            }
        }
    }
}

/// What a database or directory needs to know to let the check in.
struct Access<'a> {
    starttls: Option<&'a Tls>,
    login: Option<&'a Login>,
    /// Whether nobody can listen.
    is_secure: bool,
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

/// A login in databases has a name, and none that does not fit into a packet.
fn read_login(kind: Kind, path: &Path) -> Result<Login, CheckError> {
    let login = secret::read_login(path)?;
    let named = !login.user.is_empty() && login.user.len() <= NAME;
    if matches!(kind, Kind::Mysql | Kind::Postgresql) && !named {
        let reason = format!("it must have `user:password`, a user of at most {NAME} bytes");
        return Err(CheckError::File { path: path.to_owned(), reason });
    }
    Ok(login)
}

/// The failure of a step that was answered otherwise.
fn unexpected(step: &str, wanted: &str, got: &[u8]) -> Failure {
    let (step, wanted) = (step.to_owned(), wanted.to_owned());
    Failure::Unexpected { step, wanted, got: Excerpt::new(got) }
}

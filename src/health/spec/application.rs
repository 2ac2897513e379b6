use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TlsSpec;

/// A check that speaks the protocol of an application as far as it takes to know that it answers.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ApplicationSpec {
    /// Which protocol.
    pub application: Application,
    /// Whether it is spoken over TLS.
    pub security: Security,
    /// The file with the `user:password` to log in with, where the protocol's check can: Redis,
    /// MySQL, PostgreSQL, and LDAP, whose user is a distinguished name. Nobody but its owner may
    /// read it.
    pub auth: Option<PathBuf>,
}

impl ApplicationSpec {
    /// A check of this application, in clear and without a login.
    #[must_use]
    pub const fn new(application: Application) -> Self {
        Self { application, security: Security::Clear, auth: None }
    }

    /// Over TLS, or not.
    #[must_use]
    pub fn with_security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// With the login in this file.
    #[must_use]
    pub fn with_auth(mut self, auth: Option<PathBuf>) -> Self {
        self.auth = auth;
        self
    }
}

/// A protocol of applications, and what passes its check.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// SMTP (RFC 5321): greeting 220 and `EHLO`.
    Smtp,
    /// POP3 (RFC 1939): greeting `+OK`.
    Pop3,
    /// IMAP (RFC 9051): greeting `* OK` or `* PREAUTH`, and `NOOP`.
    Imap,
    /// FTP (RFC 959): greeting 220.
    Ftp,
    /// NNTP (RFC 3977): greeting 200 or 201, and `DATE`.
    Nntp,
    /// Redis: `PING`, behind `AUTH` where there is a login.
    Redis,
    /// MySQL and MariaDB: the login must succeed (`mysql_native_password`, or
    /// `caching_sha2_password`, whose full form needs TLS). Without one the handshake is answered
    /// by a user `piranha` without a password: being let in or turned away passes, being full,
    /// blocked or shutting down does not.
    Mysql,
    /// PostgreSQL: the login to the database `postgres` must succeed (SCRAM-SHA-256, MD5, over TLS
    /// the password itself). Without one, the start-up of a user `piranha`: being asked for a
    /// password or turned away passes, starting up, being full or shutting down does not.
    Postgresql,
    /// LDAP (RFC 4511): a simple bind, anonymous where there is no login.
    Ldap,
    /// SIP (RFC 3261, 11): `OPTIONS` answered with a status from 200 to 499, over UDP or TCP as
    /// the service is.
    Sip,
}

impl Application {
    /// All of them by the name that lvs.cf has for them.
    pub const ALL: [(&'static str, Self); 10] = [
        ("smtp", Self::Smtp),
        ("pop3", Self::Pop3),
        ("imap", Self::Imap),
        ("ftp", Self::Ftp),
        ("nntp", Self::Nntp),
        ("redis", Self::Redis),
        ("mysql", Self::Mysql),
        ("postgresql", Self::Postgresql),
        ("ldap", Self::Ldap),
        ("sip", Self::Sip),
    ];

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, application)| application)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
            Self::Imap => "imap",
            Self::Ftp => "ftp",
            Self::Nntp => "nntp",
            Self::Redis => "redis",
            Self::Mysql => "mysql",
            Self::Postgresql => "postgresql",
            Self::Ldap => "ldap",
            Self::Sip => "sip",
        }
    }

    /// Whether it can go over to TLS in the middle of the dialogue.
    #[must_use]
    pub const fn has_starttls(self) -> bool {
        matches!(
            self,
            Self::Smtp
                | Self::Pop3
                | Self::Imap
                | Self::Ftp
                | Self::Nntp
                | Self::Mysql
                | Self::Postgresql
                | Self::Ldap
        )
    }

    /// Whether its check can log in.
    #[must_use]
    pub const fn has_login(self) -> bool {
        matches!(self, Self::Redis | Self::Ldap | Self::Mysql | Self::Postgresql)
    }
}

/// Whether an application is spoken over TLS.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// In clear.
    #[default]
    Clear,
    /// TLS from the first byte on.
    Tls(TlsSpec),
    /// TLS as soon as the server has agreed; it must.
    StartTls(TlsSpec),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_application_is_found_by_its_name() {
        for (name, application) in Application::ALL {
            assert_eq!(application.name(), name);
            assert_eq!(Application::from_name(name), Some(application));
            assert_eq!(serde_json::to_string(&application).unwrap(), format!("\"{name}\""));
        }
        assert_eq!(Application::from_name("gopher"), None);
    }
}

//! Whom a director tells what happens on it, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where events go, and how. Nowhere by default.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notify {
    /// `notify_command`: programs that are told of the state in keepalived's arguments.
    pub commands: Vec<String>,
    /// `notify_event_command`: programs that are told of every event.
    pub event_commands: Vec<String>,
    /// `notify_fifo`: pipes that get keepalived's lines.
    pub fifos: Vec<PathBuf>,
    /// `notify_webhook`: addresses that events are posted to.
    pub webhooks: Vec<WebUrl>,
    /// `notify_auth`: the file with what a webhook wants to know who posts.
    pub auth: Option<PathBuf>,
    /// `notify_mail`: events by mail.
    pub mail: Option<Mail>,
    /// `notify_ca`: the file with certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// `notify_group`: how long a mail waits for further events, 10 s by default.
    pub group: Duration,
    /// `notify_limit`: mails in an hour, and posts of a webhook in a minute; 60 by default, 0 is
    /// no limit.
    pub limit: u32,
    /// `notify_name`: what keepalived would call the instance, `piranha` by default.
    pub name: String,
    /// `notify_user`: the user that programs run as; that of the daemon by default.
    pub user: Option<String>,
    /// `notify_timeout`: how long a program, or one try to reach a receiver, may take, 10 s by
    /// default.
    pub timeout: Duration,
    /// `notify_filter`: the topics that are told of, all but `info` by default.
    pub filter: BTreeSet<Topic>,
    /// `notify_repeat`: how often a problem that lasts is told of again; never by default.
    pub repeat: Option<Duration>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            event_commands: Vec::new(),
            fifos: Vec::new(),
            webhooks: Vec::new(),
            auth: None,
            mail: None,
            ca: None,
            group: Duration::from_secs(10),
            limit: 60,
            name: "piranha".to_owned(),
            user: None,
            timeout: Duration::from_secs(10),
            filter: Topic::DEFAULT.iter().copied().collect(),
            repeat: None,
        }
    }
}

impl Notify {
    /// Whether nothing of it was configured.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether events go anywhere.
    #[must_use]
    pub fn has_sinks(&self) -> bool {
        let local = self.commands.len() + self.event_commands.len() + self.fifos.len();
        local + self.webhooks.len() > 0 || self.mail.is_some()
    }
}

/// What an event is about, for `notify_filter`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// The state of this director.
    Failover,
    /// The health of real servers, and what follows from it for a service.
    Health,
    /// The configuration was read again.
    Config,
    /// What an operator should look at and is none of the above.
    Warning,
    /// Everything else.
    Info,
}

impl Topic {
    /// All of them, by the names they have in `notify_filter`.
    pub const NAMES: &[&str] = &["failover", "health", "config", "warning", "info"];

    /// Those that are told of by default.
    pub const DEFAULT: &[Self] = &[Self::Failover, Self::Health, Self::Config, Self::Warning];

    /// The topic of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "failover" => Self::Failover,
            "health" => Self::Health,
            "config" => Self::Config,
            "warning" => Self::Warning,
            "info" => Self::Info,
            _ => return None,
        })
    }

    /// Its name in `notify_filter`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Health => "health",
            Self::Config => "config",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// `notify_mail` and what goes with it.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mail {
    /// `notify_mail`: who gets it; nobody but those that services name, if it is empty.
    pub to: Vec<String>,
    /// `notify_from`: the sender.
    pub from: String,
    /// `notify_smtp`: who takes it from here.
    pub relay: Relay,
    /// `notify_smtp_tls`: how it is encrypted on the way there.
    pub security: MailSecurity,
    /// `notify_smtp_auth`: the file with the user and password for the relay.
    pub auth: Option<PathBuf>,
}

/// `notify_smtp_tls`
#[allow(clippy::exhaustive_enums, reason = "SMTP has these three")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// The relay must offer STARTTLS (RFC 3207), or nothing is sent.
    #[default]
    StartTls,
    /// TLS from the first byte on (RFC 8314).
    Tls,
    /// In clear, for a relay on this machine.
    Off,
}

/// A host and port, written `mail.example.org:587`; the port is 25 unless given.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Relay {
    type Err = String;

    /// Reads a name, an IPv4 address or an IPv6 address in brackets, perhaps with a port.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = host_and_port(text, 25)?;
        Ok(Self { host, port })
    }
}

/// The address of a webhook.
#[non_exhaustive]
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct WebUrl {
    /// Whether it is `https`.
    pub tls: bool,
    /// Its host, a name or an address.
    pub host: String,
    /// Its port; 80 or 443 unless given.
    pub port: u16,
    /// Path and query. In many of them is a secret.
    pub path: String,
}

impl WebUrl {
    /// The value of a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl FromStr for WebUrl {
    type Err = String;

    /// Reads `http://` or `https://`, a host, perhaps a port, and a path.
    ///
    /// # Errors
    /// What is wrong with it; never with what may be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("a webhook begins with https:// or http://".to_owned()),
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
            return Err("a URL is printable ASCII without blanks and `#`".to_owned());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a password does not belong in a URL: name a file with notify_auth".into());
        }
        let (host, port) = host_and_port(authority, if tls { 443 } else { 80 })?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { tls, host, port, path: format!("{slash}{path}") })
    }
}

impl fmt::Display for WebUrl {
    /// Without path and query, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/...")
    }
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let is_address = host.parse::<IpAddr>().is_ok();
    if host.is_empty() || !host.bytes().all(letter) || (host.contains(':') && !is_address) {
        return Err(format!("`{host}` is neither a host name nor an address"));
    }
    let port = match port {
        None => default,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("`{port}` is not a port")),
        },
    };
    Ok((host.to_owned(), port))
}

/// What is wrong with an address for mail: no `user@domain` of the characters that need no
/// quoting (RFC 5321, section 4.1.2).
pub(crate) fn mail_address(text: &str) -> Result<String, String> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(letter);
    match text.split_once('@') {
        Some((user, domain)) if part(user) && part(domain) && text.len() <= 254 => {
            Ok(text.to_owned())
        }
        _ => Err(format!("`{text}` is not an address for mail")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_shows_no_more_of_itself_than_its_host() {
        let url: WebUrl = "https://hooks.example.org/services/T0/s3cret?x=1".parse().unwrap();
        assert_eq!((url.port, url.path.as_str()), (443, "/services/T0/s3cret?x=1"));
        let shown = format!("{url} {url:?}");
        assert!(shown.contains("https://hooks.example.org:443") && !shown.contains("s3cret"));
        let url: WebUrl = "http://[2001:db8::1]:8080".parse().unwrap();
        assert_eq!((url.authority().as_str(), url.path.as_str()), ("[2001:db8::1]:8080", "/"));
    }

    #[test]
    fn what_could_break_a_request_or_a_dialogue_is_refused() {
        for bad in
            ["ftp://a/", "http://", "http://a b/", "http://u:p@a/", "http://a:0/", "http://a/#"]
        {
            assert!(bad.parse::<WebUrl>().is_err(), "{bad}");
        }
        for bad in ["", "a:b", "::1", "a\r\nb", "mail:99999"] {
            assert!(bad.parse::<Relay>().is_err(), "{bad}");
        }
        for bad in ["", "ann", "@b", "a@", "a@b>", "a b@c", "a@b\r\nRCPT TO:<x@y>"] {
            assert!(mail_address(bad).is_err(), "{bad}");
        }
        let relay: Relay = "mail.example.org".parse().unwrap();
        assert_eq!((relay.host.as_str(), relay.port), ("mail.example.org", 25));
    }
}

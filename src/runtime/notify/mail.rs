//! Mail, handed to a relay (RFC 5321) with STARTTLS (RFC 3207) and a login (RFC 4954).

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{Mail, MailSecurity, Notify, Relay};
use crate::control::notify::{Message, TimeOfDay};
use crate::health::{Excerpt, Failure, TlsSpec};
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::network::Budget;
use crate::runtime::checks::secret::{self, Login};
use crate::runtime::checks::tls::Tls;
use crate::runtime::checks::{Dialer, base64, random};

/// The most lines of one reply.
const LINES: usize = 100;

/// What a line of encoded text may have (RFC 2045, section 6.8).
const ENCODED_LINE: usize = 76;

/// The longest subject that is written.
const SUBJECT: usize = 160;

/// Who sends mail to whom, and by way of which relay.
#[derive(Clone, Debug)]
pub(super) struct Mailer {
    mail: Mail,
    to: Vec<String>,
    tls: TlsSpec,
    limit: Duration,
    node: String,
    cluster: String,
}

impl Mailer {
    pub(super) fn new(mail: &Mail, to: &[String], notify: &Notify, node: &str) -> Self {
        Self {
            mail: mail.clone(),
            to: to.to_vec(),
            tls: TlsSpec { ca: notify.ca.clone(), ..TlsSpec::default() },
            limit: notify.timeout,
            node: node.to_owned(),
            cluster: notify.name.clone(),
        }
    }

    /// Hands `message` over to the relay.
    ///
    /// # Errors
    /// Why the relay did not take it, in words.
    pub(super) async fn send(&self, message: &Message) -> Result<(), String> {
        let Relay { host, port } = &self.mail.relay;
        let login = self.mail.auth.as_deref().map(secret::read_login).transpose();
        let login = login.map_err(|error| error.to_string())?;
        let text = self.letter(message)?;
        let mut last = Err(format!("{host} has no address"));
        for address in super::resolve(host, *port, self.limit).await? {
            last = self.deliver(address, login.as_ref(), &text).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn deliver(
        &self,
        relay: SocketAddr,
        login: Option<&Login>,
        text: &str,
    ) -> Result<(), String> {
        let tls = match self.mail.security {
            MailSecurity::Off => None,
            _ => Some(Tls::new(&self.tls, Some(&self.mail.relay.host)).map_err(|e| e.to_string())?),
        };
        let line = Dialer::default().converse(relay, Budget::new(self.limit)).await;
        let line = line.map_err(|failure| failure.to_string())?;
        self.speak(line, tls.as_ref(), login, text).await.map_err(|failure| failure.to_string())
    }

    async fn speak(
        &self,
        mut line: Conversation,
        tls: Option<&Tls>,
        login: Option<&Login>,
        text: &str,
    ) -> Result<(), Failure> {
        if let (Some(tls), MailSecurity::Tls) = (tls, self.mail.security) {
            line = line.start_tls(tls).await?;
        }
        reply(&mut line, "as a greeting", "220").await?;
        let mut offers = self.hello(&mut line).await?;
        if let (Some(tls), MailSecurity::StartTls) = (tls, self.mail.security) {
            ask(&mut line, "STARTTLS", "STARTTLS", "220").await?;
            line = line.start_tls(tls).await?;
            offers = self.hello(&mut line).await?;
        }
        if let Some(login) = login {
            log_in(&mut line, login, &offers).await?;
        }
        ask(&mut line, &format!("MAIL FROM:<{}>", self.mail.from), "MAIL", "250").await?;
        for to in &self.to {
            ask(&mut line, &format!("RCPT TO:<{to}>"), "RCPT", "25").await?;
        }
        ask(&mut line, "DATA", "DATA", "354").await?;
        // Encoded text and our own headers have no line that begins with a full stop.
        ask(&mut line, &format!("{text}\r\n."), "the text", "250").await?;
        line.leave(b"QUIT\r\n").await;
        Ok(())
    }

    async fn hello(&self, line: &mut Conversation) -> Result<Vec<String>, Failure> {
        let name = ascii(&self.node).replace(' ', "-");
        ask(line, &format!("EHLO {name}"), "EHLO", "250").await
    }

    /// Headers and encoded text.
    fn letter(&self, message: &Message) -> Result<String, String> {
        let id: [u8; 16] = random::bytes().map_err(|failure| failure.to_string())?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let (node, cluster) = (ascii(&self.node), ascii(&self.cluster));
        let subject: String = ascii(&message.summary()).chars().take(SUBJECT).collect();
        let date = TimeOfDay::of(super::wall_clock()).rfc_5322();
        let domain = self.mail.from.rsplit('@').next().unwrap_or_default();
        let (from, to) = (&self.mail.from, self.to.join(",\r\n "));
        let heading = format!("Cluster {cluster}, node {}:\n\n", self.node);
        let text = (heading + &message.text()).replace('\n', "\r\n");
        Ok(format!(
            "From: {from}\r\nTo: {to}\r\nSubject: [{cluster}] {node}: {subject}\r\n\
             Date: {date}\r\nMessage-ID: <{id}@{domain}>\r\nAuto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}",
            encoded(text.as_bytes())
        ))
    }
}

/// Base64 in lines.
fn encoded(text: &[u8]) -> String {
    let whole = base64::encode(text);
    let lines = whole.as_bytes().chunks(ENCODED_LINE).map(String::from_utf8_lossy);
    lines.collect::<Vec<_>>().join("\r\n")
}

/// What may stand in a header as it is.
fn ascii(text: &str) -> String {
    let plain = |letter: char| matches!(letter, ' '..='~');
    text.chars().map(|letter| if plain(letter) { letter } else { '?' }).collect()
}

async fn log_in(line: &mut Conversation, login: &Login, offers: &[String]) -> Result<(), Failure> {
    let Login { user, password } = login;
    let methods = offers.iter().find_map(|offer| offer.strip_prefix("AUTH "));
    let has = |name: &str| methods.is_some_and(|methods| methods.split(' ').any(|m| m == name));
    if has("LOGIN") && !has("PLAIN") {
        ask(line, "AUTH LOGIN", "AUTH", "334").await?;
        ask_secretly(line, &base64::encode(user.as_bytes()), "334").await?;
        return ask_secretly(line, &base64::encode(password.as_bytes()), "235").await;
    }
    let plain = base64::encode(format!("\0{user}\0{password}").as_bytes());
    ask_secretly(line, &format!("AUTH PLAIN {plain}"), "235").await
}

async fn ask_secretly(line: &mut Conversation, text: &str, wanted: &str) -> Result<(), Failure> {
    line.send_shown_as(format!("{text}\r\n").as_bytes(), b"(secret)\r\n").await?;
    reply(line, "after AUTH", wanted).await.map(drop)
}

/// Sends a command; the lines of its reply, each without its code.
async fn ask(
    line: &mut Conversation,
    command: &str,
    name: &str,
    wanted: &str,
) -> Result<Vec<String>, Failure> {
    line.send(format!("{command}\r\n").as_bytes()).await?;
    reply(line, &format!("after {name}"), wanted).await
}

async fn reply(line: &mut Conversation, step: &str, wanted: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    while lines.len() < LINES {
        let got = line.read_line().await?;
        if !got.starts_with(wanted.as_bytes()) {
            let (step, wanted) = (step.to_owned(), wanted.to_owned());
            return Err(Failure::Unexpected { step, wanted, got: Excerpt::new(&got) });
        }
        let text = got.get(4..).unwrap_or_default();
        lines.push(String::from_utf8_lossy(text).to_ascii_uppercase());
        if got.get(3) != Some(&b'-') {
            return Ok(lines);
        }
    }
    Err(Failure::AnswerTooLarge { limit: LINES * Conversation::LIMIT })
}

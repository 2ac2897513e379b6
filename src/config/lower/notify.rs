//! Commands that follow the state of the node, and where events go.

use std::path::PathBuf;

use super::fields::{Field, Fields};
use super::{Code, Context, Diagnostic, Directive, Span};
use crate::config::model::{Mail, MailSecurity, Notify, Topic, WebUrl};
use crate::config::value::Value;

/// Directives whose value is run.
const COMMANDS: [Directive; 4] = [
    Directive::ActiveCmd,
    Directive::InactiveCmd,
    Directive::NotifyCommand,
    Directive::NotifyEventCommand,
];

/// Directives that mean nothing where nobody is told of events.
const MANNERS: [Directive; 3] =
    [Directive::NotifyName, Directive::NotifyFilter, Directive::NotifyRepeat];

/// Directives that mean nothing where nobody gets mail.
const MAIL_MANNERS: [Directive; 5] = [
    Directive::NotifyFrom,
    Directive::NotifySmtp,
    Directive::NotifySmtpTls,
    Directive::NotifySmtpAuth,
    Directive::NotifyGroup,
];

impl Context<'_> {
    pub(super) fn notify(&mut self, fields: &Fields) -> Notify {
        for directive in COMMANDS {
            self.commands(fields, directive);
        }
        let notify = Notify { mail: self.mail(fields), ..plain(fields) };
        if !notify.has_sinks() {
            self.say_ignored(fields, &MANNERS, "nobody is told of events");
        }
        if notify.webhooks.is_empty() {
            self.say_ignored(fields, &[Directive::NotifyAuth], "there is no `notify_webhook`");
        } else if notify.auth.is_some() && notify.webhooks.iter().any(|url| !url.tls) {
            self.in_clear(fields, Directive::NotifyAuth, "a webhook without https");
        }
        notify
    }

    /// There may be mail about single services only.
    fn mail(&mut self, fields: &Fields) -> Option<Mail> {
        let to = mails(fields);
        let from = match fields.special(Directive::NotifyFrom) {
            Some(Value::Mails(from)) => from.first().cloned(),
            _ => None,
        };
        let relay = match fields.special(Directive::NotifySmtp) {
            Some(Value::Relay(relay)) => Some(relay.clone()),
            _ => None,
        };
        let (Some(from), Some(relay)) = (from, relay) else {
            if fields.mentions(Directive::NotifyMail) {
                self.incomplete_mail(fields.span(Directive::NotifyMail).unwrap_or_default());
            } else {
                self.say_ignored(fields, &MAIL_MANNERS, "nobody gets mail");
            }
            return None;
        };
        let security = match fields.choice(Directive::NotifySmtpTls) {
            Some("tls") => MailSecurity::Tls,
            Some("off") => MailSecurity::Off,
            _ => MailSecurity::StartTls,
        };
        let auth = fields.text(Directive::NotifySmtpAuth).map(PathBuf::from);
        if security == MailSecurity::Off && auth.is_some() {
            self.in_clear(fields, Directive::NotifySmtpAuth, "the mail relay");
        }
        Some(Mail { to, from, relay, security, auth })
    }

    /// Says that mail about a service, or any, cannot be sent.
    pub(super) fn incomplete_mail(&mut self, span: Span) {
        let message = "mail needs `notify_smtp` and `notify_from`";
        self.report(
            Diagnostic::new(Code::MailIncomplete, span, message)
                .help("name the relay and the sender, outside of any block"),
        );
    }

    fn in_clear(&mut self, fields: &Fields, directive: Directive, receiver: &str) {
        let message = format!("what is in this file goes to {receiver} in clear");
        self.report_at(fields, directive, Code::SecretInClear, message);
    }

    fn commands(&mut self, fields: &Fields, directive: Directive) {
        for field in fields.all(directive) {
            if let Some(Value::Text(command)) = &field.value {
                self.check_command(command, field.values);
            }
        }
    }

    /// Warns of what a shell would do and nobody here does.
    pub(super) fn check_command(&mut self, command: &str, span: Span) {
        let Some(character) = shell_character(command) else {
            return;
        };
        let message = format!("`{character}` means nothing here: no shell runs this command");
        self.report(
            Diagnostic::new(Code::ShellCharacters, span, message)
                .help("put what needs a shell into a script, and name the script"),
        );
    }

    fn say_ignored(&mut self, fields: &Fields, directives: &[Directive], reason: &str) {
        for &directive in directives {
            if fields.mentions(directive) {
                let message = format!("`{directive}` has no effect: {reason}");
                self.report_at(fields, directive, Code::NotifyIgnored, message);
            }
        }
    }
}

/// What only a shell gives a meaning.
fn shell_character(command: &str) -> Option<char> {
    let anywhere = |letter: &char| "|&;<>()$`\"'*?[]{}\\".contains(*letter);
    let home = || command.split_ascii_whitespace().any(|word| word.starts_with('~'));
    command.chars().find(anywhere).or_else(|| home().then_some('~'))
}

/// The directives that are taken over as they are.
fn plain(fields: &Fields) -> Notify {
    let defaults = Notify::default();
    let filter = match fields.special(Directive::NotifyFilter) {
        Some(Value::Words(names)) => names.iter().filter_map(|n| Topic::by_name(n)).collect(),
        _ => defaults.filter,
    };
    Notify {
        commands: texts(fields, Directive::NotifyCommand),
        event_commands: texts(fields, Directive::NotifyEventCommand),
        fifos: texts(fields, Directive::NotifyFifo).into_iter().map(PathBuf::from).collect(),
        webhooks: fields.all(Directive::NotifyWebhook).filter_map(web_url).collect(),
        auth: fields.text(Directive::NotifyAuth).map(PathBuf::from),
        mail: None,
        ca: fields.text(Directive::NotifyCa).map(PathBuf::from),
        group: fields.duration(Directive::NotifyGroup).unwrap_or(defaults.group),
        limit: fields.count(Directive::NotifyLimit).unwrap_or(defaults.limit),
        name: fields.text(Directive::NotifyName).unwrap_or(defaults.name),
        user: fields.text(Directive::NotifyUser),
        timeout: fields.duration(Directive::NotifyTimeout).unwrap_or(defaults.timeout),
        filter,
        repeat: fields.duration_or_none(Directive::NotifyRepeat),
    }
}

fn web_url(field: &Field) -> Option<WebUrl> {
    match &field.value {
        Some(Value::WebUrl(url)) => Some(url.clone()),
        _ => None,
    }
}

/// `notify_mail`, in any scope.
pub(super) fn mails(fields: &Fields) -> Vec<String> {
    match fields.special(Directive::NotifyMail) {
        Some(Value::Mails(mails)) => mails.clone(),
        _ => Vec::new(),
    }
}

/// The values of a directive that may stand several times.
fn texts(fields: &Fields, directive: Directive) -> Vec<String> {
    let texts = fields.all(directive).filter_map(|field| match &field.value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    });
    texts.filter(|text| !text.trim().is_empty()).collect()
}

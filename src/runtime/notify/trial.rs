use crate::config::Config;
use crate::control::Event;
use crate::control::notify::{Message, Notice};
use crate::control::protocol::NotifiedReceiver;

use super::command::Manner;
use super::delivery::Receiver;
use super::engine::node;
use super::fifo::Fifo;
use super::mail::Mailer;
use super::setup::Setup;
use super::webhook::Webhook;

/// What came of telling one receiver.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trial {
    /// The directive that names it.
    pub directive: &'static str,
    /// The receiver: a command, a path, a host, addresses.
    pub receiver: String,
    /// What was done, or why it failed.
    pub result: Result<&'static str, String>,
}

impl From<Trial> for NotifiedReceiver {
    fn from(trial: Trial) -> Self {
        let Trial { directive, receiver, result } = trial;
        Self::new(directive.to_owned(), receiver, result.map(str::to_owned))
    }
}

/// Tells everybody whom `config` names that this is a test; with `only` those of one directive,
/// such as `notify_mail`.
///
/// A program that acts on the state of the node is not run, since it would believe what it is
/// told, and no line goes into a pipe: it is only opened.
pub async fn test(config: &Config, only: Option<&str>) -> Vec<Trial> {
    try_all(&Setup::of(config), only).await
}

/// The same, by what is in force.
pub(super) async fn try_all(setup: &Setup, only: Option<&str>) -> Vec<Trial> {
    let node = node();
    let text = format!("this is a test of the notifications of {node}");
    let notice = Notice::new(super::wall_clock(), Event::Warning { text });
    let mut trials = Vec::new();
    let is_wanted = |directive: &str| only.is_none_or(|only| only == directive);
    for command in setup.notify.commands.iter().filter(|_| is_wanted("notify_command")) {
        trials.push(Trial {
            directive: "notify_command",
            receiver: command.clone(),
            result: Ok("not run: it would act on a state"),
        });
    }
    for path in setup.notify.fifos.iter().filter(|_| is_wanted("notify_fifo")) {
        let opened = Fifo::open(path, setup.notify.user.as_deref());
        trials.push(Trial {
            directive: "notify_fifo",
            receiver: path.display().to_string(),
            result: opened.map(|_| "can be opened"),
        });
    }
    if is_wanted("notify_event_command") {
        trials.extend(run_commands(setup, &notice, &node).await);
    }
    let receivers = receivers(setup, &node);
    for (directive, shown, receiver) in receivers.into_iter().filter(|(d, ..)| is_wanted(d)) {
        let message = Message { notices: vec![notice.clone()], left_out: 0 };
        let told = receiver.deliver(&message, &node, &setup.notify.name).await;
        trials.push(Trial { directive, receiver: shown, result: told.map(|()| "told") });
    }
    trials
}

async fn run_commands(setup: &Setup, notice: &Notice, node: &str) -> Vec<Trial> {
    let manner = Manner::new(&setup.notify);
    let report = serde_json::to_string(&notice.report(node, &setup.notify.name));
    let report = report.unwrap_or_default();
    let mut trials = Vec::new();
    for command in &setup.notify.event_commands {
        let ended = manner.run(command, &[], &report).await;
        trials.push(Trial {
            directive: "notify_event_command",
            receiver: command.clone(),
            result: ended.map(|_| "told"),
        });
    }
    trials
}

fn receivers(setup: &Setup, node: &str) -> Vec<(&'static str, String, Receiver)> {
    let notify = &setup.notify;
    let webhooks = notify.webhooks.iter().map(|url| {
        let webhook = Receiver::Webhook(Webhook::new(url, notify));
        ("notify_webhook", url.to_string(), webhook)
    });
    let mails = notify.mail.iter().flat_map(|mail| {
        setup.mail_groups().into_iter().map(move |to| {
            let mailer = Receiver::Mail(Box::new(Mailer::new(mail, to, notify, node)));
            ("notify_mail", to.join(", "), mailer)
        })
    });
    webhooks.chain(mails).collect()
}

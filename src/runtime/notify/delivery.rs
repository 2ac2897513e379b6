//! Receivers that may be away: what goes to them waits in an [`Outlet`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Told;
use super::mail::Mailer;
use super::webhook::Webhook;
use crate::config::Notify;
use crate::control::notify::{Message, Outlet, Pace};
use crate::runtime::clock;

/// Notices that may wait while a message is on its way.
const QUEUE: usize = 1024;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Somebody who gets messages.
pub(super) enum Receiver {
    Webhook(Webhook),
    Mail(Box<Mailer>),
}

impl Receiver {
    /// Tells the receiver in `tasks` what comes over the channel; what waits at its end is tried
    /// once more.
    pub(super) fn start(
        self,
        notify: &Notify,
        node: &str,
        tasks: &mut JoinSet<()>,
    ) -> mpsc::Sender<Arc<Told>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let outlet = Outlet::new(self.pace(notify));
        let work = Delivery {
            receiver: self,
            outlet,
            node: node.to_owned(),
            cluster: notify.name.clone(),
        };
        tasks.spawn(work.run(receiver));
        sender
    }

    /// Machines get events at once, and those that come while a post is under way together.
    const fn pace(&self, notify: &Notify) -> Pace {
        match self {
            Self::Webhook(_) => Pace::new(Duration::ZERO, notify.limit, MINUTE),
            Self::Mail(_) => Pace::new(notify.group, notify.limit, HOUR),
        }
    }

    /// What the log calls it.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Webhook(webhook) => format!("notify_webhook {}", webhook.url),
            Self::Mail(_) => "notify_mail".to_owned(),
        }
    }

    /// # Errors
    /// Why it was not taken, in words.
    pub(super) async fn deliver(
        &self,
        message: &Message,
        node: &str,
        cluster: &str,
    ) -> Result<(), String> {
        match self {
            Self::Webhook(webhook) => webhook.post(&body(message, node, cluster)).await,
            Self::Mail(mailer) => mailer.send(message).await,
        }
    }
}

struct Delivery {
    receiver: Receiver,
    outlet: Outlet,
    node: String,
    cluster: String,
}

impl Delivery {
    async fn run(mut self, mut notices: mpsc::Receiver<Arc<Told>>) {
        loop {
            self.deliver_due().await;
            tokio::select! {
                told = notices.recv() => match told {
                    Some(told) => {
                        self.outlet.handle_notice(clock::now(), told.notice.clone());
                    }
                    None => break,
                },
                () = clock::sleep_until_or_forever(self.outlet.poll_timeout()) => {}
            }
        }
        self.outlet.flush(clock::now());
        self.deliver_due().await;
    }

    async fn deliver_due(&mut self) {
        let Some(message) = self.outlet.poll_output(clock::now()) else {
            return;
        };
        let Self { receiver, node, cluster, .. } = self;
        let delivered = receiver.deliver(&message, node, cluster).await;
        if let Err(reason) = &delivered {
            tracing::warn!("notify: {}: {reason}", receiver.label());
        }
        self.outlet.handle_result(clock::now(), delivered.is_ok());
    }
}

/// `text` is what chat services show.
fn body(message: &Message, node: &str, cluster: &str) -> String {
    let events: Vec<_> = message.notices.iter().map(|n| n.report(node, cluster)).collect();
    let text = format!("[{cluster}] {node}: {}", message.summary());
    serde_json::json!({ "text": text, "events": events, "left_out": message.left_out }).to_string()
}

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::command::Manner;
use super::delivery::Receiver;
use super::fifo::Fifo;
use super::mail::Mailer;
use super::setup::Setup;
use super::trial::{Trial, try_all};
use super::turns::{Follower, Side, Sides};
use super::webhook::Webhook;
use super::{Order, Told};
use crate::control::Event;
use crate::control::notify::keepalived::{Instance, server_line, service_line};
use crate::control::notify::{Ledger, Notice, service, topic};
use crate::failover::{Role, State};
use crate::health::Health;
use crate::runtime::{clock, configuration};

/// Events that may wait for one program or receiver.
const SINK_QUEUE: usize = 256;

/// What can be waited for.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum Input {
    Order(Option<Order>),
    Due,
}

/// Decides who is told what, and has it told. Dropping it lets programs that run end.
pub(super) struct Engine {
    /// Where lvs.cf is, for one that reads it by itself.
    path: Option<PathBuf>,
    node: String,
    setup: Setup,
    role: Role,
    instance: Option<Instance>,
    ledger: Ledger,
    sides: Sides,
    sinks: Sinks,
    tasks: JoinSet<()>,
    dropped: Arc<AtomicU64>,
}

/// Those who are told.
#[derive(Default)]
struct Sinks {
    followers: Vec<Follower>,
    /// Who gets every event: programs and webhooks.
    events: Vec<mpsc::Sender<Arc<Told>>>,
    /// By who gets the mail.
    mails: BTreeMap<Vec<String>, mpsc::Sender<Arc<Told>>>,
    fifos: Vec<Fifo>,
}

impl Engine {
    pub(super) fn new(path: Option<PathBuf>, dropped: Arc<AtomicU64>) -> Self {
        let setup = Setup::default();
        let mut tasks = JoinSet::new();
        let manner = Manner::new(&setup.notify);
        let sides = Sides::start(setup.hooks.clone(), manner, &mut tasks);
        Self {
            path,
            node: node(),
            setup,
            role: Role::Primary,
            instance: None,
            ledger: Ledger::default(),
            sides,
            sinks: Sinks::default(),
            tasks,
            dropped,
        }
    }

    /// Runs until the orders end, and then to the end of what is under way.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut done = None;
        loop {
            match self.next_input(&mut orders).await {
                Input::Order(Some(Order::Notice(notice))) => self.on_notice(&notice),
                Input::Order(Some(Order::Configure(setup))) => self.configure(*setup),
                Input::Order(Some(Order::Role(role))) => self.role = role,
                Input::Order(Some(Order::Reload)) => self.reload(),
                Input::Order(Some(Order::Lost)) => self.on_lost(),
                Input::Order(Some(Order::Test(only, answer))) => self.test(only, answer),
                Input::Order(Some(Order::End(report))) => {
                    done = report;
                    break;
                }
                Input::Order(Some(Order::Farewell) | None) => break,
                Input::Due => self.on_due(),
            }
            super::tell_of_dropped(&self.dropped);
        }
        self.finish().await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn next_input(&self, orders: &mut mpsc::Receiver<Order>) -> Input {
        tokio::select! {
            biased;
            order = orders.recv() => Input::Order(order),
            () = clock::sleep_until_or_forever(self.ledger.poll_timeout()) => Input::Due,
        }
    }

    /// Has a test told beside whatever else is.
    fn test(&mut self, only: Option<String>, answer: oneshot::Sender<Vec<Trial>>) {
        let setup = self.setup.clone();
        self.tasks.spawn(async move {
            let _gone = answer.send(try_all(&setup, only.as_deref()).await);
        });
    }

    /// Reads lvs.cf; one that cannot be used changes nothing, and whoever runs it says so.
    fn reload(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        match configuration::read(path) {
            Ok(accepted) => self.configure(Setup::of(&accepted.config)),
            Err(error) => tracing::debug!("notify: {error}"),
        }
    }

    /// Goes on with another setup.
    pub(super) fn configure(&mut self, setup: Setup) {
        let now = clock::now();
        self.ledger.set_repeat(now, setup.notify.repeat);
        self.ledger.retain(|problem| setup.knows(problem));
        let manner = Manner::new(&setup.notify);
        self.sides.configure(setup.hooks.clone(), manner.clone());
        let mails = setup.mail_groups() != self.setup.mail_groups();
        if mails || setup.notify != self.setup.notify {
            // The old ones end by themselves once they have told what they were given.
            self.sinks = Sinks::start(&setup, &manner, &self.node, &mut self.tasks);
        }
        self.setup = setup;
        while self.tasks.try_join_next().is_some() {}
    }

    fn on_notice(&mut self, notice: &Notice) {
        if !self.setup.is_wanted() {
            return self.remember(&notice.event);
        }
        if service(&notice.event).is_some_and(|service| !self.setup.is_told_of(service)) {
            return;
        }
        self.ledger.handle_notice(clock::now(), notice);
        let report = self.report(notice);
        match &notice.event {
            Event::Started { role, .. } => {
                self.role = *role;
                self.sides.begin(&report);
            }
            Event::Transition(transition) => self.on_state(transition.to, &report),
            _ => self.write_line(&notice.event),
        }
        self.tell(notice, &report);
    }

    /// What must be known should somebody want to be told later.
    fn remember(&mut self, event: &Event) {
        match event {
            Event::Started { role, .. } => self.role = *role,
            Event::Transition(transition) => {
                self.instance = Instance::of(transition.to).or(self.instance);
            }
            _ => {}
        }
    }

    /// The hooks turn before the addresses do, as in 0.8.6; everybody else is told afterwards.
    fn on_state(&mut self, state: State, report: &str) {
        match state {
            State::Acquiring => self.sides.turn(Side::Active, report),
            State::Releasing => self.sides.turn(Side::Inactive, report),
            _ => {}
        }
        if let Some(instance) = Instance::of(state) {
            self.on_instance(instance, report);
        }
    }

    fn on_instance(&mut self, instance: Instance, report: &str) {
        self.sides.turn(instance.into(), report);
        if self.instance.replace(instance) == Some(instance) {
            return;
        }
        let name = &self.setup.notify.name;
        let arguments = instance.arguments(name, self.role);
        self.sinks.followers.iter().for_each(|follower| follower.tell(&arguments, report));
        self.sinks.write(&instance.line(name, self.role));
    }

    /// What keepalived writes of servers and services.
    fn write_line(&mut self, event: &Event) {
        let line = match event {
            Event::Health { service, address, to: to @ (Health::Up | Health::Down), .. } => {
                let key = self.setup.key(service);
                key.map(|key| server_line(*address, key, *to == Health::Up))
            }
            Event::Quorum { service, is_met, .. } => {
                self.setup.key(service).map(|key| service_line(key, *is_met))
            }
            _ => None,
        };
        if let Some(line) = line {
            self.sinks.write(&line);
        }
    }

    fn tell(&self, notice: &Notice, report: &str) {
        if !self.setup.notify.filter.contains(&topic(&notice.event)) {
            return;
        }
        let told = Arc::new(Told { notice: notice.clone(), report: report.to_owned() });
        let mail = self.sinks.mails.get(self.setup.mail_for(service(&notice.event)));
        let sinks = self.sinks.events.iter().chain(mail);
        let full = sinks.filter(|sink| sink.try_send(Arc::clone(&told)).is_err()).count();
        self.dropped.fetch_add(full as u64, Ordering::Relaxed);
    }

    fn on_due(&mut self) {
        for notice in self.ledger.handle_timeout(clock::now()) {
            let report = self.report(&notice);
            self.tell(&notice, &report);
        }
    }

    /// Whoever held the addresses died: nobody else can tell.
    fn on_lost(&mut self) {
        let text = "pulse is gone without having stopped".to_owned();
        let notice = Notice::new(super::wall_clock(), Event::Warning { text });
        let report = self.report(&notice);
        self.on_instance(Instance::Fault, &report);
        self.tell(&notice, &report);
    }

    async fn finish(self) {
        let Self { sides, sinks, mut tasks, .. } = self;
        drop((sides, sinks));
        while tasks.join_next().await.is_some() {}
    }

    fn report(&self, notice: &Notice) -> String {
        let report = notice.report(&self.node, &self.setup.notify.name);
        serde_json::to_string(&report).unwrap_or_default()
    }
}

impl Sinks {
    fn start(setup: &Setup, manner: &Manner, node: &str, tasks: &mut JoinSet<()>) -> Self {
        let notify = &setup.notify;
        let followers = notify.commands.iter();
        let followers = followers.map(|command| Follower::start(command, manner, tasks)).collect();
        let events = notify.event_commands.iter();
        let mut events: Vec<_> =
            events.map(|command| event_command(command, manner, tasks)).collect();
        for url in &notify.webhooks {
            let webhook = Receiver::Webhook(Webhook::new(url, notify));
            events.push(webhook.start(notify, node, tasks));
        }
        let mut mails = BTreeMap::new();
        for (mail, to) in
            notify.mail.iter().flat_map(|m| setup.mail_groups().into_iter().map(move |to| (m, to)))
        {
            let mailer = Receiver::Mail(Box::new(Mailer::new(mail, to, notify, node)));
            mails.insert(to.to_vec(), mailer.start(notify, node, tasks));
        }
        let fifos = notify.fifos.iter().filter_map(|path| {
            let fifo = Fifo::open(path, notify.user.as_deref());
            fifo.inspect_err(|reason| tracing::warn!("notify: notify_fifo {reason}")).ok()
        });
        Self { followers, events, mails, fifos: fifos.collect() }
    }

    fn write(&mut self, line: &str) {
        for fifo in &mut self.fifos {
            if let Err(reason) = fifo.write(line) {
                tracing::debug!("notify: notify_fifo {reason}");
            }
        }
    }
}

/// A program that is run for each event, one after the other.
fn event_command(
    command: &str,
    manner: &Manner,
    tasks: &mut JoinSet<()>,
) -> mpsc::Sender<Arc<Told>> {
    let (sender, mut reports) = mpsc::channel::<Arc<Told>>(SINK_QUEUE);
    let (command, manner) = (command.to_owned(), manner.clone());
    tasks.spawn(async move {
        while let Some(told) = reports.recv().await {
            if let Err(reason) = manner.run(&command, &[], &told.report).await {
                tracing::warn!("notify: notify_event_command {command}: {reason}");
            }
        }
    });
    sender
}

/// What this machine is called.
pub(super) fn node() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

//! What operators do with servers: an order, what it does to the table, and what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::reload::SavedBy;
use super::watch::ServerKey;
use super::{Director, configuration};
use crate::config::{Directive, Document, RealServer, Virtual};
use crate::control::protocol::{Operated, OperatedServer, Operation, Problem, ProblemCode};
use crate::control::supervision::Report;
use crate::control::{Event, Override, TargetError, Word, find_servers};
use crate::health;
use crate::ipvs::ServiceKey;
use crate::runtime::control::{node_name, now};
use crate::runtime::off_thread::off_thread;

/// The longest reason that is remembered.
const MAX_REASON: usize = 1024;

/// A server that is meant.
#[derive(Clone)]
struct Target {
    service: String,
    server: String,
    key: ServerKey,
}

impl Target {
    fn of((v, server): (&Virtual, &RealServer)) -> Self {
        Self {
            service: v.name.clone(),
            server: server.name.clone(),
            key: ServerKey { service: v.key(), address: server.address },
        }
    }
}

/// What an operation is about.
struct Aim {
    /// What is said of which, by the names of service and server; no server for a whole service.
    names: Vec<(String, String)>,
    /// The servers that it concerns.
    targets: Vec<Target>,
}

impl Aim {
    fn at_servers(targets: Vec<Target>) -> Self {
        let names = targets.iter().map(|t| (t.service.clone(), t.server.clone())).collect();
        Self { names, targets }
    }

    fn at_service(targets: Vec<Target>) -> Self {
        let first = targets.first().map(|target| (target.service.clone(), String::new()));
        Self { names: first.into_iter().collect(), targets }
    }

    fn is_service(&self) -> bool {
        self.names.iter().any(|(_, server)| server.is_empty())
    }
}

impl Director {
    /// Tells every monitor what is wanted of its server.
    pub(super) fn tell_monitors(&self) {
        for (key, word) in self.words() {
            self.watch.set_override(key, word);
        }
    }

    /// What is wanted of each server of which something is said.
    fn words(&self) -> BTreeMap<ServerKey, health::Override> {
        let now = now();
        let keyed = |(v, server): (&Virtual, &RealServer)| ServerKey {
            service: v.key(),
            address: server.address,
        };
        let word = |(v, server): (&Virtual, &RealServer)| {
            self.overrides.for_monitor(&v.name, &server.name, now)
        };
        let servers = self.overrides.iter().flat_map(|said| said.servers(&self.config));
        let words = servers.map(|one| (keyed(one), word(one)));
        words.collect()
    }

    /// Reads what was said in an earlier life. What is remembered of the health of servers was so
    /// under what was said then.
    pub(super) async fn remember_overrides(&mut self) {
        let Some(store) = &self.store else { return };
        match store.read() {
            Ok(overrides) => self.overrides = overrides,
            Err(error) => {
                let text = format!("what operators said of servers is lost: {error}");
                self.tell(Event::Warning { text });
            }
        }
        // Nothing is watched yet that would have to be put back.
        let ended = self.overrides.expire(now());
        self.tell_ended(ended, "its time is over").await;
        self.forget_strangers().await;
        let words = self.words();
        self.watch.obey(&words);
    }

    /// Forgets what is said of servers that the configuration does not have any more.
    pub(super) async fn forget_strangers(&mut self) {
        let gone = self.overrides.forget_strangers(&self.config);
        self.tell_ended(gone, "lvs.cf has no such server any more").await;
    }

    /// Ends what has had its time, and disables what has been drained for long enough.
    pub(super) async fn expire_overrides(&mut self) {
        if self.overrides.is_empty() {
            return;
        }
        self.end_overrides().await;
        self.tell_monitors();
    }

    async fn end_overrides(&mut self) {
        let ended = self.overrides.expire(now());
        if ended.is_empty() {
            return;
        }
        self.put_back(&ended);
        self.tell_ended(ended, "its time is over").await;
    }

    /// Brings what is said of servers into force, or into lvs.cf.
    pub(super) async fn operate(
        &mut self,
        author: &str,
        operation: Operation,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Result<Operated, Problem> {
        check_reason(operation.reason.as_deref())?;
        let aim = self.aim_of(&operation)?;
        if aim.is_service() {
            check_of_service(&operation)?;
        } else if operation.word.keeps_out() && !operation.force {
            self.check_others_serve(&aim.targets)?;
        }
        if operation.save {
            save(self.path.clone(), &operation, &aim.targets).await?;
        }
        let before = self.overrides.clone();
        self.say(author, &operation, &aim);
        if let Err(error) = self.store().await {
            self.overrides = before;
            return Err(error);
        }
        self.tell_operated(author, &operation, &aim);
        if operation.save {
            let saved_by = Some((author.to_owned(), operation.reason.clone()));
            self.reload_saved(saved_by, reports).await?;
        } else if before.weigh() || self.overrides.weigh() {
            self.put_weights();
        }
        Ok(self.operated(&aim.targets))
    }

    /// Takes an operation down.
    fn say(&mut self, author: &str, operation: &Operation, aim: &Aim) {
        for (service, server) in &aim.names {
            // What is saved is said by lvs.cf from now on.
            let word = if operation.save { Word::Ready } else { operation.word };
            let said = Override::new(service, server, word, author, now()).on(node_name());
            let (reason, until) = (operation.reason.clone(), operation.until);
            self.overrides.set(Override { reason, until, ..said });
        }
    }

    /// Takes back what was said.
    pub(super) async fn clear(
        &mut self,
        author: &str,
        target: Option<&str>,
    ) -> Result<Operated, Problem> {
        let aim = match target {
            Some(target) => self.aim(target)?,
            None => self.overridden(),
        };
        let before = self.overrides.clone();
        let mut taken = Vec::new();
        for (service, server) in &aim.names {
            taken.extend(self.overrides.get(service, server).cloned());
            let end = Override::new(service, server, Word::Ready, author, now());
            self.overrides.set(end.on(node_name()));
        }
        if let Err(error) = self.store().await {
            self.overrides = before;
            return Err(error);
        }
        self.put_back(&taken);
        for said in taken {
            let reason = format!("{author} took it back");
            self.tell(Event::OverrideEnded { said, reason });
        }
        Ok(self.operated(&aim.targets))
    }

    /// What an operation is about. Of several targets each means its servers, whichever way they
    /// are named, and each server counts once.
    fn aim_of(&self, operation: &Operation) -> Result<Aim, Problem> {
        let first = self.aim(&operation.target)?;
        if operation.further.is_empty() {
            return Ok(first);
        }
        let mut aims = vec![first];
        for target in &operation.further {
            aims.push(self.aim(target)?);
        }
        let wholes: BTreeSet<_> =
            aims.iter().filter(|aim| aim.is_service()).flat_map(|aim| aim.names.clone()).collect();
        let mut seen = BTreeSet::new();
        let mut targets: Vec<_> = aims.into_iter().flat_map(|aim| aim.targets).collect();
        targets.retain(|target| seen.insert((target.key.service, target.key.address)));
        let mut aim = Aim::at_servers(targets);
        if operation.word == Word::Ready {
            // What is said of the service as one would go on keeping its servers out.
            aim.names.extend(wholes);
        }
        Ok(aim)
    }

    fn aim(&self, target: &str) -> Result<Aim, Problem> {
        let found = find_servers(&self.config, target).map_err(|error| no_such(&error))?;
        let targets = found.into_iter().map(Target::of).collect();
        let is_service = target.ends_with("/*");
        Ok(if is_service { Aim::at_service(targets) } else { Aim::at_servers(targets) })
    }

    /// Everything of which something is said.
    fn overridden(&self) -> Aim {
        let servers = self.overrides.iter().flat_map(|said| said.servers(&self.config));
        let names = self.overrides.iter().map(|said| (said.service.clone(), said.server.clone()));
        Aim { names: names.collect(), targets: servers.map(Target::of).collect() }
    }

    /// Refuses to keep out the servers that are all a service has. One that has none already
    /// loses nothing.
    fn check_others_serve(&self, targets: &[Target]) -> Result<(), Problem> {
        for target in targets {
            let key = target.key.service;
            let Some(entry) = self.desired.entry(key) else { continue };
            let sorry = self.desired.sorry_servers(key);
            let takes: BTreeSet<_> = entry
                .destinations()
                .filter(|server| !server.weight().is_quiesced())
                .map(|server| server.address())
                .filter(|address| !sorry.contains(address))
                .collect();
            let kept_out =
                |address| targets.iter().any(|t| t.key.service == key && t.key.address == address);
            let waits = self.someone_waits(key, &kept_out);
            if !takes.is_empty() && takes.iter().all(|&address| kept_out(address)) && !waits {
                return Err(last_server(target));
            }
        }
        Ok(())
    }

    /// Whether a backup would step in.
    fn someone_waits(&self, key: ServiceKey, kept_out: &impl Fn(SocketAddr) -> bool) -> bool {
        let Some(v) = self.config.active_virtuals().find(|v| v.key() == key) else { return false };
        let mut servers = v.active_servers().map(|server| server.address);
        servers.any(|address| !kept_out(address) && self.desired.stands_by(key, address))
    }

    /// Puts the monitors of servers of which nothing is said any more at ease.
    pub(super) fn put_back(&mut self, ended: &[Override]) {
        for said in ended {
            for (v, server) in said.servers(&self.config) {
                let key = ServerKey { service: v.key(), address: server.address };
                let wanted = self.overrides.for_monitor(&v.name, &server.name, now());
                self.watch.set_override(key, wanted);
            }
        }
        if ended.iter().any(|said| matches!(said.word, Word::Weight(_))) {
            self.put_weights();
        }
    }

    /// Brings the weights that operators want to the monitors, from where they get to the table.
    pub(super) fn put_weights(&mut self) {
        let config = self.overrides.in_force(&self.config);
        // Accepted when it was read; a weight is all that differs.
        let _accepted = self.watch.configure(&config, &self.ways);
        self.desired.configure(&config);
        self.configure_loads();
    }

    /// Remembers what is said now. The future has all it needs.
    pub(super) fn store(&self) -> impl Future<Output = Result<(), Problem>> + use<> {
        let remembered = self.store.clone().map(|store| (store, self.overrides.clone()));
        async {
            let Some((store, overrides)) = remembered else { return Ok(()) };
            let written = off_thread(move || store.write(&overrides)).await;
            written.map_err(|error| {
                let message = format!("it cannot be remembered, so it was not done: {error}");
                let mend = "make room, or mend the state directory";
                Problem::new(ProblemCode::System, message, mend)
            })
        }
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "a data plane is not Sync: a shared reference could not be kept over the waiting"
    )]
    async fn tell_ended(&mut self, ended: Vec<Override>, reason: &str) {
        if ended.is_empty() {
            return;
        }
        if let Err(error) = self.store().await {
            self.tell(Event::Warning { text: error.message });
        }
        for said in ended {
            self.tell(Event::OverrideEnded { said, reason: reason.to_owned() });
        }
    }

    /// Has the monitors of the servers do what is said, and the world know.
    fn tell_operated(&self, author: &str, operation: &Operation, aim: &Aim) {
        let now = now();
        for target in &aim.targets {
            let wanted = if operation.save {
                // Until lvs.cf says it.
                operation.word.for_monitor(now)
            } else {
                self.overrides.for_monitor(&target.service, &target.server, now)
            };
            self.watch.set_override(target.key, wanted);
        }
        for (service, server) in &aim.names {
            let said = Override::new(service, server, operation.word, author, now);
            let (reason, until) = (operation.reason.clone(), operation.until);
            self.tell(Event::Operated(Override { reason, until, ..said }));
        }
    }

    fn operated(&self, targets: &[Target]) -> Operated {
        let measured = self.table.backend().traffic();
        let connections = |key| measured.as_ref()?.servers.get(&key).map(|t| t.load.total());
        let server = |target: &Target| {
            let Target { service, server, key } = target.clone();
            OperatedServer::new(service, server, connections(key))
        };
        Operated::new(targets.iter().map(server).collect())
    }

    async fn reload_saved(
        &mut self,
        saved_by: SavedBy,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Result<(), Problem> {
        let reloaded = self.on_reload(None, saved_by, reports).await;
        reloaded.map(|_changes| ()).map_err(|error| {
            let message = format!("it is saved, and the file was refused: {error}");
            Problem::new(ProblemCode::Configuration, message, "mend the file and reload")
        })
    }
}

/// Refuses of a whole service what has a sense for servers alone.
fn check_of_service(operation: &Operation) -> Result<(), Problem> {
    let (message, mend) = match operation.word {
        Word::Weight(_) => ("a service has no weight", "weigh its servers"),
        _ if operation.save => {
            ("what is said of a service cannot be saved", "set `active` of its block in lvs.cf")
        }
        _ => return Ok(()),
    };
    Err(Problem::new(ProblemCode::State, message, mend))
}

/// Writes an operation into the lvs.cf at `path`.
fn save(
    path: PathBuf,
    operation: &Operation,
    targets: &[Target],
) -> impl Future<Output = Result<(), Problem>> + use<> {
    let names = |target: &Target| (target.service.clone(), target.server.clone());
    let (saved, targets) = (saved_as(operation), targets.iter().map(names).collect::<Vec<_>>());
    async {
        let (directive, value) = saved?;
        off_thread(move || edit(&path, &targets, directive, &value)).await
    }
}

/// What a word is in lvs.cf.
fn saved_as(operation: &Operation) -> Result<(Directive, String), Problem> {
    if operation.until.is_some() {
        let message = "what is saved into lvs.cf has no end";
        return Err(Problem::new(ProblemCode::State, message, "leave out the end, or the saving"));
    }
    match operation.word {
        Word::Weight(weight) => Ok((Directive::Weight, weight.to_string())),
        Word::Disable => Ok((Directive::Active, "0".to_owned())),
        Word::Ready | Word::Drain { .. } => Err(Problem::new(
            ProblemCode::State,
            format!("`{}` cannot be saved: lvs.cf has no word for it", operation.word),
            "save a weight (0 takes no new connections), or disable",
        )),
    }
}

fn edit(
    path: &Path,
    targets: &[(String, String)],
    directive: Directive,
    value: &str,
) -> Result<(), Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        let mend = "change the file by hand, a file it includes too, and reload";
        Problem::new(ProblemCode::Configuration, error.to_string(), mend)
    };
    let mut original = configuration::open(path).map_err(|error| failed(&error))?;
    let mut document = Document::parse(original.text());
    for (service, server) in targets {
        let set = document.set_server(service, server, directive, value);
        set.map_err(|error| failed(&error))?;
    }
    original.replace(document.as_bytes()).map_err(|error| failed(&error))
}

/// A reason is a line that people read, and goes to the partner in one request with others.
fn check_reason(reason: Option<&str>) -> Result<(), Problem> {
    if reason.is_none_or(|reason| reason.len() <= MAX_REASON) {
        return Ok(());
    }
    let message = format!("a reason has at most {MAX_REASON} bytes");
    Err(Problem::new(ProblemCode::BadRequest, message, "say it in fewer words"))
}

fn no_such(error: &TargetError) -> Problem {
    let mend = "see `piranha server list` for what there is";
    Problem::new(ProblemCode::NoSuchObject, error.to_string(), mend)
}

fn last_server(target: &Target) -> Problem {
    let Target { service, server, .. } = target;
    Problem::new(
        ProblemCode::LastServer,
        format!("{service}/{server} is the last server of {service} that takes connections"),
        "bring another one up first, or force it: then the sorry server answers, or nobody",
    )
}

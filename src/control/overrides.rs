//! What operators say of servers, apart from lvs.cf.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::config::{Config, RealServer, Virtual};
use crate::health;
use crate::net::Weight;

/// What an operator can want of a server, whatever its checks say; they go on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// What lvs.cf and the checks say: the end of any other word.
    Ready,
    /// No new connections; those it has go on.
    Drain {
        /// When it is disabled, whatever connections it still has; `None` for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// Out of the table.
    Disable,
    /// Another weight than in lvs.cf. 0 is like a drain without an end.
    Weight(Weight),
}

impl Word {
    /// Whether a server of which this is said takes no new connections.
    #[must_use]
    pub const fn keeps_out(self) -> bool {
        match self {
            Self::Ready => false,
            Self::Drain { .. } | Self::Disable => true,
            Self::Weight(weight) => weight.is_quiesced(),
        }
    }

    /// How much it keeps a server from.
    const fn strength(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Weight(_) => 1,
            Self::Drain { .. } => 2,
            Self::Disable => 3,
        }
    }

    /// What the monitor of the server is told at `now`.
    #[must_use]
    pub fn for_monitor(self, now: Timestamp) -> health::Override {
        match self {
            Self::Ready | Self::Weight(_) => health::Override::None,
            Self::Drain { deadline: Some(deadline) } if deadline <= now => {
                health::Override::Disabled
            }
            Self::Drain { .. } => health::Override::Drain,
            Self::Disable => health::Override::Disabled,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Drain { deadline: None } => f.write_str("drain"),
            Self::Drain { deadline: Some(deadline) } => write!(f, "drain, disabled at {deadline}"),
            Self::Disable => f.write_str("disable"),
            Self::Weight(weight) => write!(f, "weight {weight}"),
        }
    }
}

/// Which of several words on one server is the last one, on whichever node of the pair it was
/// said: the later one, and of two at the same moment that of the node whose name is greater.
///
/// A word that is said where another is known is stamped later than that, whatever the clocks say.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Stamp {
    /// When it was said, by the clock of its node or later.
    pub at: Timestamp,
    /// The node it was said on.
    pub node: String,
}

/// An operator's word on one server of one service.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Override {
    /// The virtual service's name in lvs.cf.
    pub service: String,
    /// The real server's name in lvs.cf; empty for all servers of the service, those to come
    /// included.
    pub server: String,
    /// What is wanted of it. Never [`Word::Ready`].
    pub word: Word,
    /// Who said so.
    pub author: String,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; `None` for never.
    pub until: Option<Timestamp>,
    /// What makes it the last one.
    #[serde(default)]
    pub stamp: Stamp,
}

impl Override {
    /// The word of `author` from `since` on, without a reason and without an end.
    pub fn new(
        service: impl Into<String>,
        server: impl Into<String>,
        word: Word,
        author: impl Into<String>,
        since: Timestamp,
    ) -> Self {
        let (service, server, author) = (service.into(), server.into(), author.into());
        let stamp = Stamp { at: since, node: String::new() };
        Self { service, server, word, author, reason: None, since, until: None, stamp }
    }

    /// The same, said on `node`.
    #[must_use]
    pub fn on(mut self, node: impl Into<String>) -> Self {
        self.stamp.node = node.into();
        self
    }

    /// The same, told on `node`: an author on another one is `author@node`.
    #[must_use]
    pub fn told_on(&self, node: &str) -> Self {
        let mut told = self.clone();
        let is_foreign = !self.stamp.node.is_empty() && self.stamp.node != node;
        if is_foreign && !self.author.contains('@') {
            told.author = format!("{}@{}", self.author, self.stamp.node);
        }
        told
    }

    /// Whether it is the end of another word.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.word == Word::Ready
    }

    /// Of two words on one server the greater one holds. An end has the stamp of what ended by
    /// itself and is greater than that. The rest only makes sure that no two words are equal.
    fn precedence(&self) -> impl Ord {
        (&self.stamp, self.is_end(), self)
    }

    /// What it is said of: `web/s1`, or `web` for a whole service.
    #[must_use]
    pub fn subject(&self) -> String {
        if self.server.is_empty() {
            return self.service.clone();
        }
        format!("{}/{}", self.service, self.server)
    }

    /// The servers in `config` of which it is said: none if that has no such server (any more).
    pub fn servers<'a>(
        &'a self,
        config: &'a Config,
    ) -> impl Iterator<Item = (&'a Virtual, &'a RealServer)> {
        let services = config.active_virtuals().filter(|v| v.name == self.service);
        services.flat_map(move |v| {
            let all = self.server.is_empty();
            let servers = v.active_servers().filter(move |one| all || one.name == self.server);
            servers.map(move |server| (v, server))
        })
    }
}

/// What operators say of all servers: one word of each at most, the last one, and one of each
/// service.
///
/// Outlives reload and restart: it is serde data, a list. The ends of words are remembered too,
/// so that two nodes which both have heard some come to the same by [merging](Self::merge), in
/// whatever order and however often.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<Override>", into = "Vec<Override>")]
pub struct Overrides {
    words: BTreeMap<(String, String), Override>,
}

impl Overrides {
    /// Notes a word in place of the one there was; [`Word::Ready`] ends that.
    pub fn set(&mut self, mut said: Override) {
        let key = (said.service.clone(), said.server.clone());
        if let Some(before) = self.words.get(&key) {
            said.stamp.at = said.stamp.at.max(before.stamp.at.after(Duration::from_millis(1)));
        }
        self.words.insert(key, said);
    }

    /// Takes over those of `theirs` that are later than what is known here, and returns them.
    ///
    /// Commutative, associative and idempotent.
    pub fn merge(&mut self, theirs: impl IntoIterator<Item = Override>) -> Vec<Override> {
        let mut news = Vec::new();
        for said in theirs {
            if self.is_news(&said) {
                news.push(said.clone());
                self.words.insert((said.service.clone(), said.server.clone()), said);
            }
        }
        news
    }

    /// What is known here, ends included, that `theirs` would take over.
    #[must_use]
    pub fn news_for(&self, theirs: &Self) -> Vec<Override> {
        self.words.values().filter(|said| theirs.is_news(said)).cloned().collect()
    }

    /// Ends what has had its time at `now`, and returns it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Override> {
        let mut ended = Vec::new();
        for said in self.words.values_mut() {
            if !said.is_end() && said.until.is_some_and(|until| until <= now) {
                ended.push(said.clone());
                (said.word, said.until) = (Word::Ready, None);
            }
        }
        ended
    }

    /// Forgets what is said of servers that `config` does not have, and returns it. Its end is
    /// not remembered: on the other node, whose configuration may have them, it goes on.
    pub fn forget_strangers(&mut self, config: &Config) -> Vec<Override> {
        let all = std::mem::take(&mut self.words).into_iter();
        let (known, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|(_, said)| said.servers(config).next().is_some());
        self.words = known;
        gone.into_values().filter(|said| !said.is_end()).collect()
    }

    /// What holds of a server: what is said of it or of its whole service, whichever keeps it from
    /// more.
    #[must_use]
    pub fn holding(&self, service: &str, server: &str) -> Option<&Override> {
        let said = [self.get(service, ""), self.get(service, server)];
        said.into_iter().flatten().max_by_key(|said| said.word.strength())
    }

    /// What the monitor of a server is told at `now`.
    #[must_use]
    pub fn for_monitor(&self, service: &str, server: &str, now: Timestamp) -> health::Override {
        let said = [self.get(service, ""), self.get(service, server)].into_iter().flatten();
        let told: Vec<_> = said.map(|said| said.word.for_monitor(now)).collect();
        let wanted = [health::Override::Disabled, health::Override::Drain];
        wanted.into_iter().find(|one| told.contains(one)).unwrap_or(health::Override::None)
    }

    /// What is said of a server, or of a service where `server` is empty.
    #[must_use]
    pub fn get(&self, service: &str, server: &str) -> Option<&Override> {
        if self.words.is_empty() {
            return None;
        }
        let said = self.words.get(&(service.to_owned(), server.to_owned()));
        said.filter(|said| !said.is_end())
    }

    /// All of it, by service and server.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.words.values().filter(|said| !said.is_end())
    }

    /// The same, and the ends that are remembered.
    pub fn iter_with_ends(&self) -> impl Iterator<Item = &Override> {
        self.words.values()
    }

    /// Whether nothing is said of any server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// `config` with the weights that operators want.
    #[must_use]
    pub fn in_force<'a>(&self, config: &'a Config) -> Cow<'a, Config> {
        let mut config = Cow::Borrowed(config);
        for said in self.iter() {
            if let Word::Weight(weight) = said.word {
                weigh(config.to_mut(), said, weight);
            }
        }
        config
    }

    /// Whether operators want other weights than lvs.cf has.
    #[must_use]
    pub fn weigh(&self) -> bool {
        self.iter().any(|said| matches!(said.word, Word::Weight(_)))
    }

    fn is_news(&self, said: &Override) -> bool {
        let known = self.words.get(&(said.service.clone(), said.server.clone()));
        known.is_none_or(|known| known.precedence() < said.precedence())
    }
}

/// What was written before there were stamps has those of when it was said.
impl From<Vec<Override>> for Overrides {
    fn from(words: Vec<Override>) -> Self {
        let mut overrides = Self::default();
        overrides.merge(words.into_iter().map(|mut said| {
            said.stamp.at = said.stamp.at.max(said.since);
            said
        }));
        overrides
    }
}

impl From<Overrides> for Vec<Override> {
    fn from(overrides: Overrides) -> Self {
        overrides.words.into_values().collect()
    }
}

/// Why an operator's target is no server, or not surely one.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// Nothing is called so.
    #[error("there is no server `{0}`")]
    NoSuchServer(String),
    /// No service is called so.
    #[error("there is no service `{0}`")]
    NoSuchService(String),
    /// Several services begin so.
    #[error("`{name}` could be {}", candidates.join(" or "))]
    Ambiguous {
        /// What was given.
        name: String,
        /// What begins so.
        candidates: Vec<String>,
    },
}

/// The servers that `target` means, each with its service.
///
/// `SERVICE/SERVER` is one server of one service, `SERVICE/*` all of it, `SERVER` one in all its
/// services. A server goes
/// by its name, by its address, or by address and port; a name may be shortened as long as it
/// means one in the service. Only services that are offered and servers that are used count.
///
/// # Errors
/// [`TargetError`].
pub fn find_servers<'a>(
    config: &'a Config,
    target: &str,
) -> Result<Vec<(&'a Virtual, &'a RealServer)>, TargetError> {
    let (services, server): (Vec<_>, _) = match target.split_once('/') {
        Some((service, server)) => (vec![find_service(config, service)?], server),
        None => (config.active_virtuals().collect(), target),
    };
    let mut found = Vec::new();
    for v in services {
        found.extend(named_in(v, server)?.into_iter().map(|server| (v, server)));
    }
    if found.is_empty() { Err(TargetError::NoSuchServer(target.to_owned())) } else { Ok(found) }
}

/// The service of this name, which may be shortened as long as it means one.
///
/// # Errors
/// [`TargetError`].
pub fn find_service<'a>(config: &'a Config, name: &str) -> Result<&'a Virtual, TargetError> {
    let all: Vec<_> = config.active_virtuals().collect();
    let found = one_of(&all, name, |v| &v.name)?;
    found.copied().ok_or_else(|| TargetError::NoSuchService(name.to_owned()))
}

fn named_in<'a>(v: &'a Virtual, name: &str) -> Result<Vec<&'a RealServer>, TargetError> {
    let servers: Vec<_> = v.active_servers().collect();
    if name == "*" {
        return Ok(servers);
    }
    let at: Vec<_> = servers.iter().copied().filter(|server| lives_at(server, name)).collect();
    if !at.is_empty() {
        return Ok(at);
    }
    Ok(one_of(&servers, name, |server| &server.name)?.copied().into_iter().collect())
}

fn lives_at(server: &RealServer, name: &str) -> bool {
    name.parse() == Ok(server.address) || name.parse() == Ok(server.address.ip())
}

/// The one called `name`, or else the only one whose name begins so.
fn one_of<'a, T>(
    all: &'a [T],
    name: &str,
    called: impl Fn(&T) -> &String,
) -> Result<Option<&'a T>, TargetError> {
    if let Some(exact) = all.iter().find(|one| called(one) == name) {
        return Ok(Some(exact));
    }
    let begin: Vec<_> = all.iter().filter(|one| called(one).starts_with(name)).collect();
    if begin.len() > 1 {
        let candidates = begin.into_iter().map(|one| called(one).clone()).collect();
        return Err(TargetError::Ambiguous { name: name.to_owned(), candidates });
    }
    Ok(begin.first().copied())
}

fn weigh(config: &mut Config, said: &Override, weight: Weight) {
    let services = config.virtuals.iter_mut().filter(|v| v.name == said.service);
    let servers = services.flat_map(|v| &mut v.servers);
    servers.filter(|server| server.name == said.server).for_each(|server| server.weight = weight);
}

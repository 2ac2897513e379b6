//! What operators say of servers, on both nodes of a pair: what is told to the other one, what is
//! taken over from it, and whether it has all of it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Director;
use super::watch::ServerKey;
use crate::control::protocol::{Problem, Replicas};
use crate::control::{Age, Event, Override, Overrides, status};
use crate::runtime::clock;
use crate::runtime::configuration::hash;
use crate::runtime::control::{node_name, now};
use crate::time::Instant;

/// After this long without a word from what brings it to the other node, nothing does.
const SILENCE: Duration = Duration::from_secs(20);

/// How far ahead of this node's clock a word may be stamped. One beyond would hold against
/// whatever is said for as long.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known of the other node's copy.
#[derive(Debug, Default)]
pub(super) struct Replication {
    told: Option<Told>,
    waiting: Vec<oneshot::Sender<bool>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    digest: String,
    problem: Option<String>,
}

impl Replication {
    /// What is to be said of it where the words here have `digest`.
    pub(super) fn status(&self, digest: &str, now: Instant) -> Option<status::Replication> {
        let told = self.told.as_ref()?;
        let silent = now - told.at > SILENCE;
        let problem = match &told.problem {
            _ if silent => Some("`piranha sync serve` says nothing any more".to_owned()),
            problem => problem.clone(),
        };
        let in_step = problem.is_none() && told.digest == digest;
        Some(status::Replication::new(in_step, Age(now - told.at), problem))
    }
}

impl Director {
    /// A digest of all that is said, ends included.
    pub(super) fn overrides_digest(&self) -> String {
        digest(&self.overrides)
    }

    /// What is said, for the other node.
    pub(super) fn replicas(&self, unless: Option<&str>) -> Replicas {
        let digest = self.overrides_digest();
        let words = (unless != Some(&digest)).then(|| self.overrides.clone());
        Replicas::new(digest, words)
    }

    /// Takes over what was said on the other node of servers that there are here.
    pub(super) async fn take_replicas(
        &mut self,
        words: Vec<Override>,
    ) -> Result<Replicas, Problem> {
        let latest = now().after(AHEAD);
        let known = |said: &Override| {
            said.stamp.at <= latest && said.servers(&self.config).next().is_some()
        };
        let words: Vec<_> = words.into_iter().filter(known).collect();
        let before = self.overrides.clone();
        let news = self.overrides.merge(words);
        if !news.is_empty() {
            if let Err(error) = self.store().await {
                self.overrides = before;
                return Err(error);
            }
            self.bring_into_force(&before, &news);
        }
        Ok(Replicas::new(self.overrides_digest(), None))
    }

    fn bring_into_force(&mut self, before: &Overrides, news: &[Override]) {
        let (present, node) = (now(), node_name());
        for said in news {
            for (v, server) in said.servers(&self.config) {
                let key = ServerKey { service: v.key(), address: server.address };
                let wanted = self.overrides.for_monitor(&v.name, &server.name, present);
                self.watch.set_override(key, wanted);
            }
        }
        if before.weigh() || self.overrides.weigh() {
            self.put_weights();
        }
        for said in news {
            let told = said.told_on(&node);
            match before.get(&said.service, &said.server) {
                _ if !said.is_end() => self.tell(Event::Operated(told)),
                Some(ended) => {
                    let reason = format!("{} took it back", told.author);
                    self.tell(Event::OverrideEnded { said: ended.clone(), reason });
                }
                None => {}
            }
        }
    }

    /// The other node has the words with this digest, or why not.
    pub(super) fn on_replicated(&mut self, digest: String, problem: Option<String>) {
        let told = Told { at: clock::now(), digest, problem };
        let settled = told.problem.is_none() && told.digest == self.overrides_digest();
        if settled || told.problem.is_some() {
            for waiting in self.replication.waiting.drain(..) {
                let _gone = waiting.send(settled);
            }
        }
        self.replication.told = Some(told);
    }

    /// Answers once the other node has what is said now.
    pub(super) fn settle(&mut self, answer: oneshot::Sender<bool>) {
        let digest = self.overrides_digest();
        let status = self.replication.status(&digest, clock::now());
        self.replication.waiting.retain(|waiting| !waiting.is_closed());
        match status {
            Some(status) if status.problem.is_none() && !status.in_step => {
                self.replication.waiting.push(answer);
            }
            status => {
                let _gone = answer.send(status.is_some_and(|status| status.in_step));
            }
        }
    }
}

fn digest(overrides: &Overrides) -> String {
    // What cannot be written is told when it is stored.
    format!("{:016x}", hash(&serde_json::to_vec(overrides).unwrap_or_default()))
}

//! Bringing what operators say of servers to the partner, and what they say there here.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::state::Peer;
use crate::control::protocol::{Call, Daemon, Done, MAX_REQUEST, Replicas};
use crate::control::{Event, Override};
use crate::runtime::control::{Client, ClientError, Heard};

/// How often both are compared where nothing was said.
const INTERVAL: Duration = Duration::from_secs(5);

/// The pause before the partner, or `lvs` here, is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long either may take for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Words in one request, in bytes: the lines of requests are bounded.
const AT_ONCE: usize = MAX_REQUEST / 2;

/// How often one exchange looks again at what became of it.
const ROUNDS: u32 = 4;

/// Why not everything is on the partner.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0} of the servers are not in the lvs.cf of the partner")]
    Strangers(usize),
    #[error("it changes faster than it is brought there")]
    Unsteady,
}

/// Keeps both nodes in step for as long as it is polled.
pub(super) async fn keep(peer: Arc<Peer>) {
    loop {
        if peer.trust.partner().is_some()
            && let Err(failure) = follow(&peer).await
        {
            // An `lvs` that cannot be told is asked by nobody.
            let _not_told = tell(&peer, String::new(), Some(failure.to_string())).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Exchanges whenever something was said here, and from time to time.
async fn follow(peer: &Peer) -> Result<Infallible, Failure> {
    let control = &peer.settings.control.directory;
    let mut news = Client::connect(control, Daemon::Lvs).await?;
    news.follow(u64::MAX).await?;
    let mut here = Client::connect(control, Daemon::Lvs).await?;
    let mut there = Client::connect(&peer.gates(), Daemon::Lvs).await?;
    loop {
        let digest = exchange(&mut here, &mut there).await?;
        peer.heard();
        tell(peer, digest, None).await?;
        if let Ok(changed) = tokio::time::timeout(INTERVAL, changed(&mut news)).await {
            changed?;
        }
    }
}

/// Waits until something was said here.
async fn changed(news: &mut Client) -> Result<(), ClientError> {
    loop {
        match news.next_event().await? {
            Heard::Event(record) if !is_about_words(&record.event) => {}
            _ => return Ok(()),
        }
    }
}

const fn is_about_words(event: &Event) -> bool {
    matches!(event, Event::Operated(_) | Event::OverrideEnded { .. } | Event::Reloaded { .. })
}

/// Brings to each side what is later on the other. Returns the digest of the words here, all of
/// which are there.
async fn exchange(here: &mut Client, there: &mut Client) -> Result<String, Failure> {
    let mut pushed = Vec::new();
    for _ in 0..ROUNDS {
        let ours = replicas(here, None).await?;
        let theirs = replicas(there, Some(ours.digest.clone())).await?;
        let Some(theirs) = theirs.words else { return Ok(ours.digest) };
        let own = ours.words.unwrap_or_default();
        let (push, pull) = (own.news_for(&theirs), theirs.news_for(&own));
        if !push.is_empty() && push == pushed {
            return Err(Failure::Strangers(push.len()));
        }
        let taken = give(here, pull).await?;
        give(there, push.clone()).await?;
        // What is left there is of servers that are not here.
        if push.is_empty() && taken.is_none_or(|taken| taken.digest == ours.digest) {
            return Ok(ours.digest);
        }
        pushed = push;
    }
    Err(Failure::Unsteady)
}

async fn replicas(client: &mut Client, unless: Option<String>) -> Result<Replicas, ClientError> {
    client.call(Call::Replicas { unless }, LIMIT).await
}

/// The last answer; `None` where there is nothing to give.
async fn give(client: &mut Client, words: Vec<Override>) -> Result<Option<Replicas>, ClientError> {
    let mut last = None;
    for words in batches(words, AT_ONCE) {
        last = Some(client.call(Call::Replicate { words }, LIMIT).await?);
    }
    Ok(last)
}

/// The same words in portions of at most `most` bytes each, or of one word.
fn batches(words: Vec<Override>, most: usize) -> Vec<Vec<Override>> {
    let mut batches: Vec<Vec<Override>> = Vec::new();
    let mut left = 0;
    for said in words {
        // One that cannot be written cannot be sent either, which is told then.
        let length = serde_json::to_string(&said).map_or(most, |text| text.len() + 1);
        match batches.last_mut() {
            Some(batch) if length <= left => {
                left -= length;
                batch.push(said);
            }
            _ => {
                left = most.saturating_sub(length);
                batches.push(vec![said]);
            }
        }
    }
    batches
}

async fn tell(peer: &Peer, digest: String, problem: Option<String>) -> Result<(), ClientError> {
    let mut lvs = Client::connect(&peer.settings.control.directory, Daemon::Lvs).await?;
    lvs.call::<Done>(Call::Replicated { digest, problem }, LIMIT).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Timestamp, Word};

    #[test]
    fn words_go_in_portions_that_fit_and_none_is_left_out() {
        let word = |server: usize| {
            Override::new("web", format!("s{server}"), Word::Disable, "ann", Timestamp(1))
        };
        let words: Vec<_> = (0..100).map(word).collect();
        let length = serde_json::to_string(&words[99]).unwrap().len() + 1;
        for most in [0, length, 3 * length, 1000 * length] {
            let batches = batches(words.clone(), most);
            assert_eq!(batches.concat(), words);
            for batch in batches {
                let text = serde_json::to_string(&batch).unwrap();
                assert!(batch.len() == 1 || text.len() <= most + 2, "{most}");
            }
        }
    }
}

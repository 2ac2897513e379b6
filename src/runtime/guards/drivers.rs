//! Drivers of links, which are asked for the carrier: not each of them tells the kernel of it.

use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, socket};
use tokio::task::JoinHandle;

use crate::runtime::clock;
use crate::runtime::sys::carrier;
use crate::time::Instant;
use crate::wire::rtnetlink::Link;

/// The least pause between two rounds: some drivers talk to their transceiver for milliseconds.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The index of each link whose driver knows, and whether it found a carrier.
type Answers = Vec<(u32, bool)>;

/// Asks round by round, on a thread that may block, and never twice at a time.
pub(super) struct Drivers {
    pause: Duration,
    due: Instant,
    round: Option<JoinHandle<Answers>>,
}

impl Drivers {
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause: pause.max(PAUSE_MIN), due: clock::now(), round: None }
    }

    /// Waits until the drivers of `links` were asked again. Safe to drop.
    pub(super) async fn next<'a>(&mut self, links: impl Fn() -> Vec<&'a Link>) -> Answers {
        let round = match &mut self.round {
            Some(round) => round,
            none => {
                clock::sleep_until(self.due).await;
                let named = |link: &Link| (link.index(), link.name().to_owned());
                let links: Vec<_> = links().into_iter().map(named).collect();
                none.insert(tokio::task::spawn_blocking(move || ask(&links)))
            }
        };
        let answers = round.await.unwrap_or_default();
        self.round = None;
        self.due = clock::now() + self.pause;
        answers
    }
}

fn ask(links: &[(u32, String)]) -> Answers {
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else {
        return Vec::new();
    };
    // A link that went away is told of otherwise.
    let answer = |(index, name): &(u32, String)| Some((*index, carrier(&socket, name).ok()??));
    links.iter().filter_map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_answers_for_loopback_and_nobody_for_what_is_not_there_or_too_long() {
        let links = [(1, "lo"), (2, "none-such"), (3, "a-name-of-16-byt")];
        let links = links.map(|(index, name)| (index, name.to_owned()));
        assert_eq!(ask(&links).iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
    }
}

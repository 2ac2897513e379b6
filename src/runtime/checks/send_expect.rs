use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use regex::bytes::{Regex, RegexBuilder};

use super::conversation::Conversation;
use super::network::Budget;
use super::{CheckError, Dialer};
use crate::health::{BytePattern, Check, Excerpt, Expect, Failure};

/// The most that is read of an answer.
const ANSWER_LIMIT: usize = 4096;
/// The most a compiled regular expression, and its cache, may occupy.
const REGEX_LIMIT: usize = 1 << 20;
/// The most a UDP datagram over IPv4 carries.
const DATAGRAM_LIMIT: usize = 65_507;

/// Connects, sends, and reads until the answer is known to be right or wrong.
pub(super) struct OverTcp {
    send: Box<[u8]>,
    wanted: Wanted,
    dialer: Dialer,
}

impl OverTcp {
    pub(super) fn new(send: &[u8], expect: &Expect, dialer: Dialer) -> Result<Self, CheckError> {
        Ok(Self { send: send.into(), wanted: Wanted::new(expect)?, dialer })
    }

    async fn read_answer(&self, line: &mut Conversation) -> Result<(), Failure> {
        let most = self.wanted.most_bytes();
        loop {
            let read = line.read_more().await?;
            if line.received() == 0 {
                return Err(Failure::Closed { received: 0 });
            }
            let answer = &line.pending()[..line.pending().len().min(most)];
            let complete = read == 0 || answer.len() == most;
            if let Some(verdict) = self.wanted.judge(answer, complete) {
                return verdict;
            }
        }
    }
}

#[async_trait]
impl Check for OverTcp {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let mut line = self.dialer.converse(target, Budget::new(limit)).await?;
        if !self.send.is_empty() {
            line.send(&self.send).await?;
        }
        if matches!(self.wanted, Wanted::Nothing) {
            if self.send.is_empty() {
                line.close();
            }
            return Ok(());
        }
        let verdict = self.read_answer(&mut line).await;
        line.close();
        verdict
    }
}

/// Sends a datagram, an empty one if there is nothing to send, and judges the first that comes
/// back.
pub(super) struct OverUdp {
    send: Box<[u8]>,
    wanted: Wanted,
    dialer: Dialer,
}

impl OverUdp {
    pub(super) fn new(send: &[u8], expect: &Expect, dialer: Dialer) -> Result<Self, CheckError> {
        if send.len() > DATAGRAM_LIMIT {
            return Err(CheckError::SendTooLong { length: send.len(), limit: DATAGRAM_LIMIT });
        }
        Ok(Self { send: send.into(), wanted: Wanted::new(expect)?, dialer })
    }
}

#[async_trait]
impl Check for OverUdp {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        let answer = self.dialer.exchange(target, &self.send, &budget).await?;
        self.wanted.judge(&answer, true).unwrap_or(Ok(()))
    }
}

/// What the answer must be, ready to be compared.
#[derive(Debug)]
pub(super) enum Wanted {
    Nothing,
    Prefix(Box<[u8]>),
    Anything,
    Exactly(Box<[u8]>),
    Pattern(BytePattern),
    Match(Regex),
}

impl Wanted {
    pub(super) fn new(expect: &Expect) -> Result<Self, CheckError> {
        match expect {
            Expect::Nothing => Ok(Self::Nothing),
            Expect::Prefix(prefix) if prefix.is_empty() => Ok(Self::Nothing),
            Expect::Prefix(text) | Expect::Exactly(text) if text.len() > ANSWER_LIMIT => {
                Err(CheckError::ExpectTooLong { length: text.len(), limit: ANSWER_LIMIT })
            }
            Expect::Exactly(text) => Ok(Self::Exactly(text.as_slice().into())),
            Expect::Pattern(pattern) => Ok(Self::Pattern(pattern.clone())),
            Expect::Prefix(prefix) => Ok(Self::Prefix(prefix.as_slice().into())),
            Expect::Anything => Ok(Self::Anything),
            Expect::Regex(pattern) => compile(pattern).map(Self::Match),
        }
    }

    fn most_bytes(&self) -> usize {
        match self {
            Self::Nothing | Self::Anything => 1,
            Self::Prefix(prefix) => prefix.len(),
            Self::Exactly(text) => text.len() + 1,
            Self::Pattern(pattern) => pattern.len(),
            Self::Match(_) => ANSWER_LIMIT,
        }
    }

    /// What the bytes so far mean; `None` if only more of them can tell. `complete` says that no
    /// more will come.
    pub(super) fn judge(&self, answer: &[u8], complete: bool) -> Option<Result<(), Failure>> {
        match self {
            Self::Nothing => Some(Ok(())),
            Self::Anything if !answer.is_empty() => Some(Ok(())),
            Self::Anything => complete.then_some(Err(Failure::Empty)),
            Self::Prefix(prefix) if answer.starts_with(prefix) => Some(Ok(())),
            Self::Prefix(prefix) if prefix.starts_with(answer) && !complete => None,
            Self::Prefix(prefix) => Some(Err(Failure::WrongPrefix {
                wanted: Excerpt::new(prefix),
                got: Excerpt::new(answer),
            })),
            Self::Exactly(text) if complete && **text == *answer => Some(Ok(())),
            Self::Exactly(text) if text.starts_with(answer) && !complete => None,
            Self::Exactly(text) => Some(Err(Failure::Differs {
                wanted: Excerpt::new(text),
                got: Excerpt::new(answer),
            })),
            Self::Pattern(pattern) if pattern.begins(answer) => Some(Ok(())),
            Self::Pattern(pattern) if pattern.allows(answer) && !complete => None,
            Self::Pattern(pattern) => Some(Err(Failure::WrongPrefix {
                wanted: Excerpt::new(pattern.to_string().as_bytes()),
                got: Excerpt::new(answer),
            })),
            Self::Match(regex) if regex.is_match(answer) => Some(Ok(())),
            Self::Match(regex) => complete.then(|| {
                Err(Failure::NoMatch {
                    pattern: regex.as_str().to_owned(),
                    got: Excerpt::new(answer),
                })
            }),
        }
    }
}

/// Bytes instead of characters and a dot that matches line ends, as POSIX has it.
pub(super) fn compile(pattern: &str) -> Result<Regex, CheckError> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(REGEX_LIMIT)
        .dfa_size_limit(REGEX_LIMIT)
        .build()
        .map_err(|error| CheckError::Regex(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(expect: &Expect) -> Wanted {
        Wanted::new(expect).unwrap()
    }

    /// Judges `answer` as it grows byte by byte.
    fn grow(wanted: &Wanted, answer: &[u8]) -> Result<(), Failure> {
        (0..=answer.len())
            .find_map(|length| wanted.judge(&answer[..length], false))
            .or_else(|| wanted.judge(answer, true))
            .unwrap()
    }

    #[test]
    fn a_pattern_that_cannot_be_compiled_or_grows_too_large_is_refused() {
        let refused = |pattern: &str| Wanted::new(&Expect::Regex(pattern.into())).unwrap_err();
        assert!(refused("(220").to_string().starts_with("bad regular expression: "));
        assert!(matches!(refused("((a{100}){100}){100}"), CheckError::Regex(_)));
    }

    #[test]
    fn patterns_see_bytes_and_posix_classes() {
        let class = wanted(&Expect::Regex("^[[:digit:]]{3}.OK$".into()));
        assert_eq!(class.judge(b"220\nOK", true), Some(Ok(())));
        let dot = wanted(&Expect::Regex("^.{2}$".into()));
        assert_eq!(dot.judge(b"\xff\xfe", true), Some(Ok(())));
    }

    proptest! {
        #[test]
        fn how_an_answer_is_cut_into_pieces_does_not_matter(
            prefix in proptest::collection::vec(0..3_u8, 0..6),
            answer in proptest::collection::vec(0..3_u8, 0..8),
        ) {
            let right = answer.starts_with(&prefix);
            let wanted = wanted(&Expect::Prefix(prefix));
            prop_assert_eq!(wanted.judge(&answer, true).unwrap().is_ok(), right);
            prop_assert_eq!(grow(&wanted, &answer).is_ok(), right);
        }
    }
}

//! Splits a command line into options, their values and other words, as the popt library does.
//!
//! Short options bundle (`-Ln`), values may be attached (`-p20`, `-t=10.0.0.1:80`,
//! `--weight=3`) or follow, and `--` ends the options.

use std::iter::Peekable;
use std::slice;

use super::UsageError;

/// What an option does, one for each spelling that differs in meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    AddService,
    EditService,
    DeleteService,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Save,
    Clear,
    Restore,
    Set,
    StartDaemon,
    StopDaemon,
    Help,
    Version,
    TcpService,
    UdpService,
    SctpService,
    FirewallMark,
    Ipv6,
    Scheduler,
    Engine,
    Persistent,
    Netmask,
    RealServer,
    Masquerading,
    Ipip,
    Gatewaying,
    Weight,
    UpperThreshold,
    LowerThreshold,
    Connection,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunnelInfo,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
    NoSort,
    Sort,
    Exact,
    Numeric,
    OnePacket,
    SchedulerFlags,
    McastInterface,
    SyncId,
    SyncMaxlen,
    McastGroup,
    McastPort,
    McastTtl,
    Json,
    DryRun,
    Check,
}

/// Whether an option has a value.
#[allow(clippy::exhaustive_enums, reason = "an option has one, may have one, or has none")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value {
    /// It takes none.
    None,
    /// It needs one: attached, or the next word.
    Required,
    /// Taken from the next word only if that does not look like an option.
    Optional,
}

/// An option or a command as it may be written: `--long`, and where there is one `-s`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// Without the dashes.
    pub long: &'static str,
    /// Without the dash. `list` has two, and so stands in the table twice.
    pub short: Option<char>,
    /// Whether it has a value.
    pub value: Value,
    word: Word,
}

/// Everything a command line is made of, commands first.
#[must_use]
pub const fn spellings() -> &'static [Spelling] {
    &SPELLINGS
}

const fn flag(long: &'static str, short: Option<char>, word: Word) -> Spelling {
    Spelling { long, short, value: Value::None, word }
}

const fn with_value(long: &'static str, short: Option<char>, word: Word) -> Spelling {
    Spelling { long, short, value: Value::Required, word }
}

#[rustfmt::skip]
static SPELLINGS: [Spelling; 61] = [
    flag("add-service", Some('A'), Word::AddService),
    flag("edit-service", Some('E'), Word::EditService),
    flag("delete-service", Some('D'), Word::DeleteService),
    flag("add-server", Some('a'), Word::AddServer),
    flag("edit-server", Some('e'), Word::EditServer),
    flag("delete-server", Some('d'), Word::DeleteServer),
    flag("list", Some('L'), Word::List),
    flag("list", Some('l'), Word::List),
    flag("zero", Some('Z'), Word::Zero),
    flag("save", Some('S'), Word::Save),
    flag("clear", Some('C'), Word::Clear),
    flag("restore", Some('R'), Word::Restore),
    flag("set", None, Word::Set),
    with_value("start-daemon", None, Word::StartDaemon),
    with_value("stop-daemon", None, Word::StopDaemon),
    flag("help", Some('h'), Word::Help),
    flag("version", Some('v'), Word::Version),
    with_value("tcp-service", Some('t'), Word::TcpService),
    with_value("udp-service", Some('u'), Word::UdpService),
    with_value("sctp-service", None, Word::SctpService),
    with_value("fwmark-service", Some('f'), Word::FirewallMark),
    flag("ipv6", Some('6'), Word::Ipv6),
    with_value("scheduler", Some('s'), Word::Scheduler),
    with_value("pe", None, Word::Engine),
    Spelling { long: "persistent", short: Some('p'), value: Value::Optional, word: Word::Persistent },
    with_value("netmask", Some('M'), Word::Netmask),
    with_value("real-server", Some('r'), Word::RealServer),
    flag("masquerading", Some('m'), Word::Masquerading),
    flag("ipip", Some('i'), Word::Ipip),
    flag("gatewaying", Some('g'), Word::Gatewaying),
    with_value("weight", Some('w'), Word::Weight),
    with_value("u-threshold", Some('x'), Word::UpperThreshold),
    with_value("l-threshold", Some('y'), Word::LowerThreshold),
    flag("connection", Some('c'), Word::Connection),
    flag("timeout", None, Word::Timeout),
    flag("daemon", None, Word::Daemon),
    flag("stats", None, Word::Stats),
    flag("rate", None, Word::Rate),
    flag("thresholds", None, Word::Thresholds),
    flag("persistent-conn", None, Word::PersistentConn),
    flag("tun-info", None, Word::TunnelInfo),
    with_value("tun-type", None, Word::TunnelType),
    with_value("tun-port", None, Word::TunnelPort),
    flag("tun-nocsum", None, Word::TunnelNoChecksum),
    flag("tun-csum", None, Word::TunnelChecksum),
    flag("tun-remcsum", None, Word::TunnelRemoteChecksum),
    flag("nosort", None, Word::NoSort),
    flag("sort", None, Word::Sort),
    flag("exact", Some('X'), Word::Exact),
    flag("numeric", Some('n'), Word::Numeric),
    flag("ops", Some('o'), Word::OnePacket),
    with_value("sched-flags", Some('b'), Word::SchedulerFlags),
    with_value("mcast-interface", None, Word::McastInterface),
    with_value("syncid", None, Word::SyncId),
    with_value("sync-maxlen", None, Word::SyncMaxlen),
    with_value("mcast-group", None, Word::McastGroup),
    with_value("mcast-port", None, Word::McastPort),
    with_value("mcast-ttl", None, Word::McastTtl),
    flag("json", None, Word::Json),
    flag("dry-run", None, Word::DryRun),
    flag("check", None, Word::Check),
];

/// One option of a command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Item<'a> {
    pub(super) word: Word,
    /// Its value; empty where it takes none.
    pub(super) value: Option<&'a str>,
    /// The last word it took, bundle and value included: what messages name.
    pub(super) spelled: &'a str,
}

/// Goes through a command line.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a, S> {
    words: Peekable<slice::Iter<'a, S>>,
    /// What is left of a bundle of short options, and the word it is in.
    bundle: Option<(&'a str, &'a str)>,
    positional: Vec<&'a str>,
}

impl<'a, S: AsRef<str>> Scanner<'a, S> {
    pub(super) fn new(words: &'a [S]) -> Self {
        Self { words: words.iter().peekable(), bundle: None, positional: Vec::new() }
    }

    /// The next option; other words are set aside for [`Scanner::into_positional`].
    ///
    /// # Errors
    /// [`UsageError::Option`].
    pub(super) fn next_option(&mut self) -> Result<Option<Item<'a>>, UsageError> {
        if let Some((rest, word)) = self.bundle.take() {
            return self.short(rest, word).map(Some);
        }
        while let Some(word) = self.words.next().map(AsRef::as_ref) {
            if word == "--" {
                self.positional.extend(self.words.by_ref().map(AsRef::as_ref));
            } else if let Some(long) = word.strip_prefix("--") {
                return self.long(long, word).map(Some);
            } else if let Some(rest) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                return self.short(rest, word).map(Some);
            } else {
                self.positional.push(word);
            }
        }
        Ok(None)
    }

    /// The words that are no options, in order.
    pub(super) fn into_positional(self) -> Vec<&'a str> {
        self.positional
    }

    fn long(&mut self, long: &'a str, word: &'a str) -> Result<Item<'a>, UsageError> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let found = find(|spelling| spelling.long == name);
        let spelling = found.ok_or_else(|| problem(word, "unknown option"))?;
        self.finish(spelling, attached, word)
    }

    fn short(&mut self, rest: &'a str, word: &'a str) -> Result<Item<'a>, UsageError> {
        let mut letters = rest.chars();
        let letter = letters.next();
        let found = find(|spelling| spelling.short.is_some() && spelling.short == letter);
        let spelling = found.ok_or_else(|| problem(word, "unknown option"))?;
        let rest = letters.as_str();
        let attached = rest.strip_prefix('=');
        if spelling.value == Value::None && attached.is_none() {
            self.bundle = (!rest.is_empty()).then_some((rest, word));
            return self.finish(spelling, None, word);
        }
        let value = attached.or(Some(rest)).filter(|_| !rest.is_empty());
        self.finish(spelling, value, word)
    }

    fn finish(
        &mut self,
        spelling: &'static Spelling,
        attached: Option<&'a str>,
        word: &'a str,
    ) -> Result<Item<'a>, UsageError> {
        let mut spelled = word;
        let value = match (spelling.value, attached) {
            (Value::None, Some(_)) => {
                return Err(problem(word, "option does not take an argument"));
            }
            (Value::None, None) => None,
            (Value::Required | Value::Optional, Some(value)) => Some(value),
            (Value::Required, None) => {
                let next = self.words.next().map(AsRef::as_ref);
                spelled = next.ok_or_else(|| problem(word, "missing argument"))?;
                Some(spelled)
            }
            (Value::Optional, None) => {
                self.words.next_if(|next| !next.as_ref().starts_with('-')).map(AsRef::as_ref)
            }
        };
        Ok(Item { word: spelling.word, value, spelled })
    }
}

fn find(is_it: impl Fn(&Spelling) -> bool) -> Option<&'static Spelling> {
    SPELLINGS.iter().find(|s| is_it(s))
}

fn problem(word: &str, problem: &'static str) -> UsageError {
    UsageError::Option { option: word.to_owned(), problem }
}

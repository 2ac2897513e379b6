use std::fmt;

use serde::{Deserialize, Serialize};

use super::Span;

/// How much a [`Diagnostic`] weighs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is used; the author should know something about it.
    Warning,
    /// The configuration is not used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! codes {
    ($($variant:ident = $code:tt, $meaning:tt;)+) => {
        /// What kind of problem a [`Diagnostic`] reports. Codes are stable: a code keeps its
        /// meaning for good and is never given away again.
        ///
        /// `E` codes are errors, `W` codes warnings.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Code {
            $(
                #[doc = concat!($code, ": ", $meaning, ".")]
                #[serde(rename = $code)]
                $variant,
            )+
        }

        impl Code {
            /// Every code there is, errors first, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is shown, such as `E0102`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// What it stands for, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }
        }
    };
}

codes! {
    FileTooLarge = "E0001", "the file is larger than 16 MiB";
    LineTooLong = "E0002", "a line is longer than 16 KiB";
    EmptyFile = "E0003", "the file configures nothing";
    UnterminatedQuote = "E0004", "a quoted value has no closing quote on its line";
    UnknownBlock = "E0010", "a block is neither virtual, failover nor server";
    InvalidBlockName = "E0011", "a block has no name, or one with blanks and no quotes";
    MissingBrace = "E0012", "the opening brace of a block is missing or on the next line";
    GluedBrace = "E0013", "no blank stands before an opening brace";
    TextAfterBrace = "E0014", "something follows a brace on the same line";
    UnmatchedBrace = "E0015", "a brace has no partner";
    MisplacedBlock = "E0016", "a block stands where it cannot, mostly for a missing brace";
    NestedTooDeeply = "E0017", "blocks are nested more than eight deep";
    ExpectedEquals = "E0101", "a line is not of the form NAME = VALUE";
    UnknownDirective = "E0102", "there is no directive of this name";
    MisplacedDirective = "E0103", "the directive belongs in another kind of block";
    MissingValue = "E0104", "a directive has no value, or too few";
    ExtraValue = "E0105", "a directive has more values than it takes";
    GluedEquals = "E0106", "no blanks stand around the equals sign";
    InvalidInteger = "E0201", "a value is not an integer";
    OutOfRange = "E0202", "a number is outside the allowed range";
    InvalidBoolean = "E0203", "a value is neither 0 nor 1";
    InvalidDuration = "E0204", "a value is not a duration";
    InvalidAddress = "E0205", "a value is not an IP address";
    HostName = "E0206", "a host name stands where an address is needed";
    InvalidMask = "E0207", "a value is not a netmask";
    InvalidPort = "E0208", "a value is not a port";
    InvalidChoice = "E0209", "a value is not one of the words allowed here";
    UnknownScheduler = "E0210", "there is no scheduler of this name";
    InvalidStatus = "E0211", "a value is not a set of HTTP status codes";
    InvalidText = "E0212", "a text has a form or characters its directive cannot take";
    MissingDirective = "E0301", "a directive that is needed is missing";
    NothingActive = "E0302", "no virtual service is active";
    DeadTimeTooShort = "E0303", "the dead time is not above the heartbeat interval";
    DuplicateService = "E0304", "two active virtual services have the same address or mark";
    DuplicateServer = "E0305", "two active real servers of a service have the same address";
    FamilyMismatch = "E0306", "IPv4 and IPv6 addresses stand where one family is needed";
    SamePeers = "E0307", "primary and backup have the same address";
    ContradictoryCheck = "E0308", "directives ask for different health checks";
    RelayCannot = "E0309", "the relay data plane lacks what a virtual service needs";
    PortZero = "E0310", "port 0 needs persistence or a firewall mark";
    UnusableAddress = "E0311", "an address is 0.0.0.0 or ::";
    ProxyProtocolImpossible = "E0312", "the PROXY protocol needs the relay and TCP";
    ForeignSchedulerFlag = "E0313", "a scheduler flag belongs to another scheduler";
    RelayOptionImpossible = "E0314", "a directive of the relay stands where it cannot work";
    OnePacketImpossible = "E0315", "one-packet scheduling is for UDP and firewall marks";
    EngineImpossible = "E0316", "a persistence engine does not go with the service";
    TunnelImpossible = "E0317", "the settings of a tunnel do not go together";
    InvalidRegex = "E0318", "expect is not a regular expression that can be compiled";
    SharedPath = "E0319", "two heartbeat paths share an address";
    IncludeFailed = "E0320", "a file cannot be included";
    IncludeLimit = "E0321", "includes go too deep, or are too many or too large";
    IncludeCycle = "E0322", "a file includes itself";
    VrrpInterval = "E0370", "VRRP cannot say the interval of the heartbeats";
    VrrpWithoutAddress = "E0371", "no VIP can be advertised with the VRRP that is configured";
    VrrpPassword = "E0372", "only VRRP version 2 has a password";
    VrrpNotAccepting = "E0373", "the active director has to take packets to the VIPs";
    SyncGroup = "E0380", "a sync group is not a multicast address";
    SyncFamilies = "E0381", "connections of a tunnel between address families cannot be synchronised";
    ThroughImpossible = "E0382", "a check cannot go through the data plane";
    ReferenceQuorum = "E0385", "more references must answer than there are";
    AcceptedKeyAlone = "E0386", "heartbeat_key_accepted stands without heartbeat_key";
    MailIncomplete = "E0395", "mail needs a relay and a sender";
    MonitorUnsupported = "E0403", "monitor programs of one's own are not supported yet";
    SharedDisk = "E0410", "shared disks are not reserved";
    FailoverHeartbeat = "E0411", "failover services need heartbeats of pulse, version 2";
    VirtualMacImpossible = "E0445", "addresses cannot have a virtual MAC address here";
    CarriageReturns = "W0101", "lines end with CRLF";
    TrailingComment = "W0102", "a comment stands behind a directive";
    UnclosedBlock = "W0103", "a block is still open at the end of the file";
    TextAfterClose = "W0104", "text behind a closing brace is ignored";
    DuplicateDirective = "W0105", "a directive stands twice in a block, the last one counts";
    SingleQuotes = "W0106", "0.8.6 takes single quotes for a part of this value";
    ByteOrderMark = "W0107", "the file begins with a byte order mark";
    TooManyProblems = "W0108", "there are more problems than are shown";
    BareMask = "W0201", "a netmask is written as a prefix length";
    Octal = "W0202", "a number with a leading zero is octal";
    RenamedScheduler = "W0203", "a scheduler has another name today";
    SyncIdTruncated = "W0204", "only the low 8 bits of a sync id are used";
    ShortAddress = "W0205", "an address is written in a short form";
    DeadTimeTight = "W0301", "the dead time is below two heartbeat intervals";
    NoBackup = "W0302", "backup_active is set and there is no backup";
    PrivateIgnored = "W0303", "backup_private is not used without primary_private";
    VipOnTwoDevices = "W0304", "one VIP is given with two devices";
    MaskWithoutPersistence = "W0305", "pmask has no effect without persistent";
    AllQuiesced = "W0306", "all active real servers of a service have weight 0";
    NoActiveServer = "W0307", "an active virtual service has no active real server";
    ActiveNotSet = "W0308", "a block does not say active = 1, so it is off";
    PortAfterServers = "W0309", "a port stands behind the servers that take it over";
    SilentUdpCheck = "W0310", "a UDP check sends nothing and waits for an answer";
    CheckTextIgnored = "W0311", "a directive has no effect with this kind of check";
    OldHeartbeat = "W0312", "heartbeats of version 1 are not authenticated";
    TunnelIgnored = "W0313", "a setting of a tunnel has no effect";
    PortIgnored = "W0314", "a server's own port has no effect without NAT";
    OverlappingServices = "W0315", "a service for every port overlaps another one";
    CheckOutlastsInterval = "W0316", "a check may take longer than the interval of checks";
    UnknownDevice = "W0317", "this machine has no such network interface";
    NothingIncluded = "W0318", "an include names no file";
    QuorumUnreachable = "W0319", "a quorum is above what all servers have";
    HysteresisAlone = "W0320", "hysteresis has no effect without quorum";
    TlsNotVerified = "W0321", "a check does not verify the server's certificate";
    ProgramAsDaemon = "W0322", "a check's program runs as the user of the daemon";
    LoadWeightSmall = "W0350", "a weight is too small to follow the load";
    LoadDirectiveIgnored = "W0351", "a directive about load has no effect";
    FastIntervalIgnored = "W0360", "fast_interval has no effect unless it is below timeout";
    FlapWindowAlone = "W0361", "flap_window has no effect without flap_limit";
    NothingTakenOut = "W0362", "min_servers keeps every server of a service";
    SorryIgnored = "W0363", "sorry servers have no effect with this all_down";
    VrrpIgnored = "W0370", "a directive has no effect with this heartbeat protocol";
    VrrpUnadvertised = "W0371", "VIPs are held and not advertised by VRRP";
    SyncNeedsKernel = "W0380", "connections are synchronised by the kernel only";
    ThroughIgnored = "W0381", "servers behind NAT are checked directly in any case";
    GuardSettingIgnored = "W0385", "a setting of guards has no effect";
    TrackCommandAsDaemon = "W0386", "a tracked command runs as the user of the daemon";
    ShellCharacters = "W0395", "a command has characters that only a shell understands";
    NotifyIgnored = "W0396", "a directive about notifications has no effect";
    SecretInClear = "W0397", "a password or token is sent without encryption";
    NoServiceCommand = "W0410", "a failover service has no command";
    QuorumOfAlone = "W0420", "quorum_of has no effect without quorum";
    LoadCommandAsDaemon = "W0421", "a command that measures load runs as the user of the daemon";
    UnknownToOld = "W0501", "Piranha 0.8.6 does not know a directive";
    RefusedByOld = "W0502", "Piranha 0.8.6 refuses a value";
}

impl Code {
    /// Whether it stops the configuration from being used.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something to say about a place in an lvs.cf.
///
/// `cli::diagnostic::render` shows it with its line, in the way of rustc.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Diagnostic {
    /// The kind of problem.
    pub code: Code,
    /// The severity that belongs to the code.
    pub severity: Severity,
    /// The place; empty at 0 for what concerns the whole file.
    pub span: Span,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// The mend, where one is known.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
}

/// Another place that has to do with a [`Diagnostic`].
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Related {
    /// The place.
    pub span: Span,
    /// What is there.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            span,
            message: printable(&message.into()),
            help: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(&help.into()));
        self
    }

    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span, message: printable(&message.into()) });
        self
    }

    /// Whether the configuration cannot be used for it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    /// One line without the place: `error[E0102]: unknown directive ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)
    }
}

/// Escapes control characters: what a file says goes into logs and onto terminals.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Collects diagnostics up to a limit, so that a file of rubbish costs no more than its own size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    dropped: usize,
}

impl Sink {
    /// How many errors, and how many warnings, are kept.
    const LIMIT: usize = 200;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let kept = if diagnostic.is_error() { &mut self.errors } else { &mut self.warnings };
        if kept.len() < Self::LIMIT {
            kept.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether an error more would be kept; if not, none need be put into words.
    pub(crate) fn has_room(&self) -> bool {
        self.errors.len() < Self::LIMIT
    }

    /// Counts an error that was not put into words.
    pub(crate) fn drop_one(&mut self) {
        self.dropped += 1;
    }

    /// Takes over what was said about another file, whose offsets begin at `base`.
    pub(crate) fn merge(&mut self, other: &Self, base: usize) {
        self.dropped += other.dropped;
        for diagnostic in other.errors.iter().chain(&other.warnings) {
            let mut diagnostic = diagnostic.clone();
            diagnostic.span = diagnostic.span.shifted(base);
            for related in &mut diagnostic.related {
                related.span = related.span.shifted(base);
            }
            self.push(diagnostic);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The first error that was found.
    pub(crate) fn first_error(&self) -> Option<&Diagnostic> {
        self.errors.first()
    }

    /// All of them in the order of the file, and a word on what was dropped as the last one.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut all = self.errors;
        all.extend(self.warnings);
        all.sort_by_key(|diagnostic| (diagnostic.span, diagnostic.code));
        if self.dropped > 0 {
            let message = format!("{} further problems are not shown", self.dropped);
            let last = all.last().map(|last| last.span).unwrap_or_default();
            all.push(Diagnostic::new(Code::TooManyProblems, last, message));
        }
        all
    }
}

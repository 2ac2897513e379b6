//! From the words of a command line to what is to be done.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use super::build;
use super::option::{Command, Given, Subject, TunnelType, check_command};
use super::scan::{Item, Scanner, Word};
use super::value::{endpoint, netmask, number};
use super::{Names, UsageError};
use crate::ipvs::kernel::{Daemon, DaemonRole, Request, Timeouts};
use crate::ipvs::{ServiceKey, TunnelChecksum};
use crate::net::{Family, FirewallMark, Protocol, Weight};

/// What a command line asks for.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// Print how the program is used.
    Help,
    /// Print its version.
    Version,
    /// Read commands from standard input.
    Restore {
        /// Check every line before the first is carried out.
        check: bool,
        /// Check only, and print what would be done.
        dry_run: bool,
    },
    /// Print the table as commands.
    Save {
        /// Numbers, not names.
        numeric: bool,
    },
    /// Print something that is in force.
    List(List),
    /// Change something.
    Change {
        /// What.
        request: Request,
        /// Only print what would be done.
        dry_run: bool,
    },
}

/// What to list and how.
#[allow(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "the options of the list command"
)]
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// What.
    pub view: View,
    /// Only this service; every one otherwise.
    pub service: Option<ServiceKey>,
    /// Numbers, not names.
    pub numeric: bool,
    /// All digits of large numbers.
    pub exact: bool,
    /// In the kernel's order.
    pub unsorted: bool,
    /// As JSON.
    pub json: bool,
}

/// What a list shows.
#[allow(clippy::exhaustive_enums, reason = "the views of ipvsadm 1.31")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// Services and servers.
    Table(Columns),
    /// Connections.
    Connections {
        /// With persistence engines and their data.
        engines: bool,
    },
    /// Timeouts.
    Timeouts,
    /// Synchronisation daemons.
    Daemons,
}

/// Which columns the table of services has.
#[allow(clippy::exhaustive_enums, reason = "the views of ipvsadm 1.31")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Columns {
    /// Forwarding method, weight, connections.
    Load,
    /// The same with the kind of tunnel.
    Tunnels,
    /// Connection thresholds, connections.
    Thresholds,
    /// Weight, persistent and other connections.
    Persistent,
    /// Counters.
    Counters,
    /// Rates.
    Rates,
}

/// Reads the command line `words`, the program's name `program` not among them.
///
/// Nothing is asked or changed but `names`.
///
/// # Errors
/// [`UsageError`], for the first mistake the original would complain about.
pub fn parse<S: AsRef<str>>(
    program: &str,
    words: &[S],
    names: &dyn Names,
) -> Result<Invocation, UsageError> {
    if words.is_empty() {
        return Ok(Invocation::List(Draft::new(Command::List, names).list()?));
    }
    let hint = || UsageError::Hint { program: program.to_owned() };
    let mut scanner = Scanner::new(words);
    let Ok(Some(first)) = scanner.next_option() else {
        return Err(hint());
    };
    let command = match first.word {
        Word::Help => return Ok(Invocation::Help),
        Word::Version => return Ok(Invocation::Version),
        word => command(word).ok_or_else(hint)?,
    };
    let mut draft = Draft::new(command, names);
    draft.role = role(command, first.value)?;
    while let Some(item) = scanner.next_option()? {
        draft.take(item)?;
    }
    draft.take_positional(scanner.into_positional())?;
    draft.finish()
}

const fn command(word: Word) -> Option<Command> {
    Some(match word {
        Word::AddService => Command::AddService,
        Word::EditService => Command::EditService,
        Word::DeleteService => Command::DeleteService,
        Word::AddServer => Command::AddServer,
        Word::EditServer => Command::EditServer,
        Word::DeleteServer => Command::DeleteServer,
        Word::List => Command::List,
        Word::Zero => Command::Zero,
        Word::Save => Command::Save,
        Word::Clear => Command::Flush,
        Word::Restore => Command::Restore,
        Word::Set => Command::Set,
        Word::StartDaemon => Command::StartDaemon,
        Word::StopDaemon => Command::StopDaemon,
        _ => return None,
    })
}

fn role(command: Command, value: Option<&str>) -> Result<DaemonRole, UsageError> {
    match (command, value) {
        (Command::StartDaemon | Command::StopDaemon, Some("backup")) => Ok(DaemonRole::Backup),
        (Command::StartDaemon, value) if value != Some("master") => {
            Err(invalid("illegal start-daemon parameter specified"))
        }
        (Command::StopDaemon, value) if value != Some("master") => {
            Err(invalid("illegal start_daemon specified"))
        }
        _ => Ok(DaemonRole::Master),
    }
}

fn invalid(message: &str) -> UsageError {
    UsageError::invalid(message)
}

/// A command line half read.
pub(super) struct Draft<'a> {
    pub(super) command: Command,
    names: &'a dyn Names,
    pub(super) given: Given,
    role: DaemonRole,
    pub(super) service: Option<ServiceKey>,
    pub(super) scheduler: Option<&'a str>,
    pub(super) scheduler_flags: &'a str,
    pub(super) persistence: Option<u32>,
    netmask: Option<&'a str>,
    pub(super) prefix: Option<u8>,
    pub(super) engine: Option<&'a str>,
    pub(super) server: Option<(IpAddr, u16)>,
    pub(super) forwarding: Word,
    pub(super) tunnel: TunnelType,
    pub(super) tunnel_port: Option<u16>,
    pub(super) tunnel_checksum: TunnelChecksum,
    pub(super) weight: Weight,
    pub(super) upper: u32,
    pub(super) lower: u32,
    daemon: DaemonOptions<'a>,
    timeouts: Timeouts,
}

impl<'a> Draft<'a> {
    fn new(command: Command, names: &'a dyn Names) -> Self {
        Self {
            command,
            names,
            given: Given::default(),
            role: DaemonRole::Master,
            service: None,
            scheduler: None,
            scheduler_flags: "",
            persistence: None,
            netmask: None,
            prefix: None,
            engine: None,
            server: None,
            forwarding: Word::Gatewaying,
            tunnel: TunnelType::default(),
            tunnel_port: None,
            tunnel_checksum: TunnelChecksum::None,
            weight: Weight::ONE,
            upper: 0,
            lower: 0,
            daemon: DaemonOptions::default(),
            timeouts: Timeouts::default(),
        }
    }

    fn take(&mut self, item: Item<'a>) -> Result<(), UsageError> {
        let Some(subject) = subject(item.word) else {
            return self.take_modifier(item);
        };
        self.given.note(subject)?;
        let value = item.value.unwrap_or_default();
        match subject {
            Subject::Service => self.take_service(item.word, value),
            Subject::RealServer => self.take_server(value),
            Subject::Persistent => self.take_persistence(item.value),
            Subject::McastInterface
            | Subject::SyncId
            | Subject::SyncMaxlen
            | Subject::McastGroup
            | Subject::McastPort
            | Subject::McastTtl => self.take_daemon(subject, value),
            Subject::TunnelType
            | Subject::TunnelPort
            | Subject::TunnelNoChecksum
            | Subject::TunnelChecksum
            | Subject::TunnelRemoteChecksum => self.take_tunnel(subject, value),
            _ => self.take_plain(subject, item.word, value),
        }
    }

    /// Options that may be repeated, and words that are no options at this place.
    fn take_modifier(&mut self, item: Item<'_>) -> Result<(), UsageError> {
        match item.word {
            Word::Sort => Ok(()),
            Word::Ipv6 => match &mut self.service {
                Some(ServiceKey::Mark { family, .. }) => {
                    *family = Family::Ipv6;
                    Ok(())
                }
                _ => Err(invalid("-6 used before -f\n")),
            },
            _ => Err(UsageError::invalid(format!("invalid option `{}'", item.spelled))),
        }
    }

    fn take_service(&mut self, word: Word, text: &str) -> Result<(), UsageError> {
        let protocol = match word {
            Word::TcpService => Protocol::Tcp,
            Word::UdpService => Protocol::Udp,
            Word::SctpService => Protocol::Sctp,
            _ => return self.take_mark(text),
        };
        let (address, port) = endpoint(text, Some(protocol), self.names)
            .ok_or_else(|| invalid("illegal virtual server address[:port] specified"))?;
        let address = (address, port.unwrap_or(0)).into();
        self.service = Some(ServiceKey::Address { protocol, address });
        Ok(())
    }

    fn take_mark(&mut self, text: &str) -> Result<(), UsageError> {
        let mark = number(text, 1..=u32::MAX).and_then(FirewallMark::new);
        let mark = mark.ok_or_else(|| {
            UsageError::invalid(format!("invalid fwmark value `{text}' specified"))
        })?;
        self.service = Some(ServiceKey::mark(mark, Family::Ipv4));
        Ok(())
    }

    fn take_server(&mut self, text: &str) -> Result<(), UsageError> {
        let (protocol, inherited) = match self.service {
            Some(ServiceKey::Address { protocol, address }) => (Some(protocol), address.port()),
            Some(ServiceKey::Mark { .. }) => (Some(Protocol::Tcp), 0),
            None => (None, 0),
        };
        let (address, port) = endpoint(text, protocol, self.names)
            .ok_or_else(|| invalid("illegal real server address[:port] specified"))?;
        self.server = Some((address, port.unwrap_or(inherited)));
        Ok(())
    }

    fn take_persistence(&mut self, value: Option<&str>) -> Result<(), UsageError> {
        const DEFAULT: u32 = 360;
        self.persistence = Some(match value {
            Some(text) => timeout(text, 1)?,
            None => DEFAULT,
        });
        Ok(())
    }

    fn take_plain(
        &mut self,
        subject: Subject,
        word: Word,
        value: &'a str,
    ) -> Result<(), UsageError> {
        const MAX: u32 = Weight::MAX.get();
        let threshold = |message| number(value, 0..=MAX).ok_or_else(|| invalid(message));
        match subject {
            Subject::Scheduler => self.scheduler = Some(value),
            Subject::SchedulerFlags => self.scheduler_flags = value,
            Subject::Netmask => self.netmask = Some(value),
            Subject::Engine => self.engine = Some(value).filter(|name| !name.is_empty()),
            Subject::Forwarding => self.forwarding = word,
            Subject::Weight => {
                let weight = number(value, 0..=MAX).and_then(|w| Weight::new(w).ok());
                self.weight = weight.ok_or_else(|| invalid("illegal weight specified"))?;
            }
            Subject::UpperThreshold => self.upper = threshold("illegal u_threshold specified")?,
            Subject::LowerThreshold => self.lower = threshold("illegal l_threshold specified")?,
            _ => {}
        }
        Ok(())
    }

    fn take_tunnel(&mut self, subject: Subject, value: &str) -> Result<(), UsageError> {
        match subject {
            Subject::TunnelPort => {
                let port = number(value, 1..=65535).and_then(|port| u16::try_from(port).ok());
                self.tunnel_port =
                    Some(port.ok_or_else(|| invalid("illegal tunnel port specified"))?);
            }
            Subject::TunnelChecksum => self.tunnel_checksum = TunnelChecksum::Plain,
            Subject::TunnelRemoteChecksum => self.tunnel_checksum = TunnelChecksum::Remote,
            Subject::TunnelType => {
                self.tunnel = match value {
                    "ipip" => TunnelType::Ipip,
                    "gue" => TunnelType::Gue,
                    "gre" => TunnelType::Gre,
                    _ => return Err(invalid("illegal tunnel type specified")),
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn take_daemon(&mut self, subject: Subject, value: &'a str) -> Result<(), UsageError> {
        fn read<T: TryFrom<u32>>(
            value: &str,
            range: std::ops::RangeInclusive<u32>,
            what: &str,
        ) -> Result<T, UsageError> {
            let number = number(value, range).and_then(|number| T::try_from(number).ok());
            number.ok_or_else(|| UsageError::invalid(format!("illegal {what} specified")))
        }
        let daemon = &mut self.daemon;
        match subject {
            Subject::SyncId => daemon.sync_id = read(value, 0..=255, "syncid")?,
            Subject::SyncMaxlen => {
                daemon.max_len = NonZeroU16::new(read(value, 1..=65507, "sync-maxlen")?);
            }
            Subject::McastPort => {
                daemon.port = NonZeroU16::new(read(value, 1..=65535, "mcast-port")?)
            }
            Subject::McastTtl => daemon.ttl = NonZeroU8::new(read(value, 1..=255, "mcast-ttl")?),
            Subject::McastGroup => daemon.group = Some(group(value)?),
            _ => daemon.interface = value,
        }
        Ok(())
    }

    fn take_positional(&mut self, words: Vec<&str>) -> Result<(), UsageError> {
        let mut words = words.into_iter();
        if self.command == Command::Set {
            let mut next = || {
                let word = words.next();
                word.ok_or_else(|| invalid("--set option requires 3 timeout values"))
            };
            let texts = [next()?, next()?, next()?];
            let [tcp, tcp_fin, udp] = texts.map(|text| timeout(text, 0).map(seconds));
            self.timeouts = Timeouts::new(tcp?, tcp_fin?, udp?);
        }
        words
            .next()
            .map_or(Ok(()), |word| Err(UsageError::invalid(format!("unexpected argument {word}"))))
    }

    fn finish(mut self) -> Result<Invocation, UsageError> {
        self.read_netmask()?;
        check_command(self.command, self.given)?;
        let dry_run = self.given.has(Subject::DryRun);
        let request = match self.command {
            Command::List => return Ok(Invocation::List(self.list()?)),
            Command::Save => {
                let numeric = self.given.has(Subject::Numeric);
                return Ok(Invocation::Save { numeric });
            }
            Command::Restore => {
                let check = self.given.has(Subject::Check);
                return Ok(Invocation::Restore { check, dry_run });
            }
            Command::Flush => Request::Flush,
            Command::Zero => Request::Zero(self.service),
            Command::Set => Request::SetTimeouts(self.timeouts),
            Command::StartDaemon => self.start_daemon()?,
            Command::StopDaemon => Request::StopDaemon(self.role),
            Command::AddService | Command::EditService | Command::DeleteService => {
                build::service(&self)?
            }
            Command::AddServer | Command::EditServer | Command::DeleteServer => {
                build::server(&self)?
            }
        };
        Ok(Invocation::Change { request, dry_run })
    }

    /// The mask is read last, so that it means the same before and after the service it is for.
    fn read_netmask(&mut self) -> Result<(), UsageError> {
        let Some(text) = self.netmask else {
            return Ok(());
        };
        let family = self.service.map_or(Family::Ipv4, |key| key.family());
        self.prefix = netmask(text, family);
        match (self.prefix, family) {
            (Some(_), _) => Ok(()),
            (None, Family::Ipv4) => {
                Err(invalid("illegal virtual server persistent mask specified"))
            }
            (None, Family::Ipv6) => Err(invalid("illegal ipv6 netmask specified")),
        }
    }

    fn start_daemon(&self) -> Result<Request, UsageError> {
        self.daemon.start(self.role).map(Request::StartDaemon)
    }

    fn list(&self) -> Result<List, UsageError> {
        use Subject::{
            Connection, Daemon, PersistentConn, Rate, Stats, Thresholds, Timeout, TunnelInfo,
        };
        let given = self.given;
        let not_table = given.has_any(&[Connection, Timeout, Daemon]);
        let engines = given.has(PersistentConn);
        if not_table && given.has_any(&[Stats, Rate, Thresholds])
            || engines && given.has_any(&[Timeout, Daemon])
        {
            return Err(invalid("options conflicts in the list command"));
        }
        let views = [
            (Connection, View::Connections { engines }),
            (Timeout, View::Timeouts),
            (Daemon, View::Daemons),
            (Stats, View::Table(Columns::Counters)),
            (Rate, View::Table(Columns::Rates)),
            (Thresholds, View::Table(Columns::Thresholds)),
            (PersistentConn, View::Table(Columns::Persistent)),
            (TunnelInfo, View::Table(Columns::Tunnels)),
        ];
        let chosen = views.into_iter().find(|(subject, _)| given.has(*subject));
        Ok(List {
            view: chosen.map_or(View::Table(Columns::Load), |(_, view)| view),
            service: self.service,
            numeric: given.has(Subject::Numeric),
            exact: given.has(Subject::Exact),
            unsorted: given.has(Subject::NoSort),
            json: given.has(Subject::Json),
        })
    }
}

const fn subject(word: Word) -> Option<Subject> {
    Some(match word {
        Word::TcpService | Word::UdpService | Word::SctpService | Word::FirewallMark => {
            Subject::Service
        }
        Word::Masquerading | Word::Ipip | Word::Gatewaying => Subject::Forwarding,
        Word::Scheduler => Subject::Scheduler,
        Word::Engine => Subject::Engine,
        Word::Persistent => Subject::Persistent,
        Word::Netmask => Subject::Netmask,
        Word::RealServer => Subject::RealServer,
        Word::Weight => Subject::Weight,
        Word::UpperThreshold => Subject::UpperThreshold,
        Word::LowerThreshold => Subject::LowerThreshold,
        Word::Connection => Subject::Connection,
        Word::Timeout => Subject::Timeout,
        Word::Daemon => Subject::Daemon,
        Word::Stats => Subject::Stats,
        Word::Rate => Subject::Rate,
        Word::Thresholds => Subject::Thresholds,
        Word::PersistentConn => Subject::PersistentConn,
        Word::TunnelInfo => Subject::TunnelInfo,
        Word::TunnelType => Subject::TunnelType,
        Word::TunnelPort => Subject::TunnelPort,
        Word::TunnelNoChecksum => Subject::TunnelNoChecksum,
        Word::TunnelChecksum => Subject::TunnelChecksum,
        Word::TunnelRemoteChecksum => Subject::TunnelRemoteChecksum,
        Word::NoSort => Subject::NoSort,
        Word::Exact => Subject::Exact,
        Word::Numeric => Subject::Numeric,
        Word::OnePacket => Subject::OnePacket,
        Word::SchedulerFlags => Subject::SchedulerFlags,
        Word::McastInterface => Subject::McastInterface,
        Word::SyncId => Subject::SyncId,
        Word::SyncMaxlen => Subject::SyncMaxlen,
        Word::McastGroup => Subject::McastGroup,
        Word::McastPort => Subject::McastPort,
        Word::McastTtl => Subject::McastTtl,
        Word::Json => Subject::Json,
        Word::DryRun => Subject::DryRun,
        Word::Check => Subject::Check,
        _ => return None,
    })
}

/// A timeout in seconds, `least` to 31 days.
fn timeout(text: &str, least: u32) -> Result<u32, UsageError> {
    const MAX: u32 = 31 * 24 * 60 * 60;
    number(text, least..=MAX)
        .ok_or_else(|| UsageError::invalid(format!("invalid timeout value `{text}' specified")))
}

fn group(text: &str) -> Result<IpAddr, UsageError> {
    let version = if text.contains(':') { 6 } else { 4 };
    let group: Option<IpAddr> = text.parse().ok();
    let multicast = group.filter(IpAddr::is_multicast);
    multicast
        .ok_or_else(|| UsageError::invalid(format!("invalid IPv{version} mcast-group `{text}'")))
}

/// A name that no interface can have.
fn no_device<E>(_: E) -> UsageError {
    UsageError::Refused("No such device")
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The options of `--start-daemon`.
struct DaemonOptions<'a> {
    interface: &'a str,
    sync_id: u8,
    max_len: Option<NonZeroU16>,
    group: Option<IpAddr>,
    port: Option<NonZeroU16>,
    ttl: Option<NonZeroU8>,
}

impl Default for DaemonOptions<'_> {
    fn default() -> Self {
        Self { interface: "eth0", sync_id: 0, max_len: None, group: None, port: None, ttl: None }
    }
}

impl DaemonOptions<'_> {
    fn start(&self, role: DaemonRole) -> Result<Daemon, UsageError> {
        let daemon = Daemon::new(role, self.interface);
        let mut daemon = daemon.map_err(no_device)?.with_sync_id(self.sync_id);
        if let Some(length) = self.max_len {
            daemon = daemon.with_max_length(length);
        }
        if let Some(group) = self.group {
            let with_group = daemon.with_group(group);
            daemon = with_group.map_err(|error| UsageError::invalid(error.to_string()))?;
        }
        if let Some(port) = self.port {
            daemon = daemon.with_port(port);
        }
        if let Some(ttl) = self.ttl {
            daemon = daemon.with_ttl(ttl);
        }
        Ok(daemon)
    }
}

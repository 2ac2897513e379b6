//! Why the kernel did not do what it was asked.

use std::fmt;
use std::io;

use super::abi::errno;
use super::reply::Malformed;
use super::request::Request;

/// A request that failed: what it was about, what it attempted, why it failed.
///
/// Unless [the reason](KernelError::reason) says that the outcome is unknown, nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelError {
    object: Box<str>,
    attempted: &'static str,
    reason: Reason,
}

/// Why a request failed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The kernel has no IPVS, or its module is not loaded.
    NoIpvs,
    /// Reading too needs `CAP_NET_ADMIN` (EPERM): in the initial user namespace, or, by socket
    /// options, in the one that owns the network namespace.
    NotPrivileged,
    /// A service, a destination or a daemon that is there already (EEXIST).
    Exists,
    /// The service is not there (ESRCH).
    NoService,
    /// The destination is not there (ENOENT).
    NoDestination,
    /// No daemon of this role runs (ESRCH).
    NoDaemon,
    /// The kernel has no such scheduler, or no such persistence engine, and found no module (ENOENT).
    NoScheduler {
        /// The scheduler asked for.
        scheduler: Box<str>,
        /// The persistence engine asked for.
        engine: Option<Box<str>>,
    },
    /// There is no such interface (ENODEV).
    NoInterface,
    /// The kernel lacks this address family (EAFNOSUPPORT).
    NoFamily,
    /// A value is not one the kernel takes (EINVAL, ERANGE): what to look at.
    Invalid(&'static str),
    /// The module is being unloaded (ENOPROTOOPT). A retry can help once it is back.
    Unloading,
    /// A listing was changed while it was read, again and again.
    Interrupted,
    /// The kernel had no room for its answer (ENOBUFS). Whether a change was made is unknown.
    AnswerLost,
    /// The answer was longer than the buffer. Whether a change was made is unknown.
    AnswerCut,
    /// There was no answer in time. Whether a change was made is unknown.
    NoAnswer,
    /// The answer is not what the interface says: what is wrong with it.
    Malformed(Malformed),
    /// The socket options, which are all that a rootless namespace grants, have no words for it:
    /// what they lack. Nothing was asked.
    NotCarried(&'static str),
    /// Any other error, by number.
    Os(i32),
}

impl KernelError {
    /// The failure of something that is not a request, such as opening the socket: `attempted`
    /// completes "cannot".
    #[must_use]
    pub fn new(object: impl fmt::Display, attempted: &'static str, reason: Reason) -> Self {
        Self { object: object.to_string().into(), attempted, reason }
    }

    pub(super) fn of(request: &Request, reason: Reason) -> Self {
        Self::new(request, request.attempted(), reason)
    }

    /// What it was about: `destination 10.0.0.2:80 of TCP 10.0.0.1:80`.
    #[must_use]
    pub const fn object(&self) -> &str {
        &self.object
    }

    /// What was attempted, to complete "cannot": `add it`.
    #[must_use]
    pub const fn attempted(&self) -> &'static str {
        self.attempted
    }

    /// Why it failed.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The kernel's error number, where it gave one.
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        self.reason.errno()
    }

    /// Whether the same request may succeed later, with nothing mended. Where the outcome is
    /// unknown, read before trying again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.reason.is_transient()
    }

    /// Whether the table differs from what the request assumed: something is there already, or is
    /// not there. Read, and plan again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        use Reason as R;
        matches!(self.reason, R::Exists | R::NoService | R::NoDestination | R::NoDaemon)
    }
}

impl Reason {
    /// What `number` means in answer to `request`.
    pub(super) fn of(request: &Request, number: i32) -> Self {
        let daemon = matches!(request, Request::StartDaemon(_) | Request::StopDaemon(_));
        match number {
            errno::EPERM | errno::EACCES => Self::NotPrivileged,
            errno::EEXIST => Self::Exists,
            errno::ESRCH if daemon => Self::NoDaemon,
            errno::ESRCH if request.service().is_some() => Self::NoService,
            errno::ENOENT => Self::missing(request),
            errno::ENODEV if daemon => Self::NoInterface,
            errno::EAFNOSUPPORT => Self::NoFamily,
            errno::ENOPROTOOPT => Self::Unloading,
            errno::EINVAL | errno::ERANGE => Self::Invalid(advice(request, number)),
            _ => Self::Os(number),
        }
    }

    fn missing(request: &Request) -> Self {
        match request {
            Request::AddService(service) | Request::EditService(service) => {
                let engine = service.persistence().and_then(|p| p.engine());
                Self::NoScheduler {
                    scheduler: service.scheduler().as_str().into(),
                    engine: engine.map(|engine| engine.as_str().into()),
                }
            }
            Request::EditDestination(..) | Request::RemoveDestination(..) => Self::NoDestination,
            _ => Self::Os(errno::ENOENT),
        }
    }

    const fn errno(&self) -> Option<i32> {
        match self {
            Self::NotPrivileged => Some(errno::EPERM),
            Self::Exists => Some(errno::EEXIST),
            Self::NoService | Self::NoDaemon => Some(errno::ESRCH),
            Self::NoIpvs | Self::NoDestination | Self::NoScheduler { .. } => Some(errno::ENOENT),
            Self::NoInterface => Some(errno::ENODEV),
            Self::NoFamily => Some(errno::EAFNOSUPPORT),
            Self::Invalid(_) => Some(errno::EINVAL),
            Self::Unloading => Some(errno::ENOPROTOOPT),
            Self::AnswerLost => Some(errno::ENOBUFS),
            Self::Os(number) => Some(*number),
            Self::Interrupted
            | Self::AnswerCut
            | Self::NoAnswer
            | Self::Malformed(_)
            | Self::NotCarried(_) => None,
        }
    }

    const fn is_transient(&self) -> bool {
        match self {
            Self::Unloading
            | Self::Interrupted
            | Self::AnswerLost
            | Self::AnswerCut
            | Self::NoAnswer => true,
            Self::Os(number) => matches!(
                *number,
                errno::EINTR | errno::EAGAIN | errno::ENOMEM | errno::EBUSY | errno::ENOBUFS
            ),
            _ => false,
        }
    }
}

/// What to look at: the kernel says no more than that a value is wrong.
const fn advice(request: &Request, number: i32) -> &'static str {
    match request {
        Request::AddDestination(..) | Request::EditDestination(..) if number == errno::ERANGE => {
            "the weight must not be negative, nor the lower threshold above the upper one"
        }
        Request::AddDestination(..) | Request::EditDestination(..) => {
            "the address must be unicast or the director's own (in a network namespace, bring `lo` \
             up first); another family than the service's needs a tunnel, and no sync daemon that \
             runs; an `mh` service must not have more servers than its table"
        }
        Request::AddService(_) | Request::EditService(_) => {
            "look at the persistence prefix and at what the scheduler demands"
        }
        Request::StartDaemon(_) => {
            "the group must be multicast, and no destination may have another family than its \
             service"
        }
        Request::SetTimeouts(_) => "a timeout is too long",
        _ => "a value is not one the kernel takes",
    }
}

impl fmt::Display for KernelError {
    /// `destination 10.0.0.2:80 of TCP 10.0.0.1:80: already exists`: the object, then the reason
    /// with its mend.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, attempted, reason } = self;
        match reason {
            Reason::Exists => write!(f, "{object}: already exists"),
            Reason::NoService => write!(f, "{object}: there is no such service"),
            Reason::NoDestination => write!(f, "{object}: there is no such destination"),
            Reason::NoDaemon => write!(f, "{object}: is not running"),
            _ => write!(f, "{object}: cannot {attempted}: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIpvs => "the kernel has no IPVS: load the module with `modprobe ip_vs`",
            Self::NotPrivileged => {
                "not permitted: it takes CAP_NET_ADMIN in the initial user namespace, or for IPv4 in \
                 the one that owns the network namespace; run as root on the host, or in a user and \
                 network namespace of your own"
            }
            Self::Exists => "already exists",
            Self::NoService => "there is no such service",
            Self::NoDestination => "there is no such destination",
            Self::NoDaemon => "is not running",
            Self::NoScheduler { scheduler, engine } => {
                write!(f, "the kernel has no scheduler {scheduler}")?;
                if let Some(engine) = engine {
                    write!(f, " or no persistence engine {engine}")?;
                }
                write!(f, ": it found no module ip_vs_{scheduler}")?;
                return engine.as_ref().map_or(Ok(()), |engine| write!(f, " or ip_vs_pe_{engine}"));
            }
            Self::NoInterface => "there is no such interface",
            Self::NoFamily => "the kernel was built without this address family",
            Self::Invalid(advice) => return write!(f, "invalid: {advice}"),
            Self::Unloading => "the module ip_vs is being unloaded",
            Self::Interrupted => "the table changed each time it was read",
            Self::AnswerLost => "the kernel had no room for its answer; the outcome is unknown",
            Self::AnswerCut => "the answer did not fit into the buffer; the outcome is unknown",
            Self::NoAnswer => "there was no answer in time; the outcome is unknown",
            Self::Malformed(what) => return what.fmt(f),
            Self::NotCarried(what) => {
                return write!(
                    f,
                    "the socket options, which are all that is granted here, have no {what}: run \
                     with CAP_NET_ADMIN in the initial user namespace"
                );
            }
            Self::Os(number) => return io::Error::from_raw_os_error(*number).fmt(f),
        })
    }
}

impl std::error::Error for KernelError {}

//! Health: is a real server fit to take connections?
//!
//! What to probe is a [`CheckSpec`], or a program's own [`Check`]. What follows from the results
//! is decided by a [`Monitor`], one for each real server of a service: a pure state machine with
//! the rules of Piranha's nanny. `runtime::checks` has the built-in checks and the task that
//! drives a monitor.
//!
//! ```
//! use piranha::health::{Failure, Monitor, MonitorConfig, Output};
//! use piranha::net::Weight;
//! use piranha::time::Instant;
//!
//! let mut monitor = Monitor::new(Instant::ZERO, MonitorConfig::default());
//! monitor.handle_timeout(Instant::ZERO);
//! let Some(Output::Probe { id, deadline }) = monitor.poll_output() else { unreachable!() };
//!
//! // The driver probes the server until the deadline and reports.
//! monitor.handle_result(Instant::from_millis(5), id, Ok(()));
//! assert!(matches!(monitor.poll_output(), Some(Output::Changed { .. })));
//! assert_eq!(monitor.poll_output(), Some(Output::Weight(Some(Weight::ONE))));
//! ```

mod agent;
#[cfg(feature = "runtime")]
mod check;
mod failure;
mod flaps;
mod load;
mod monitor;
mod settings;
mod slow_start;
mod spec;

pub use agent::{AgentError, AgentMode, AgentReport, AgentState};
#[cfg(feature = "runtime")]
pub use async_trait::async_trait;
#[cfg(feature = "runtime")]
pub use check::Check;
pub use failure::{Excerpt, Failure, Reason, Stage};
pub use flaps::FlapLimit;
pub use load::{
    Load, LoadCommand, LoadFormula, LoadMonitor, LoadSource, LoadWeight, OutputError, Steer,
};
pub use monitor::{Beat, Counters, Health, Monitor, Output, Override, ProbeId, Snapshot, Status};
pub use settings::{InitialState, Jitter, MonitorConfig, rise_from_reentry, spread};
pub use slow_start::SlowStart;
pub use spec::{
    Application, ApplicationSpec, BodyExpect, BytePattern, CheckPath, CheckSpec, DnsSpec, Expect,
    GrpcSpec, Header, HttpSpec, HttpVersion, Identity, JsonExpect, Pin, ProgramSpec, RadiusSpec,
    Security, StatusSet, TlsSpec, decode_escapes,
};

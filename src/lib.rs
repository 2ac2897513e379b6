//! Highly available load balancers out of Linux Virtual Server (LVS), as a library.
//!
//! Two directors share floating addresses, spread TCP and UDP connections over a pool of real
//! servers, check those servers, and take over from each other when one fails. The daemons
//! `pulse`, `lvs` and `nanny` are thin consumers of this crate; a program that links it gets the
//! same parts, each of which is usable alone:
//!
//! | to | use |
//! |---|---|
//! | spread work over servers by the kernel's schedulers | [`scheduler::Pool`] |
//! | describe virtual services and bring a data plane to them | [`ipvs::Table`], [`ipvs::plan()`], [`ipvs::Backend`] |
//! | balance TCP, UDP and FTP in this process | [`runtime::relay::Relay`] |
//! | judge whether a server is fit | [`health::Monitor`], [`health::Check`] |
//! | decide which of two nodes is active | [`failover::Heartbeat`], [`failover::pulse::Pulse`] |
//! | read and edit lvs.cf | [`config::load`], [`config::Document`] |
//! | run a whole director | [`runtime::director::Director`], [`runtime::node::Node`] |
//!
//! # A director in a program
//!
//! ```no_run
//! use piranha::control::supervision::Report;
//! use piranha::runtime::{configuration, director::Director, node::Node};
//! use std::sync::Arc;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let path = std::path::PathBuf::from("/etc/sysconfig/ha/lvs.cf");
//! let observer: piranha::runtime::heartbeat::Observer = Arc::new(|event| eprintln!("{event}"));
//! let config = configuration::read(&path)?.config;
//!
//! // The data plane and the checks, warm before the first takeover ...
//! let mut link = Director::start(path, Arc::clone(&observer)).await?.spawn();
//! let Some(Report::Configured(terms)) = link.reports.recv().await else { return Ok(()) };
//! // ... and the heartbeat that decides when this node holds the addresses.
//! let node = Node::new(&config, *terms, link, false, observer)?;
//! node.run().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The contract of the pure core
//!
//! Everything outside [`runtime`] and [`cli`] is pure: it never reads a clock, opens a socket or a
//! file, spawns, or draws randomness. State machines take `handle_*(now, ..)` inputs and a
//! `handle_timeout(now)`, tell their next deadline by `poll_timeout()`, and are drained through one
//! ordered `poll_output()` after each input. What can fail comes back as an input: an address is
//! announced only after adding it was confirmed. [`time::Instant`] is the crate's own, so that a
//! recorded run can be replayed and tests construct any moment.
//!
//! # Layers
//!
//! ```text
//!              pulse  lvs  nanny  ipvsadm  piranha                 your program
//!                         cli                                           |
//!  ----------------------------------------------------------------     |
//!  runtime    heartbeat  addresses  director  checks  relay  kernel  <--+   sockets, clocks, tasks
//!  ----------------------------------------------------------------     |
//!  config   control   web                                               |
//!  failover   health   scheduler   ipvs                              <--+   pure: values in, values out
//!  wire   net   time                                                    |
//!  ----------------------------------------------------------------     |
//!  sim        the pure layers, in virtual time, against faults       <--+
//! ```
//!
//! [`time`], [`net`] and [`wire`] know nothing of the others. On them stand the model in [`ipvs`],
//! the [`scheduler`]s, [`health`] and [`failover`]; above those [`config`] and [`control`], which
//! say what should be; then the drivers in [`runtime`], and the command lines in [`cli`]. The
//! simulator (feature `sim`) drives the same machines as [`runtime`].
//!
//! # Features
//!
//! All features only add. `default-features = false` leaves the pure core, with serde and
//! thiserror as its dependencies.
//!
//! | feature | is | brings |
//! |---|---|---|
//! | `auth` | HMAC-SHA-256 for heartbeats | |
//! | `runtime` | the drivers, on tokio and epoll; Linux | `auth` |
//! | `kernel` | the kernel's IPVS, links and addresses over netlink | `runtime` |
//! | `tls` | checks over TLS, mail and webhooks over TLS | `runtime` |
//! | `dns` | checks that ask a name server | `runtime` |
//! | `http2` | checks over HTTP/2 and of gRPC | `runtime` |
//! | `peer` | the connection between the two nodes | `tls` |
//! | `cli` (default) | what the binaries need | all of the above |
//! | `tui` (default) | `piranha top` | `cli` |
//! | `web` (default) | the GUI and the HTTP API | `tls` |
//! | `sim` | the simulator of whole clusters | |
//!
//! `examples/README.md` says what each example shows; `docs/` is the book.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod control;
pub mod failover;
pub mod health;
pub mod ipvs;
pub mod net;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
#[cfg(feature = "web")]
pub mod web;
pub mod wire;

/// The README's example, to be compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// That of the book's chapter for programmers.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;

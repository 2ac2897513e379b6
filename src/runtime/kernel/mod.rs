//! Control of the kernel's IPVS: a blocking client, one for tokio, and the data plane over it.
//!
//! What is said and how it is read is [`ipvs::kernel`](crate::ipvs::kernel)'s; here are the sockets.
//! Which of the kernel's two interfaces is spoken, a client finds out: see [`Transport`].
//!
//! ```no_run
//! use piranha::ipvs::{Service, ServiceKey};
//! use piranha::runtime::kernel::Client;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::new()?;
//! client.add_service(Service::new(ServiceKey::tcp("192.0.2.80:80".parse()?)))?;
//! for entry in client.table()?.iter() {
//!     println!("{} has {} servers", entry.service().key(), entry.destinations().len());
//! }
//! # Ok(())
//! # }
//! ```

mod answers;
mod async_client;
mod backend;
mod client;
mod methods;
mod namespace;
mod options;
mod socket;
mod system;
mod transport;

use std::collections::BTreeMap;
use std::time::Duration;

pub use answers::Listed;
pub use async_client::AsyncClient;
pub use backend::Kernel;
pub use client::Client;
pub use namespace::Namespace;
pub use system::{load_module, running_kernel};
pub use transport::Transport;

use crate::ipvs::kernel::{Exchange, Ticket};
use answers::Answer;

/// How long an answer may take. The kernel gives it within the send, so that this only passes when
/// the answer was lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The answers to these requests, in their order.
fn collect(exchange: &mut Exchange, tickets: &[Ticket]) -> Vec<Answer> {
    let mut answers = BTreeMap::new();
    while let Some(outcome) = exchange.poll_outcome() {
        answers.insert(outcome.ticket, outcome.result);
    }
    let answers = tickets.iter().filter_map(|ticket| answers.remove(ticket));
    answers.collect()
}

/// The examples of the page are compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/controlling-ipvs.md")]
struct ControllingIpvs;

//! The GUI and the HTTP API, as far as they are values: no clock, no socket, no file.
//!
//! - [`ROUTES`]: the one table of what can be asked, by whom. The server dispatches from it, the
//!   tests walk it, and the description of the API is made of it.
//! - [`Role`]: what a user may do.
//! - `guard`: whether a request comes from where it says; `headers`: what every answer carries.
//! - `session`, `throttle`, `account`: who is logged in, who has to wait, who there is.
//! - `audit`: what is noted of every change.
//! - `lines`: two texts compared.
//! - `connections`: who is connected to a service; `listing`: the table as ipvsadm prints it;
//!   `csv`: services and servers for spreadsheets.
//! - `problem`: how an error is told (RFC 9457).
//! - `live`, `history`, `chronicle`: what is told every second, what was, what happened.
//! - `page`: what the pages show; `asset`: their style sheets and scripts.
//! - [`openapi()`]: the description of the API.
//!
//! `runtime::web` has the sockets.
//!
//! ```
//! use piranha::web::{Found, Method, find};
//!
//! let Found::Route(route, _) = find("GET", "/api/v1/status") else { unreachable!() };
//! assert!(!route.method.changes());
//! assert!(matches!(find("PUT", "/api/v1/status"), Found::OtherMethod(_)));
//! assert!(matches!(find("GET", "/api/v1/nothing"), Found::Nothing));
//! ```

pub(crate) mod account;
pub(crate) mod asset;
pub(crate) mod audit;
pub(crate) mod chronicle;
pub(crate) mod connections;
pub(crate) mod csv;
pub(crate) mod form;
pub(crate) mod guard;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod lines;
pub(crate) mod listing;
pub(crate) mod live;
mod openapi;
pub(crate) mod page;
pub(crate) mod problem;
mod role;
mod route;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod throttle;

pub use openapi::openapi;
pub use role::{NoSuchRole, Role};
pub use route::{Access, Endpoint, Field, Found, Kind, Method, Parameters, ROUTES, Route, find};

//! What the pages show: values for the templates.

mod config;
mod connections;
mod flow;
mod frame;
mod glyph;
mod heard;
mod lists;
mod number;
mod overview;
mod service;
mod system;

use askama::Template;

pub(crate) use config::{Comparison, Config, Files, Past};
pub(crate) use connections::{ConnectionsPage, Listing, ServerLoads};
pub(crate) use frame::{Frame, sentence};
pub(crate) use glyph::{Glyph, UNKNOWN};
pub(crate) use heard::Heard;
pub(crate) use lists::{Accounts, Audit, Events, Help, SessionRow, TokenRow, UserRow};
pub(crate) use overview::{Cluster, Kiosk, Overview};
pub(crate) use service::{Service, ServiceRow, Services, rows};
pub(crate) use system::{Certificate, EXPIRY_WARNING, Program, System};

/// Where one logs in.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct Login<'a> {
    node: &'a str,
    fingerprint: &'a str,
    next: &'a str,
    user: &'a str,
    fault: Option<&'a str>,
}

impl<'a> Login<'a> {
    pub(crate) const fn new(
        node: &'a str,
        fingerprint: &'a str,
        next: &'a str,
        user: &'a str,
        fault: Option<&'a str>,
    ) -> Self {
        Self { node, fingerprint, next, user, fault }
    }
}

/// Where the first admin is made.
#[derive(Debug, Template)]
#[template(path = "setup.html")]
pub(crate) struct Setup<'a> {
    node: &'a str,
    user: &'a str,
    fault: Option<&'a str>,
}

impl<'a> Setup<'a> {
    pub(crate) const fn new(node: &'a str, user: &'a str, fault: Option<&'a str>) -> Self {
        Self { node, user, fault }
    }
}

/// Why there is no page.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct Failure<'a> {
    pub(crate) node: &'a str,
    pub(crate) title: &'a str,
    pub(crate) mend: &'a str,
}

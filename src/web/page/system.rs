//! The programs of this node.

use askama::Template;

use super::frame::Frame;
use super::glyph::{Glyph, UNKNOWN};
use crate::control::status::{DataPlane, Process, Reading};

/// What runs here, the certificate of these pages, and what helps who has to help.
#[derive(Debug, Template)]
#[template(path = "system.html")]
pub(crate) struct System {
    pub(crate) frame: Frame,
    pub(crate) programs: Vec<Program>,
    pub(crate) plane: Option<DataPlane>,
    /// Its fingerprint, and whether somebody gave it.
    pub(crate) certificate: (String, bool),
}

/// A program as a row.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    purpose: &'static str,
    glyph: Glyph,
    version: String,
    pid: String,
    uptime: String,
    /// Why nothing is known of it, if that is so.
    unknown: String,
}

impl Program {
    pub(crate) fn new<T>(
        (name, purpose): (&'static str, &'static str),
        said: &Reading<T>,
        process: fn(&T) -> &Process,
    ) -> Self {
        let none = String::new;
        match said {
            Reading::Known(said) => {
                let process = process(said);
                let glyph = Glyph { shape: "up", word: "RUNS" };
                let (version, uptime) = (process.version.clone(), process.uptime.to_string());
                let pid = process.pid.to_string();
                Self { name, purpose, glyph, version, pid, uptime, unknown: none() }
            }
            Reading::Unknown { reason } => {
                let unknown = reason.clone();
                let (version, pid, uptime) = (none(), none(), none());
                Self { name, purpose, glyph: UNKNOWN, version, pid, uptime, unknown }
            }
        }
    }
}

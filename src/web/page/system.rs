//! The programs of this node.

use std::time::Duration;

use askama::Template;

use super::frame::Frame;
use super::glyph::{Glyph, UNKNOWN};
use crate::control::Timestamp;
use crate::control::status::{DataPlane, Process, Reading};

/// What runs here, the certificate of these pages, and what helps who has to help.
#[derive(Debug, Template)]
#[template(path = "system.html")]
pub(crate) struct System {
    pub(crate) frame: Frame,
    pub(crate) programs: Vec<Program>,
    pub(crate) plane: Option<DataPlane>,
    pub(crate) certificate: Certificate,
}

/// A certificate that ends within this time is warned of.
pub(crate) const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The certificate of the pages.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) fingerprint: String,
    /// Whether somebody gave it.
    pub(crate) is_given: bool,
    /// When it ends, where that can be read.
    pub(crate) ends: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

impl Certificate {
    /// Whether it ends soon, or has ended.
    fn is_ending(&self) -> bool {
        self.ends.is_some_and(|ends| ends.since(self.now) < EXPIRY_WARNING)
    }

    /// When it ends, in words.
    fn validity(&self) -> String {
        let Some(ends) = self.ends else { return "When it ends cannot be read.".to_owned() };
        let (date, days) = (ends.date(), ends.since(self.now).as_secs() / 86400);
        match days {
            _ if ends <= self.now => format!("It ended on {date}: browsers refuse it. Renew it."),
            _ if self.is_ending() => format!("It ends on {date}, in {days} days: renew it."),
            _ => format!("It ends on {date}, in {days} days."),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_told_and_warned_of_in_time() {
        const DAY: u64 = 86_400_000;
        let now = Timestamp(1_795_372_245_250);
        let at = |ends: Option<u64>| {
            let ends = ends.map(Timestamp);
            Certificate { fingerprint: String::new(), is_given: true, ends, now }
        };
        let later = at(Some(now.0 + 20 * DAY));
        assert!(!later.is_ending() && later.validity().ends_with("in 20 days."), "{later:?}");
        let soon = at(Some(now.0 + 13 * DAY));
        assert!(soon.is_ending() && soon.validity().ends_with("in 13 days: renew it."), "{soon:?}");
        let over = at(Some(now.0 - DAY));
        assert!(over.is_ending() && over.validity().contains("refuse it"), "{over:?}");
        assert!(!at(None).is_ending());
    }
}

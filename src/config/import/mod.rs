//! Configurations of other programs as lvs.cf.
//!
//! What lvs.cf can say is said; whatever it cannot is listed with its line and the reason.
//! Nothing is dropped in silence, and nothing is guessed without a word.
//!
//! ```
//! use piranha::config::import::{Given, Source, import};
//!
//! let saved = b"-A -t 192.0.2.80:80 -s rr\n-a -t 192.0.2.80:80 -r 10.0.0.1:80 -m -w 3\n";
//! assert_eq!(Source::detect(saved), Some(Source::Ipvsadm));
//! let given = Given { primary: Some([192, 0, 2, 11].into()), ..Given::default() };
//! let imported = import(Source::Ipvsadm, saved, &given)?;
//! assert!(imported.document.to_string().contains("weight = 3"));
//! # Ok::<(), piranha::config::import::ImportError>(())
//! ```

mod importer;
mod ipvsadm;
mod keepalived;
mod ldirectord;
mod service;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;

use super::Document;
use super::syntax::{MAX_FILE, MAX_LINE};
use importer::Importer;

/// What a configuration is written for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// keepalived.conf.
    Keepalived,
    /// ldirectord.cf.
    Ldirectord,
    /// What `ipvsadm -Sn` prints.
    Ipvsadm,
}

impl Source {
    /// What `text` most likely is: the first line that only one of them could have decides.
    #[must_use]
    pub fn detect(text: &[u8]) -> Option<Self> {
        String::from_utf8_lossy(text).lines().find_map(|line| {
            match line.split_whitespace().next()? {
                "-A" | "-a" => Some(Self::Ipvsadm),
                word if word.starts_with("virtual=") || word.starts_with("virtual6=") => {
                    Some(Self::Ldirectord)
                }
                "virtual_server" | "virtual_server_group" | "vrrp_instance" | "global_defs" => {
                    Some(Self::Keepalived)
                }
                _ if line.starts_with("virtual") && line.contains('=') => Some(Self::Ldirectord),
                _ => None,
            }
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keepalived => "keepalived",
            Self::Ldirectord => "ldirectord",
            Self::Ipvsadm => "ipvsadm",
        })
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "keepalived" => Ok(Self::Keepalived),
            "ldirectord" => Ok(Self::Ldirectord),
            "ipvsadm" => Ok(Self::Ipvsadm),
            _ => Err("there are keepalived, ldirectord and ipvsadm".to_owned()),
        }
    }
}

/// What lvs.cf must have and the other file may not say.
#[allow(clippy::exhaustive_structs, reason = "made by whoever imports")]
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Public address of the primary director.
    pub primary: Option<IpAddr>,
    /// Public address of the backup director.
    pub backup: Option<IpAddr>,
    /// Device for VIPs that have none, `eth0` unless given.
    pub device: Option<String>,
    /// VIPs for services by firewall mark, which have none of their own: the first one of the
    /// service's family is taken.
    pub vips: Vec<IpAddr>,
}

/// What came of an import.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration as far as it could be expressed. It may lack what nobody said.
    pub document: Document,
    /// What is to be known about it, in the order of the other file.
    pub remarks: Vec<Remark>,
}

impl Imported {
    /// Whether all of the other file is expressed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.remarks.iter().all(|remark| remark.fate != Fate::Lost)
    }
}

/// What became of something in the other file.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Remark {
    /// The line, from 1; 0 for what concerns the whole file.
    pub line: usize,
    /// The line's text, shortened.
    pub text: String,
    /// Whether something is missing.
    pub fate: Fate,
    /// Why, and what comes nearest.
    pub reason: String,
}

/// Whether something of the other file is missing in lvs.cf.
#[allow(clippy::exhaustive_enums, reason = "it is there, or it is not")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is not expressed.
    Lost,
    /// It is done in another way, or not needed.
    Replaced,
}

impl fmt::Display for Remark {
    /// `line 12: not expressed: authentication {: heartbeats have a key file`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::Lost => "not expressed",
            Fate::Replaced => "replaced",
        };
        match self.line {
            0 => write!(f, "{fate}: {}", self.reason),
            line => write!(f, "line {line}: {fate}: {}: {}", self.text, self.reason),
        }
    }
}

/// Why nothing was imported.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The file is larger than 16 MiB.
    #[error("the file is larger than 16 MiB")]
    TooLarge,
    /// A line is longer than 16 KiB.
    #[error("line {0} is longer than 16 KiB")]
    LineTooLong(usize),
}

/// Expresses `text`, a configuration of `source`, as lvs.cf.
///
/// Nothing in `text` is carried out, no other file is read, and names are not looked up. The cost
/// grows with the size of the text.
///
/// # Errors
/// [`ImportError`].
pub fn import(source: Source, text: &[u8], given: &Given) -> Result<Imported, ImportError> {
    if text.len() > MAX_FILE {
        return Err(ImportError::TooLarge);
    }
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    if let Some(index) = lines.iter().position(|line| line.len() > MAX_LINE) {
        return Err(ImportError::LineTooLong(index + 1));
    }
    let mut importer = Importer::new(lines, given);
    match source {
        Source::Keepalived => keepalived::import(&mut importer),
        Source::Ldirectord => ldirectord::import(&mut importer),
        Source::Ipvsadm => ipvsadm::import(&mut importer),
    }
    Ok(importer.finish())
}

//! lvs.cf: the lossless syntax tree, the typed model, diagnostics and edits.
//!
//! A [`Document`] is a file as it was written, every byte of it. [`load`] reads one and gives
//! back the [`Config`] it means, or all that is wrong with it, each [`Diagnostic`] with its place
//! and, where one is known, the mend. There is never half a configuration.
//!
//! ```
//! let file = b"
//! primary = 192.0.2.11
//! virtual shop {
//!     active = 1
//!     address = 192.0.2.80 eth0:1
//!     server s1 {
//!         address = 192.0.2.21
//!         active = 1
//!         wieght = 3
//!     }
//! }
//! ";
//! let loaded = piranha::config::load(file);
//! assert_eq!(loaded.config, None);
//! let diagnostic = &loaded.diagnostics[0];
//! assert_eq!(diagnostic.to_string(), "error[E0102]: unknown directive `wieght`");
//! assert_eq!(diagnostic.help.as_deref(), Some("did you mean `weight`?"));
//! assert_eq!(loaded.document.position(diagnostic.span.start).to_string(), "9:9");
//! ```
//!
//! The grammar is that of Piranha 0.8.6, whose files load unchanged. Where 0.8.6 was needlessly
//! strict or silently wrong, the file means what its author meant and a warning says so. Every
//! directive is a row of one table, [`Descriptor::ALL`].
//!
//! Names are not looked up: this layer does no I/O.

mod diagnostic;
mod difference;
mod directive;
mod draft;
mod edit;
mod effective;
mod format;
pub mod import;
mod lower;
mod manual;
mod model;
mod span;
mod start;
mod suggest;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub use diagnostic::{Code, Diagnostic, Related, Severity};
pub use difference::{Change, Effect, What, difference};
pub use directive::{Descriptor, Directive, Scope, Since};
pub use edit::{EditError, Editor, Place, Spot};
pub use effective::{Origin, Section, Setting, effective};
pub use format::format;
pub use manual::{manual, note};
pub use model::{Config, DataPlane, HeartbeatVersion, Legacy, RealServer, Virtual};
pub use span::{Position, Span};
pub use start::Start;
pub use syntax::Document;

/// What came of reading an lvs.cf.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file as it was written.
    pub document: Document,
    /// What it means; only there if no diagnostic is an error.
    pub config: Option<Config>,
    /// All there is to say about it, in the order of the file. Beyond 200 errors or 200
    /// warnings the rest is counted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads an lvs.cf, whatever is in it.
///
/// Files over 16 MiB and lines over 16 KiB are refused.
#[must_use]
pub fn load(bytes: &[u8]) -> Loaded {
    let document = Document::parse(bytes);
    let parts = [lower::Part::whole(&document)];
    let (config, diagnostics) = lower::lower(&parts, document.problems().clone());
    Loaded { document, config, diagnostics }
}

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
mod include;
mod lower;
mod manual;
mod model;
mod span;
mod start;
mod strict;
mod suggest;
mod surroundings;
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
pub use include::Included;
pub use manual::{manual, note};
pub use model::{
    AllDown, Config, DataPlane, Failover, Guards, HeartbeatVersion, LeastWeight, Legacy, Mail,
    MailSecurity, Notify, Quorum, QuorumOf, RealServer, Relay, ServiceKind, Topic, Virtual, Vrrp,
    WebUrl,
};
pub use span::{Position, Span};
pub use start::Start;
pub use strict::refused_by_086;
pub use surroundings::Surroundings;
pub use syntax::Document;

/// What came of reading an lvs.cf.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file as it was written.
    pub document: Document,
    /// The files it includes, in the order in which they were read. Offsets in diagnostics and in
    /// the model tell them apart; [`locate`](Self::locate) says where such an offset is.
    pub included: Vec<Included>,
    /// What it means; only there if no diagnostic is an error.
    pub config: Option<Config>,
    /// All there is to say about it, in the order of the file. Beyond 200 errors or 200
    /// warnings the rest is counted.
    pub diagnostics: Vec<Diagnostic>,
    /// The order in which stretches of the files count.
    stretches: Vec<include::Stretch>,
}

/// Reads an lvs.cf, whatever is in it.
///
/// Files over 16 MiB and lines over 16 KiB are refused.
#[must_use]
pub fn load(bytes: &[u8]) -> Loaded {
    load_in("lvs.cf", bytes, &())
}

/// Reads an lvs.cf called `name` with the files it includes, and asks `surroundings` what its text
/// does not tell.
///
/// Files are included at most eight deep, at most 1,000 of them and 64 MiB together.
#[must_use]
pub fn load_in(name: &str, bytes: &[u8], surroundings: &dyn Surroundings) -> Loaded {
    let gathered = include::Gathered::new(name, Document::parse(bytes), surroundings);
    let (parts, problems) = gathered.parts();
    let (config, diagnostics) = lower::lower(&parts, problems, surroundings);
    let (document, included, stretches) = gathered.finish();
    Loaded { document, included, config, diagnostics, stretches }
}

impl Loaded {
    /// The file and the place of `span`; `name` is what the file itself is called.
    #[must_use]
    pub fn locate<'a>(&'a self, name: &'a str, span: Span) -> (&'a str, Position) {
        include::locate(name, &self.document, &self.included, span)
    }

    /// The file in which a block stands, to be edited there: its name, `None` for the file itself,
    /// and its text. The first one where several have it.
    pub fn file_with(&mut self, place: Place<'_>) -> Option<(Option<&str>, &mut Document)> {
        if self.document.holds(place) {
            return Some((None, &mut self.document));
        }
        let file = self.included.iter_mut().find(|file| file.document.holds(place))?;
        Some((Some(&file.name), &mut file.document))
    }
}

/// What `diagnostics` say about each file: first the file itself, called `name`, then those in
/// `included`. Offsets are those in the file, and places in other files are named in the message.
#[must_use]
pub fn by_file<'a>(
    name: &'a str,
    document: &'a Document,
    included: &'a [Included],
    diagnostics: &[Diagnostic],
) -> Vec<(&'a str, &'a Document, Vec<Diagnostic>)> {
    let place = |span| {
        let (file, position) = include::locate(name, document, included, span);
        let number = included.iter().position(|file| file.contains(span));
        (number, format!("{file}:{position}"))
    };
    let about = |file, number| include::about(diagnostics, file, &place, number);
    let root = (name, document, about(None, None));
    let others = included.iter().enumerate();
    let others =
        others.map(|(n, file)| (file.name.as_str(), &file.document, about(Some(file), Some(n))));
    std::iter::once(root).chain(others).filter(|(.., about)| !about.is_empty()).collect()
}

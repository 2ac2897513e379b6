use crate::config::directive::Scope;
use crate::config::syntax::BlockKind;

/// A place in an lvs.cf: outside of any block, a block, or a block in a block.
///
/// ```
/// use piranha::config::Place;
///
/// let server = Place::virtual_service("web").server("s1");
/// // Many files call all their blocks `[server_name]`.
/// let second = Place::virtual_service("[server_name]").nth(2);
/// # let _ = (server, second);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Place<'a> {
    pub(super) service: Option<(BlockKind, Named<'a>)>,
    pub(super) server: Option<Named<'a>>,
}

/// A name and which of the blocks that have it, counted from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) nth: Option<usize>,
}

impl<'a> Place<'a> {
    /// Outside of any block.
    pub const GLOBAL: Self = Self { service: None, server: None };

    /// The `virtual` block of this name.
    #[must_use]
    pub const fn virtual_service(name: &'a str) -> Self {
        Self { service: Some((BlockKind::Virtual, Named { name, nth: None })), server: None }
    }

    /// The `failover` block of this name.
    #[must_use]
    pub const fn failover_service(name: &'a str) -> Self {
        Self { service: Some((BlockKind::Failover, Named { name, nth: None })), server: None }
    }

    /// The `server` block of this name in this block. There is none outside of blocks: edits of
    /// `Place::GLOBAL.server(..)` are refused.
    #[must_use]
    pub const fn server(self, name: &'a str) -> Self {
        Self { service: self.service, server: Some(Named { name, nth: None }) }
    }

    /// The one with this number, from 1 in the order of the file, of several blocks that have
    /// this name next to each other.
    #[must_use]
    pub const fn nth(self, number: usize) -> Self {
        let nth = Some(number);
        match (self.service, self.server) {
            (service, Some(Named { name, .. })) => {
                Self { service, server: Some(Named { name, nth }) }
            }
            (Some((kind, Named { name, .. })), None) => {
                Self { service: Some((kind, Named { name, nth })), server: None }
            }
            (None, None) => self,
        }
    }

    /// What kind of directives stand there.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match (self.service, self.server) {
            (_, Some(_)) => Scope::Server,
            (Some(_), None) => Scope::Virtual,
            (None, None) => Scope::Global,
        }
    }
}

/// Where a block goes among the blocks of its kind.
#[allow(clippy::exhaustive_enums, reason = "there is no other place in a list")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Spot<'a> {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Before the block of this name.
    Before(&'a str),
    /// Behind the block of this name.
    After(&'a str),
}

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A question to a RADIUS server, over UDP: whether it is alive (Status-Server, RFC 5997), or
/// whether it lets a user in (Access-Request, RFC 2865).
///
/// Both carry a Message-Authenticator. An answer counts if the shared secret proves it; others are
/// passed over until the time is over.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RadiusSpec {
    /// The file with the shared secret. It is read when the check is made, and nobody but its
    /// owner may read it.
    pub secret: PathBuf,
    /// The file with the `user:password` that must be let in; without it the server is asked
    /// whether it is alive.
    pub auth: Option<PathBuf>,
}

impl RadiusSpec {
    /// Asks whether the server with the secret in this file is alive.
    #[must_use]
    pub const fn new(secret: PathBuf) -> Self {
        Self { secret, auth: None }
    }

    /// Asks whether the user in this file is let in.
    #[must_use]
    pub fn with_auth(mut self, auth: Option<PathBuf>) -> Self {
        self.auth = auth;
        self
    }
}

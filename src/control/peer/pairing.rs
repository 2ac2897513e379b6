//! How two nodes that have never met come to know each other's keys: a pure handshake.
//!
//! An administrator has one node offer a [`Code`] and types it on the other, which connects over
//! TLS. Neither end can verify the other's certificate yet. What each shows, the
//! [`Binding`] of the TLS session, both random numbers and both names are hashed into one
//! transcript, and each end proves by an HMAC over it that it has the code:
//!
//! ```text
//! joiner -> issuer   Hello     { version, node, port, nonce }
//! issuer -> joiner   Challenge { version, node, nonce }
//! joiner -> issuer   Proof     { tag }      HMAC(key, "joiner" transcript)
//! issuer -> joiner   Proof     { tag }      HMAC(key, "issuer" transcript)
//! key = PBKDF2-HMAC-SHA-256(code, "piranha pairing 1" nonces, ROUNDS)
//! ```
//!
//! The code is never sent. Somebody in between has a TLS session with each end: the keys and the
//! bindings that the ends see differ, so that no proof of one is right for the other, and making
//! one needs the code. What is overheard is one HMAC keyed with 80 bits: guessing it is hopeless,
//! and useless after the offer has ended. The joiner proves first, so a stranger who connects to
//! the issuer learns nothing; each attempt is counted before it is judged. The two labels keep a
//! proof from being sent back as the other's. A replay fails for the nonce and the binding.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Code, VERSION};
use crate::health::Pin;

/// How often the code is hashed: each guess costs as much.
pub const ROUNDS: u32 = 10_000;

/// The longest name of a node.
const MAX_NODE: usize = 64;

/// What both ends of one TLS session, and nobody else, know of it: exported keying material
/// (RFC 5705, RFC 8446 7.5).
pub type Binding = [u8; 32];

/// A random number that is used once.
pub type Nonce = [u8; 32];

/// One message, a line of JSON.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The joiner's first.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The name of its node.
        node: String,
        /// The TCP port on which it can be reached.
        port: u16,
        /// Its random number.
        nonce: Nonce,
    },
    /// The issuer's first.
    Challenge {
        /// [`VERSION`].
        version: u32,
        /// The name of its node.
        node: String,
        /// Its random number.
        nonce: Nonce,
    },
    /// The proof of either.
    Proof {
        /// HMAC-SHA-256.
        tag: [u8; 32],
    },
}

/// What an end of a TLS session knows before the first message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a new field would be a new version")]
pub struct Session {
    /// What binds the proof to this session.
    pub binding: Binding,
    /// The key of the certificate this end showed.
    pub own: Pin,
    /// The key of the certificate the other end showed.
    pub theirs: Pin,
}

/// Who is at the other end, proved.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paired {
    /// The key of its node.
    pub key: Pin,
    /// The name of its node.
    pub node: String,
    /// The TCP port on which it can be reached, where it is the joiner.
    pub port: Option<u16>,
}

/// Why nothing came of it. Nobody was believed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PairingError {
    /// The other end speaks another version.
    #[error("the other node speaks version {0} of pairing, and this one {VERSION}")]
    Version(u32),
    /// The message is not the one that is due.
    #[error("the other node does not speak the pairing protocol")]
    Unexpected,
    /// A name is empty, too long, or has letters that names do not have.
    #[error("the other node has no usable name")]
    Name,
    /// Its proof is not that of the code over this session.
    #[error("the code is wrong, or somebody is between the two nodes")]
    Proof,
}

/// The end that has the code from an administrator.
#[derive(Debug)]
pub struct Joiner {
    code: Code,
    session: Session,
    node: String,
    port: u16,
    nonce: Nonce,
    /// The issuer's name and the keyed transcript, once it has spoken.
    challenged: Option<(String, Keyed)>,
}

impl Joiner {
    /// A node called `node`, which can be reached on `port`, on `session`; `nonce` is random.
    #[must_use]
    pub fn new(code: Code, session: Session, node: String, port: u16, nonce: Nonce) -> Self {
        Self { code, session, node, port, nonce, challenged: None }
    }

    /// What it says first.
    #[must_use]
    pub fn hello(&self) -> Message {
        let (node, port, nonce) = (self.node.clone(), self.port, self.nonce);
        Message::Hello { version: VERSION, node, port, nonce }
    }

    /// Answers the challenge with the proof. Takes as long as [`ROUNDS`] do.
    ///
    /// # Errors
    /// [`PairingError`].
    pub fn handle_challenge(&mut self, message: &Message) -> Result<Message, PairingError> {
        let Message::Challenge { version, node, nonce } = message else {
            return Err(PairingError::Unexpected);
        };
        check(*version, node)?;
        let terms = Terms {
            binding: self.session.binding,
            keys: [self.session.own, self.session.theirs],
            nodes: [&self.node, node],
            port: self.port,
            nonces: [self.nonce, *nonce],
        };
        let keyed = Keyed::new(&self.code, &terms);
        let tag = keyed.tag(Side::Joiner);
        self.challenged = Some((node.clone(), keyed));
        Ok(Message::Proof { tag })
    }

    /// Judges the issuer's proof, the end of the handshake.
    ///
    /// # Errors
    /// [`PairingError`].
    pub fn handle_proof(self, message: &Message) -> Result<Paired, PairingError> {
        let (Message::Proof { tag }, Some((node, keyed))) = (message, self.challenged) else {
            return Err(PairingError::Unexpected);
        };
        keyed.verify(Side::Issuer, tag)?;
        Ok(Paired { key: self.session.theirs, node, port: None })
    }
}

/// The end that offers the code.
#[derive(Debug)]
pub struct Issuer {
    session: Session,
    node: String,
    nonce: Nonce,
    /// The joiner's name, port and random number, once it has spoken.
    joiner: Option<(String, u16, Nonce)>,
}

impl Issuer {
    /// A node called `node` on `session`; `nonce` is random.
    #[must_use]
    pub const fn new(session: Session, node: String, nonce: Nonce) -> Self {
        Self { session, node, nonce, joiner: None }
    }

    /// Answers the joiner's first message.
    ///
    /// # Errors
    /// [`PairingError`].
    pub fn handle_hello(&mut self, message: &Message) -> Result<Message, PairingError> {
        let Message::Hello { version, node, port, nonce } = message else {
            return Err(PairingError::Unexpected);
        };
        check(*version, node)?;
        self.joiner = Some((node.clone(), *port, *nonce));
        Ok(Message::Challenge { version: VERSION, node: self.node.clone(), nonce: self.nonce })
    }

    /// Judges the joiner's proof against the code and answers with its own. Takes as long as
    /// [`ROUNDS`] do. The attempt is to be counted before.
    ///
    /// # Errors
    /// [`PairingError`].
    pub fn handle_proof(
        self,
        code: &Code,
        message: &Message,
    ) -> Result<(Message, Paired), PairingError> {
        let (Message::Proof { tag }, Some((node, port, nonce))) = (message, self.joiner) else {
            return Err(PairingError::Unexpected);
        };
        let terms = Terms {
            binding: self.session.binding,
            keys: [self.session.theirs, self.session.own],
            nodes: [&node, &self.node],
            port,
            nonces: [nonce, self.nonce],
        };
        let keyed = Keyed::new(code, &terms);
        keyed.verify(Side::Joiner, tag)?;
        let answer = Message::Proof { tag: keyed.tag(Side::Issuer) };
        Ok((answer, Paired { key: self.session.theirs, node, port: Some(port) }))
    }
}

fn check(version: u32, node: &str) -> Result<(), PairingError> {
    if version != VERSION {
        return Err(PairingError::Version(version));
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if node.is_empty() || node.len() > MAX_NODE || !node.chars().all(fits) {
        return Err(PairingError::Name);
    }
    Ok(())
}

/// Who makes a proof.
#[derive(Clone, Copy)]
enum Side {
    Joiner,
    Issuer,
}

impl Side {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Joiner => b"joiner",
            Self::Issuer => b"issuer",
        }
    }
}

/// What both ends agree on, the joiner's first.
struct Terms<'a> {
    binding: Binding,
    keys: [Pin; 2],
    nodes: [&'a str; 2],
    port: u16,
    nonces: [Nonce; 2],
}

impl Terms<'_> {
    fn transcript(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"piranha pairing");
        hash.update(VERSION.to_be_bytes());
        hash.update(self.binding);
        for text in [self.keys[0].to_string(), self.keys[1].to_string()] {
            hash.update(text);
        }
        for node in self.nodes {
            // Names are at most 64 bytes long; the length keeps two of them apart.
            hash.update([u8::try_from(node.len()).unwrap_or(u8::MAX)]);
            hash.update(node);
        }
        hash.update(self.port.to_be_bytes());
        self.nonces.iter().for_each(|nonce| hash.update(nonce));
        hash.finalize().into()
    }
}

/// The transcript, and the key made of the code for it.
struct Keyed {
    key: [u8; 32],
    transcript: [u8; 32],
}

/// The key is a secret.
impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(..)")
    }
}

impl Keyed {
    fn new(code: &Code, terms: &Terms<'_>) -> Self {
        let mut salt = b"piranha pairing 1".to_vec();
        terms.nonces.iter().for_each(|nonce| salt.extend_from_slice(nonce));
        Self { key: stretch(code.bytes(), &salt, ROUNDS), transcript: terms.transcript() }
    }

    fn tag(&self, side: Side) -> [u8; 32] {
        self.mac(side).finalize().into_bytes().into()
    }

    fn verify(&self, side: Side, tag: &[u8]) -> Result<(), PairingError> {
        self.mac(side).verify_slice(tag).or(Err(PairingError::Proof))
    }

    fn mac(&self, side: Side) -> Hmac<Sha256> {
        keyed(&self.key).chain_update(side.label()).chain_update(self.transcript)
    }
}

/// PBKDF2-HMAC-SHA-256 with one block of output (RFC 8018, 5.2).
fn stretch(secret: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mac = keyed(secret);
    let first = mac.clone().chain_update(salt).chain_update(1_u32.to_be_bytes());
    let mut block: [u8; 32] = first.finalize().into_bytes().into();
    let mut key = block;
    for _ in 1..rounds {
        block = mac.clone().chain_update(block).finalize().into_bytes().into();
        key.iter_mut().zip(block).for_each(|(byte, more)| *byte ^= more);
    }
    key
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(secret) {
        Ok(mac) => mac,
        Err(_any_length_is_one) => unreachable!("HMAC takes keys of any length"),
    }
}

#[cfg(test)]
mod tests;

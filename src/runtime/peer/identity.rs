//! The key of this node.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use super::store;
use crate::health::Pin;
use crate::wire::certificate::Certificate;

/// The name in the certificate. Nobody looks at it: a node is known by its key.
const NAME: &str = "piranha";

/// An Ed25519 key and the certificate that shows it.
///
/// Only the key is kept. The certificate is made anew at each start, since the other end looks at
/// nothing but its key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pub(super) pin: Pin,
}

impl Identity {
    /// The key in `directory`, made if there is none yet.
    pub(super) fn load(directory: &Path) -> io::Result<Self> {
        match store::read(&key_file(directory))? {
            Some(key) => Self::of(key),
            None => {
                let made = Self::make()?;
                store::write(&key_file(directory), &made.key)?;
                Ok(made)
            }
        }
    }

    /// A new key, which is nowhere yet.
    pub(super) fn make() -> io::Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
        Self::of(pair.serialize_der())
    }

    /// Puts it on the disk beside the one in use, before anybody hears of it.
    pub(super) fn prepare(&self, directory: &Path) -> io::Result<()> {
        store::write(&next_file(directory), &self.key)
    }

    /// Puts what was prepared in the place of the one in use.
    pub(super) fn take_over(directory: &Path) -> io::Result<()> {
        fs::rename(next_file(directory), key_file(directory))
    }

    /// The key in the form that TLS takes.
    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    fn of(key: Vec<u8>) -> io::Result<Self> {
        let der = PrivatePkcs8KeyDer::from(key.as_slice());
        let pair = KeyPair::try_from(&der).map_err(io::Error::other)?;
        let parameters = CertificateParams::new([NAME.to_owned()]).map_err(io::Error::other)?;
        let made = parameters.self_signed(&pair).map_err(io::Error::other)?;
        let certificate = made.der().clone();
        let pin = pin_of(&certificate).ok_or_else(|| io::Error::other("no usable key"))?;
        Ok(Self { certificate, key, pin })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.pin)
    }
}

/// The hash of the key that a certificate shows; `None` for what is no certificate.
pub(super) fn pin_of(certificate: &CertificateDer<'_>) -> Option<Pin> {
    let certificate = Certificate::parse(certificate).ok()?;
    Some(Pin::new(Sha256::digest(certificate.public_key).into()))
}

fn key_file(directory: &Path) -> PathBuf {
    directory.join("node.key")
}

fn next_file(directory: &Path) -> PathBuf {
    directory.join("node.key.next")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_the_same_in_its_next_life_and_another_after_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let first = Identity::load(directory.path()).unwrap();
        assert_eq!(Identity::load(directory.path()).unwrap().pin, first.pin);
        let next = Identity::make().unwrap();
        next.prepare(directory.path()).unwrap();
        assert_eq!(Identity::load(directory.path()).unwrap().pin, first.pin);
        Identity::take_over(directory.path()).unwrap();
        assert_eq!(Identity::load(directory.path()).unwrap().pin, next.pin);
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        store::write(&key_file(directory.path()), b"no key").unwrap();
        assert!(Identity::load(directory.path()).is_err());
        assert_eq!(store::read(&key_file(directory.path())).unwrap().unwrap(), b"no key");
    }
}

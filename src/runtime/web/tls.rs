//! The certificate of the server: one that was given, or one of its own making.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::store::private;
use crate::control::Timestamp;
use crate::runtime::control::now;
use crate::web::page::EXPIRY_WARNING;
use crate::wire::certificate::Certificate;

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// Whether somebody gave them.
    given: bool,
}

impl Files {
    /// Those that were given, else those in `state`, which are made where they are not there.
    pub(super) fn find(
        given: Option<(PathBuf, PathBuf)>,
        state: &Path,
        names: &[String],
    ) -> io::Result<Self> {
        if let Some((certificate, key)) = given {
            return Ok(Self { certificate, key, given: true });
        }
        let (certificate, key) = (state.join("server.pem"), state.join("server.key"));
        if !certificate.exists() || !key.exists() {
            make(&certificate, &key, names)?;
        }
        Ok(Self { certificate, key, given: false })
    }

    fn changed(&self) -> Option<(SystemTime, SystemTime)> {
        let of = |path| fs::metadata(path).and_then(|file| file.modified()).ok();
        Some((of(&self.certificate)?, of(&self.key)?))
    }

    fn load(&self) -> io::Result<Loaded> {
        let chain =
            CertificateDer::pem_file_iter(&self.certificate).map_err(at(&self.certificate))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(at(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(at(&self.key))?;
        let none = || at(&self.certificate)("there is no certificate in it");
        let first = chain.first().ok_or_else(none)?;
        let (fingerprint, ends) = (fingerprint(first), ends(first));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(at(&self.certificate))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let loaded = Loaded { config: Arc::new(config), fingerprint, ends };
        loaded.warn();
        Ok(loaded)
    }
}

#[derive(Clone, Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    fingerprint: String,
    ends: Option<Timestamp>,
}

impl Loaded {
    /// Says so in time; the page System goes on saying it.
    fn warn(&self) {
        if let Some(ends) = self.ends.filter(|ends| ends.since(now()) < EXPIRY_WARNING) {
            tracing::warn!("web: the certificate of the pages ends at {ends}: renew it");
        }
    }
}

/// The certificate in use. One that was replaced on disk is used from the next connection on.
#[derive(Debug)]
pub(super) struct Identity {
    files: Files,
    current: Mutex<(Option<(SystemTime, SystemTime)>, Loaded)>,
}

impl Identity {
    pub(super) fn load(files: Files) -> io::Result<Self> {
        let current = Mutex::new((files.changed(), files.load()?));
        Ok(Self { files, current })
    }

    /// The settings for a new connection. A replacement that cannot be used is logged once, and the
    /// certificate there was goes on.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.files.changed();
        if changed.is_some() && changed != current.0 {
            current.0 = changed;
            match self.files.load() {
                Ok(loaded) => {
                    tracing::info!("web: new certificate, fingerprint {}", loaded.fingerprint);
                    current.1 = loaded;
                }
                Err(error) => tracing::warn!("web: the certificate stays as it was: {error}"),
            }
        }
        Arc::clone(&current.1.config)
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub(super) fn fingerprint(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1.fingerprint.clone()
    }

    /// When the certificate ends, where that can be read.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1.ends
    }

    /// Whether somebody gave the certificate: browsers are told to insist on TLS then.
    pub(super) const fn is_given(&self) -> bool {
        self.files.given
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(certificate);
    let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

fn ends(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = Certificate::parse(certificate).ok()?;
    Some(Timestamp(certificate.not_after.saturating_mul(1000)))
}

fn make(certificate: &Path, key: &Path, names: &[String]) -> io::Result<()> {
    let mut names = names.to_vec();
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    write(key, made.signing_key.serialize_pem().as_bytes())?;
    write(certificate, made.cert.pem().as_bytes())
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = private().create(true).truncate(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn at<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> io::Error + use<E> {
    let path = path.display().to_string();
    move |error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_known_as_soon_as_it_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::find(None, directory.path(), &["lb1".to_owned()]).unwrap();
        let identity = Identity::load(files.clone()).unwrap();
        assert!(identity.ends().is_some_and(|ends| ends.since(now()) > EXPIRY_WARNING));
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["lb1".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = parameters.self_signed(&key).unwrap();
        write(&files.key, key.serialize_pem().as_bytes()).unwrap();
        write(&files.certificate, certificate.pem().as_bytes()).unwrap();
        let identity = Identity::load(files).unwrap();
        assert_eq!(
            identity.ends().map(|ends| ends.to_string()[..10].to_owned()).as_deref(),
            Some("2031-02-03")
        );
    }

    #[test]
    fn a_made_certificate_is_kept_and_a_replaced_one_is_used_without_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["lb1".to_owned()];
        let files = Files::find(None, directory.path(), &names).unwrap();
        let identity = Identity::load(files.clone()).unwrap();
        let first = identity.fingerprint();
        let again = Files::find(None, directory.path(), &names).unwrap();
        assert_eq!(Identity::load(again).unwrap().fingerprint(), first);
        assert_eq!(first.len(), 32 * 3 - 1);

        fs::write(&files.certificate, "nonsense").unwrap();
        identity.config();
        assert_eq!(identity.fingerprint(), first, "what cannot be used is not");
        make(&files.certificate, &files.key, &names).unwrap();
        identity.config();
        assert_ne!(identity.fingerprint(), first);
    }
}

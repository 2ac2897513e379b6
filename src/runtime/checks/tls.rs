//! TLS for every check that has it.
//!
//! Sessions are never resumed: a resumed one skips the certificate, which is what the check is
//! about. rustls bounds what a handshake may hold (64 KiB a message).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::conversation::{Duplex, Secured};
use super::network::Budget;
use super::{CheckError, secret};
use crate::control::Timestamp;
use crate::health::{Failure, Identity, Pin, Stage, TlsSpec};
use crate::wire::certificate::Certificate;

/// HTTP/2 in the extension that agrees on protocols (RFC 7301).
const HTTP2: &[u8] = b"h2";
const DAY: u64 = 24 * 60 * 60;

/// A TLS client for one [`TlsSpec`].
pub(in crate::runtime) struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    expiry_warning: Duration,
    /// The days left that were last warned of, for each server.
    warned: Mutex<BTreeMap<SocketAddr, u64>>,
}

impl Tls {
    /// `host` is the name where the specification has none.
    pub(in crate::runtime) fn new(spec: &TlsSpec, host: Option<&str>) -> Result<Self, CheckError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| CheckError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(spec, &provider)?));
        let mut config = match &spec.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                let path = &identity.certificate;
                builder.with_client_auth_cert(chain, key).map_err(|error| file(path, error))?
            }
        };
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_sni = true;
        Ok(Self {
            config: Arc::new(config),
            name: spec.name.as_deref().or(host).map(server_name).transpose()?,
            expiry_warning: spec.expiry_warning,
            warned: Mutex::default(),
        })
    }

    /// Agrees on HTTP/2, or fails (RFC 9113, 3.2).
    pub(in crate::runtime) fn over_http2(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![HTTP2.to_vec()];
        self
    }

    /// Shakes hands on `stream`.
    pub(in crate::runtime) async fn handshake(
        &self,
        stream: TcpStream,
        server: SocketAddr,
        budget: &Budget,
    ) -> Result<Secured, Failure> {
        let address = ServerName::from(server.ip());
        let name = self.name.clone().unwrap_or(address);
        let connect = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let stream = budget.spend_on_tls(connect).await?;
        if stream.get_ref().1.alpn_protocol()
            != self.config.alpn_protocols.first().map(Vec::as_slice)
        {
            return Err(Failure::Tls("the server does not offer HTTP/2".to_owned()));
        }
        let (summary, expires) = self.inspect(&stream, server);
        Ok(Secured { stream: Box::new(stream), summary, expires })
    }

    /// A few words, and when the certificate ends.
    fn inspect(
        &self,
        stream: &TlsStream<TcpStream>,
        server: SocketAddr,
    ) -> (String, Option<Timestamp>) {
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().and_then(|version| version.as_str());
        let version = version.unwrap_or("TLS");
        let first = session.peer_certificates().and_then(<[_]>::first);
        let Some(Ok(certificate)) = first.map(|first| Certificate::parse(first)) else {
            return (version.to_owned(), None);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = certificate.not_after.saturating_sub(now);
        self.warn_of_expiry(server, left);
        let key = pin(&certificate);
        let summary = format!("{version}, key {key}, certificate expires in {} days", left / DAY);
        (summary, Some(Timestamp(certificate.not_after.saturating_mul(1000))))
    }

    /// Warns once a day and server.
    fn warn_of_expiry(&self, server: SocketAddr, left: u64) {
        if left >= self.expiry_warning.as_secs() {
            return;
        }
        let days = left / DAY;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(server, days) != Some(days) {
            tracing::warn!(%server, days, "the server's certificate expires soon");
        }
    }
}

impl Budget {
    async fn spend_on_tls(
        &self,
        connect: tokio_rustls::Connect<TcpStream>,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let mut problem = None;
        let work = async {
            connect.await.inspect_err(|error| {
                problem = error.get_ref().and_then(|inner| inner.downcast_ref()).map(explain);
            })
        };
        let result = self.spend(Stage::Handshake, work).await;
        match problem {
            Some(problem) => Err(Failure::Tls(problem)),
            None => result,
        }
    }
}

/// What rustls found, bounded and fit for a line: names in certificates are the server's choice.
fn explain(error: &rustls::Error) -> String {
    let text = error.to_string();
    let plain = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
    plain.take(300).collect()
}

impl Duplex for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn into_tcp(self: Box<Self>) -> Option<TcpStream> {
        None
    }
}

/// Verifies the chain, where one is wanted, and the pins. Signatures of the handshake always.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(spec: &TlsSpec, provider: &Arc<CryptoProvider>) -> Result<Self, CheckError> {
        let pinned = !spec.pins.is_empty() && spec.ca.is_none();
        let chain = match spec.verify && !pinned {
            false => None,
            true => Some(
                WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots(spec.ca.as_deref())?),
                    Arc::clone(provider),
                )
                .build()
                .map_err(|error| CheckError::Tls(error.to_string()))?,
            ),
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { chain, pins: spec.pins.clone(), algorithms })
    }

    fn check_pins(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let certificate = Certificate::parse(certificate)
            .map_err(|_malformed| rustls::Error::from(rustls::CertificateError::BadEncoding))?;
        let found = pin(&certificate);
        if self.pins.contains(&found) {
            return Ok(());
        }
        Err(rustls::Error::General(format!("the server's key is not a pinned one but {found}")))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        self.check_pins(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn pin(certificate: &Certificate<'_>) -> Pin {
    Pin::new(Sha256::digest(certificate.public_key).into())
}

fn server_name(name: &str) -> Result<ServerName<'static>, CheckError> {
    let name = name.to_owned();
    ServerName::try_from(name.clone()).map_err(|_invalid| CheckError::TlsName(name))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, CheckError> {
    let mut store = RootCertStore::empty();
    let Some(path) = ca else {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        return match store.is_empty() {
            true => Err(CheckError::NoTrust),
            false => Ok(store),
        };
    };
    for certificate in read_certificates(path)? {
        store.add(certificate).map_err(|error| file(path, error))?;
    }
    Ok(store)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CheckError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|error| file(path, error))?;
    if certificates.is_empty() {
        return Err(file(path, "there is no PEM certificate in it"));
    }
    Ok(certificates)
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CheckError> {
    let chain = read_certificates(&identity.certificate)?;
    let key = secret::read(&identity.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| file(&identity.key, error))?;
    Ok((chain, key))
}

fn file(path: &Path, reason: impl ToString) -> CheckError {
    CheckError::File { path: path.to_owned(), reason: reason.to_string() }
}

//! TLS 1.3 between the nodes: each end shows a certificate, and is known by its key alone.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::identity::{Identity, pin_of};
use crate::control::peer::pairing;
use crate::health::Pin;

/// The protocol, so that no other server is taken for a node (RFC 7301).
const PROTOCOL: &[u8] = b"piranha-peer/1";

/// The label of what binds a proof to one session (RFC 8446, 7.5).
const BINDING: &[u8] = b"EXPORTER-piranha-pairing";

/// Which keys may be shown at the other end.
pub(super) type Admits = Arc<dyn Fn(Pin) -> bool + Send + Sync>;

/// A connection to another node, whose key is known.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: BufReader<TlsStream<TcpStream>>,
    /// The key the other end has shown.
    pub(super) theirs: Pin,
}

impl Connection {
    /// Shakes hands with a node that connected.
    pub(super) async fn accept(
        stream: TcpStream,
        own: &Identity,
        admits: Admits,
    ) -> io::Result<Self> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(Arc::new(Verifier::new(admits)))
            .with_single_cert(vec![own.certificate.clone()], own.private_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.send_tls13_tickets = 0;
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        Self::of(TlsStream::Server(stream))
    }

    /// Shakes hands with a node that was connected to.
    pub(super) async fn connect(
        stream: TcpStream,
        own: &Identity,
        admits: Admits,
    ) -> io::Result<Self> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(admits)))
            .with_client_auth_cert(vec![own.certificate.clone()], own.private_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Self::of(TlsStream::Client(stream))
    }

    fn of(stream: TlsStream<TcpStream>) -> io::Result<Self> {
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(PROTOCOL) {
            return Err(io::Error::other("the other end is no node of a pair"));
        }
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let theirs = shown.and_then(pin_of);
        let theirs = theirs.ok_or_else(|| io::Error::other("the other end showed no key"))?;
        Ok(Self { stream: BufReader::new(stream), theirs })
    }

    /// What pairing is told of this session, on a node with the key `own`.
    pub(super) fn session(&self, own: Pin) -> io::Result<pairing::Session> {
        let exported = match self.stream.get_ref() {
            TlsStream::Client(stream) => {
                stream.get_ref().1.export_keying_material([0; 32], BINDING, None)
            }
            TlsStream::Server(stream) => {
                stream.get_ref().1.export_keying_material([0; 32], BINDING, None)
            }
        };
        let binding = exported.map_err(io::Error::other)?;
        Ok(pairing::Session { binding, own, theirs: self.theirs })
    }

    /// One line, at most `most` bytes long.
    pub(super) async fn read_line(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(most as u64);
        bounded.read_until(b'\n', &mut line).await?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Sends one line of JSON.
    pub(super) async fn write_line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.stream.write_all(&line).await?;
        self.stream.flush().await
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Verifies that the other end has the key it shows, and that the key may be shown.
struct Verifier {
    admits: Admits,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(admits: Admits) -> Self {
        Self { admits, algorithms: ring::default_provider().signature_verification_algorithms }
    }

    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let pin = pin_of(shown).ok_or(rustls::CertificateError::BadEncoding)?;
        if (self.admits)(pin) {
            return Ok(());
        }
        Err(rustls::CertificateError::ApplicationVerificationFailure.into())
    }

    fn check_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, shown, signed, &self.algorithms)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

fn too_old() -> Error {
    Error::General("the nodes of a pair speak TLS 1.3".to_owned())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

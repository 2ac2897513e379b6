use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// TLS as a check speaks it: the server's certificate is verified unless that is turned off.
///
/// Files are read when the check is made, that is at start and at a reload that changes the check.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TlsSpec {
    /// The name the certificate must be for, and that is sent as SNI. By default that of the
    /// HTTP check's `Host` header; without one the address of the server, which is verified and,
    /// as RFC 6066 (3) has it, not sent.
    pub name: Option<String>,
    /// The file with the PEM certificates to trust instead of the system's store.
    pub ca: Option<PathBuf>,
    /// Hashes of public keys, one of which the server must have. Without [`ca`](Self::ca) they
    /// take the place of the chain of trust: the certificate may be self-signed, expired, or for
    /// another name. With it both must hold.
    pub pins: Vec<Pin>,
    /// The certificate to show to the server.
    pub identity: Option<Identity>,
    /// Whether the certificate is verified, on by default. Off leaves encryption without knowing
    /// with whom; pins hold all the same.
    pub verify: bool,
    /// A certificate that expires within this time is warned about, 14 days by default; zero is
    /// never.
    pub expiry_warning: Duration,
}

impl Default for TlsSpec {
    fn default() -> Self {
        Self {
            name: None,
            ca: None,
            pins: Vec::new(),
            identity: None,
            verify: true,
            expiry_warning: Duration::from_secs(14 * 24 * 60 * 60),
        }
    }
}

/// A client certificate and its key, as files.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// PEM certificates, the client's own first.
    pub certificate: PathBuf,
    /// The PEM private key. Nobody but its owner may read it.
    pub key: PathBuf,
}

impl Identity {
    /// The identity in these two files, which may be one.
    #[must_use]
    pub const fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key }
    }
}

/// The SHA-256 hash of a certificate's public key (its `SubjectPublicKeyInfo` in DER, as in
/// RFC 7469), so that it outlives the renewal of a certificate whose key stays.
///
/// Written `sha256:` and 64 hexadecimal digits, colons between them allowed. openssl prints it:
/// `openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | sha256sum`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of this hash.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl FromStr for Pin {
    type Err = String;

    /// Reads `sha256:` and the digits.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").ok_or("a pin begins with `sha256:`")?;
        let digits: Vec<u8> = digits.bytes().filter(|&byte| byte != b':').collect();
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return Err(format!("a SHA-256 hash has 64 hexadecimal digits, not {}", digits.len()));
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err("a hash has hexadecimal digits only".to_owned());
            };
            *byte = u8::try_from(high << 4 | low).unwrap_or_default();
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_reads_what_it_prints_and_what_openssl_prints() {
        let pin = Pin::new(std::array::from_fn(|place| u8::try_from(place * 7).unwrap()));
        assert_eq!(pin.to_string().parse(), Ok(pin));
        let colons = pin.to_string()[7..].to_uppercase().into_bytes();
        let colons: Vec<_> = colons.chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
        assert_eq!(format!("sha256:{}", colons.join(":")).parse(), Ok(pin));
        for bad in ["", "sha256:", "sha1:00", "sha256:zz", &pin.to_string()[7..]] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }
}

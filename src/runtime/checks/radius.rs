use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

use super::network::Budget;
use super::secret::{self, Login};
use super::{CheckError, Dialer, random};
use crate::health::{Check, Excerpt, Failure, RadiusSpec};
use crate::wire::radius::{
    ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, ACCESS_REQUEST, ACCOUNTING_RESPONSE,
    AUTHENTICATOR, AUTHENTICATOR_AT, MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, Packet, REPLY_MESSAGE,
    STATUS_SERVER, USER_NAME, USER_PASSWORD, encode,
};

type Authenticator = [u8; AUTHENTICATOR];

/// The longest password (RFC 2865, 5.2) and name of a user.
const PASSWORD: usize = 128;
const NAME: usize = 253;
const OURSELVES: &[u8] = b"piranha";

/// Passes if a RADIUS server says that it is alive, or lets a user in.
pub(super) struct Radius {
    secret: Secret,
    login: Option<Login>,
    dialer: Dialer,
}

impl Radius {
    pub(super) fn new(spec: &RadiusSpec, dialer: Dialer) -> Result<Self, CheckError> {
        let login = spec.auth.as_deref().map(|path| {
            let login = secret::read_login(path)?;
            let fits = (1..=NAME).contains(&login.user.len()) && login.password.len() <= PASSWORD;
            let reason = format!("it must have `user:password`, at most {PASSWORD} bytes of that");
            fits.then_some(login).ok_or(CheckError::File { path: path.to_owned(), reason })
        });
        let secret = secret::read(&spec.secret)?.trim_ascii_end().to_vec();
        if secret.is_empty() {
            let (path, reason) = (spec.secret.clone(), "there is no secret in it".to_owned());
            return Err(CheckError::File { path, reason });
        }
        Ok(Self { secret: Secret(secret), login: login.transpose()?, dialer })
    }

    /// The Message-Authenticator comes first, where no attribute that somebody else chose can
    /// stand before it.
    fn request(&self, id: u8, authenticator: Authenticator) -> Vec<u8> {
        let unsigned = (MESSAGE_AUTHENTICATOR, &[0; AUTHENTICATOR][..]);
        let name = (NAS_IDENTIFIER, OURSELVES);
        let mut packet = match &self.login {
            None => encode(STATUS_SERVER, id, authenticator, &[unsigned, name]),
            Some(login) => {
                let password = self.secret.hide(login.password.as_bytes(), authenticator);
                let user = (USER_NAME, login.user.as_bytes());
                let attributes = [unsigned, user, (USER_PASSWORD, &password), name];
                encode(ACCESS_REQUEST, id, authenticator, &attributes)
            }
        };
        if let Some((at, _)) =
            Packet::parse(&packet).and_then(|p| p.attribute(MESSAGE_AUTHENTICATOR))
        {
            let signature = self.secret.sign(&packet);
            packet[at..at + AUTHENTICATOR].copy_from_slice(&signature);
        }
        packet
    }

    const fn shown(&self) -> &'static [u8] {
        match self.login {
            None => b"Status-Server",
            Some(_) => b"Access-Request (secret)",
        }
    }

    fn judge(&self, answer: Packet<'_>) -> Result<(), Failure> {
        let wanted = match (&self.login, answer.code) {
            (_, ACCESS_ACCEPT) | (None, ACCOUNTING_RESPONSE) => return Ok(()),
            (Some(_), _) => "Access-Accept after Access-Request",
            (None, _) => "Access-Accept after Status-Server",
        };
        let said = answer.attribute(REPLY_MESSAGE).map(|(_, said)| said).unwrap_or_default();
        let got = [name(answer.code).as_bytes(), b" ", said].concat();
        Err(unexpected(wanted, got.trim_ascii_end()))
    }
}

#[async_trait]
impl Check for Radius {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        let [id, authenticator @ ..] = random::bytes::<{ 1 + AUTHENTICATOR }>()?;
        let request = self.request(id, authenticator);
        let prove = |datagram: &[u8]| self.secret.prove(datagram, id, authenticator);
        let answer =
            self.dialer.exchange_until(target, (&request, self.shown()), &budget, prove).await?;
        match Packet::parse(&answer) {
            Some(answer) => self.judge(answer),
            None => Err(unexpected("RADIUS as an answer", &answer)),
        }
    }
}

/// The secret that a server shares with the director.
struct Secret(Vec<u8>);

impl Secret {
    /// Whether `datagram` is the answer to the request of this number and authenticator, by its
    /// response authenticator (RFC 2865, 3), and its Message-Authenticator if it has one.
    fn prove(&self, datagram: &[u8], id: u8, request: Authenticator) -> Result<Vec<u8>, Failure> {
        let Some(answer) = Packet::parse(datagram) else {
            return Err(unexpected("RADIUS as an answer", datagram));
        };
        if answer.id != id {
            return Err(unexpected("an answer to this request", b"another number"));
        }
        let given = &answer.whole[AUTHENTICATOR_AT..][..AUTHENTICATOR];
        let mut asked = answer.whole.to_vec();
        asked[AUTHENTICATOR_AT..][..AUTHENTICATOR].copy_from_slice(&request);
        let hash = Md5::new().chain_update(&asked).chain_update(&self.0).finalize();
        if hash.as_slice() != given {
            return Err(unexpected("an answer made with the shared secret", b"one that is not"));
        }
        if let Some((at, signature)) = answer.attribute(MESSAGE_AUTHENTICATOR) {
            let unsigned = asked.get_mut(at..at + signature.len()).unwrap_or_default();
            unsigned.fill(0);
            if self.sign(&asked) != signature {
                return Err(unexpected("a valid Message-Authenticator", b"another"));
            }
        }
        Ok(answer.whole.to_vec())
    }

    /// The Message-Authenticator of a packet whose own is zero (RFC 3579, 3.2).
    fn sign(&self, packet: &[u8]) -> Authenticator {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Md5>::new_from_slice(&self.0) else {
            return Authenticator::default();
        };
        mac.update(packet);
        mac.finalize().into_bytes().into()
    }

    /// A password as it is sent (RFC 2865, 5.2).
    fn hide(&self, password: &[u8], request: Authenticator) -> Vec<u8> {
        let mut hidden = Vec::with_capacity(PASSWORD);
        let mut before = request;
        for place in 0..password.len().div_ceil(AUTHENTICATOR).max(1) {
            let mask = Md5::new().chain_update(&self.0).chain_update(before).finalize();
            let piece = password.get(place * AUTHENTICATOR..).unwrap_or_default();
            let byte = |at: usize| mask[at] ^ piece.get(at).copied().unwrap_or_default();
            before = std::array::from_fn(byte);
            hidden.extend_from_slice(&before);
        }
        hidden
    }
}

const fn name(code: u8) -> &'static str {
    match code {
        ACCESS_ACCEPT => "Access-Accept",
        ACCESS_REJECT => "Access-Reject",
        ACCESS_CHALLENGE => "Access-Challenge",
        ACCOUNTING_RESPONSE => "Accounting-Response",
        _ => "another code",
    }
}

/// `wanted` names the step too.
fn unexpected(wanted: &str, got: &[u8]) -> Failure {
    let (wanted, step) = wanted.split_once(" after ").unwrap_or((wanted, ""));
    let step = if step.is_empty() { "of RADIUS".to_owned() } else { format!("after {step}") };
    Failure::Unexpected { step, wanted: wanted.to_owned(), got: Excerpt::new(got) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.split_whitespace();
        digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// The example of RFC 2865, 7.1: the user nemo with the password arctangent.
    #[test]
    fn a_password_is_hidden_as_in_the_example_of_the_rfc() {
        let secret = Secret(b"xyzzy5461".to_vec());
        let request = hex("0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a");
        let hidden = secret.hide(b"arctangent", request.clone().try_into().unwrap());
        assert_eq!(hidden, hex("0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee"));
        let answer = hex(
            "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 \
             00 00 00 00 0e 06 c0 a8 01 03",
        );
        let request = request.try_into().unwrap();
        assert!(secret.prove(&answer, 0, request).is_ok());
        assert!(secret.prove(&answer, 1, request).is_err());
        assert!(Secret(b"xyzzy5462".to_vec()).prove(&answer, 0, request).is_err());
        for place in 0..answer.len() {
            let mut forged = answer.clone();
            forged[place] ^= 1;
            assert!(secret.prove(&forged, 0, request).is_err(), "{place}");
        }
    }

    /// The example of RFC 5997, 6.1.
    #[test]
    fn a_question_is_signed_as_in_the_example_of_the_rfc() {
        let secret = Secret(b"xyzzy5461".to_vec());
        let packet = hex(
            "0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23 50 12 00 00 00 00 00 00 \
             00 00 00 00 00 00 00 00 00 00",
        );
        let signature = hex("5a 66 5e 2e 1e 84 11 f3 e2 43 82 20 97 c8 4f a3");
        assert_eq!(secret.sign(&packet).to_vec(), signature);
        let answer = hex("02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66");
        let request = packet[4..20].try_into().unwrap();
        assert!(secret.prove(&answer, 0xda, request).is_ok());
    }

    #[test]
    fn a_forged_message_authenticator_spoils_an_answer() {
        let secret = Secret(b"secret".to_vec());
        let request = [7; AUTHENTICATOR];
        let answer = |signature: Authenticator| {
            let mut packet =
                encode(ACCESS_ACCEPT, 3, request, &[(MESSAGE_AUTHENTICATOR, &signature)]);
            let hash = Md5::new().chain_update(&packet).chain_update(&secret.0).finalize();
            packet[AUTHENTICATOR_AT..][..AUTHENTICATOR].copy_from_slice(&hash);
            packet
        };
        let unsigned =
            encode(ACCESS_ACCEPT, 3, request, &[(MESSAGE_AUTHENTICATOR, &[0; AUTHENTICATOR])]);
        assert!(secret.prove(&answer(secret.sign(&unsigned)), 3, request).is_ok());
        assert!(secret.prove(&answer([9; AUTHENTICATOR]), 3, request).is_err());
    }
}

//! A proof of a password by SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! How often the password is hashed is for the server to say, and it might say four thousand
//! million times; that is why no crate does this.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::runtime::checks::base64;
use crate::wire::postgresql::ScramFirst;

pub(super) const MECHANISM: &[u8] = b"SCRAM-SHA-256";
/// The most a server may ask for, a fraction of a second; PostgreSQL's default is 4096.
pub(super) const ITERATIONS: u32 = 100_000;
/// After so many other checks get their turn.
const AT_ONCE: u32 = 1000;

/// No channel binding, as the messages write it, and in base64.
const HEADER: &str = "n,,";
const HEADER_BASE64: &str = "biws";

type Hash = [u8; 32];

/// A proof under way: the client has said its first word.
pub(super) struct Scram {
    nonce: String,
}

/// A proof whose end is known: what to send, and what the server must answer.
pub(super) struct Proof {
    pub(super) message: String,
    pub(super) answer: String,
}

impl Scram {
    pub(super) fn new(random: [u8; 18]) -> Self {
        Self { nonce: base64::encode(&random) }
    }

    /// The first message, with the name of the user, which PostgreSQL has from elsewhere.
    pub(super) fn first(&self, user: &str) -> String {
        format!("{HEADER}{}", self.bare(user))
    }

    /// The answer to the server's first message, `None` if that is not one of this proof or asks
    /// for too much.
    pub(super) async fn prove(&self, user: &str, password: &str, message: &[u8]) -> Option<Proof> {
        let first = ScramFirst::parse(message)?;
        let ours = first.nonce.starts_with(&self.nonce) && first.nonce.len() > self.nonce.len();
        if !ours || !(1..=ITERATIONS).contains(&first.iterations) {
            return None;
        }
        let salt = base64::decode(first.salt)?;
        let salted = stretch(password.as_bytes(), &salt, first.iterations).await;
        let without = format!("c={HEADER_BASE64},r={}", first.nonce);
        let message = std::str::from_utf8(message).ok()?;
        let all = format!("{},{message},{without}", self.bare(user));
        let client = mac(&salted, b"Client Key");
        let signature = mac(&Sha256::digest(client), all.as_bytes());
        let proof: Vec<_> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let server = mac(&mac(&salted, b"Server Key"), all.as_bytes());
        Some(Proof {
            message: format!("{without},p={}", base64::encode(&proof)),
            answer: format!("v={}", base64::encode(&server)),
        })
    }

    fn bare(&self, user: &str) -> String {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        format!("n={user},r={}", self.nonce)
    }
}

/// PBKDF2 with one block (RFC 8018, 5.2).
async fn stretch(password: &[u8], salt: &[u8], iterations: u32) -> Hash {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else {
        return Hash::default();
    };
    let hash = |bytes: &[u8]| Hash::from(keyed.clone().chain_update(bytes).finalize().into_bytes());
    let mut last = hash(&[salt, &1_u32.to_be_bytes()].concat());
    let mut all = last;
    for round in 1..iterations {
        if round % AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
        last = hash(&last);
        all.iter_mut().zip(last).for_each(|(all, last)| *all ^= last);
    }
    all
}

fn mac(key: &[u8], text: &[u8]) -> Hash {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|keyed| keyed.chain_update(text).finalize().into_bytes().into())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn example() -> Scram {
        Scram { nonce: "rOprNGfwEbeRWgbNEkqO".to_owned() }
    }

    #[tokio::test]
    async fn the_example_of_rfc_7677_holds() {
        let scram = example();
        assert_eq!(scram.first("user"), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.prove("user", "pencil", FIRST).await.unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof.answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[tokio::test]
    async fn a_server_that_repeats_the_nonce_or_asks_for_too_much_is_refused() {
        let text = std::str::from_utf8(FIRST).unwrap();
        for bad in [
            text.replace("hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "").replace('%', ""),
            text.replace("rOpr", "xOpr"),
            text.replace("4096", "4294967295"),
            text.replace("4096", "0"),
            text.replace("W22Z", "!!!!"),
        ] {
            let proof = example().prove("user", "pencil", bad.as_bytes()).await;
            assert!(proof.is_none(), "{bad}");
        }
    }
}

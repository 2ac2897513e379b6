//! Passwords: Argon2id, off the threads that serve.

use std::io;
use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::random;

/// Memory in KiB, passes and lanes: the first choice of OWASP's password storage cheat sheet.
const COST: (u32, u32, u32) = (19 << 10, 2, 1);

/// Hashes that are computed at the same time: each takes memory and most of a core.
static ROOM: Semaphore = Semaphore::const_new(2);

/// What `password` is kept as.
///
/// # Errors
/// When the system has no random numbers, or no thread.
pub(crate) async fn hash(password: String) -> io::Result<String> {
    let salt = random::<16>()?;
    apart(move || {
        let hashed = hasher()?.hash_password_with_salt(password.as_bytes(), &salt);
        hashed.map(|hash| hash.to_string()).map_err(other)
    })
    .await?
}

/// Whether `password` is what was kept. Without anything kept it takes as long and is not, so that
/// the time does not tell which accounts there are.
pub(crate) async fn verify(password: String, kept: Option<String>) -> io::Result<bool> {
    let exists = kept.is_some();
    let matches = apart(move || {
        let Some(kept) = kept.or_else(nobody) else { return false };
        hasher()
            .is_ok_and(|argon| argon.verify_password(password.as_bytes(), kept.as_str()).is_ok())
    })
    .await?;
    Ok(exists && matches)
}

/// The hash of a password that nobody has.
fn nobody() -> Option<String> {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    let make = || {
        let (password, salt) = (random::<32>().ok()?, random::<16>().ok()?);
        hasher().ok()?.hash_password_with_salt(&password, &salt).ok().map(|hash| hash.to_string())
    };
    HASH.get_or_init(make).clone()
}

fn hasher() -> io::Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(other)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let _place = ROOM.acquire().await.map_err(other)?;
    tokio::task::spawn_blocking(work).await.map_err(other)
}

fn other(error: impl ToString) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_its_own_and_no_other_and_nobody_has_none() {
        let kept = hash("correct horse".to_owned()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(verify("correct horse".to_owned(), Some(kept.clone())).await.unwrap());
        assert!(!verify("correct hors".to_owned(), Some(kept.clone())).await.unwrap());
        assert!(!verify("correct horse".to_owned(), None).await.unwrap());
        assert!(!verify("correct horse".to_owned(), Some("plain".to_owned())).await.unwrap());
        assert_ne!(hash("correct horse".to_owned()).await.unwrap(), kept);
    }
}

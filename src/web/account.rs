//! Users and API tokens: what the accounts file says.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Role;
use super::secret::{Digest, Secret, hex};
use crate::control::Timestamp;

/// Fewer characters are too easy to try out.
const SHORTEST_PASSWORD: usize = 10;

/// More bytes would only keep the hash function busy.
const LONGEST_PASSWORD: usize = 1024;

/// The longest name of a user or token.
const LONGEST_NAME: usize = 32;

/// Everybody who may come in.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Accounts {
    #[serde(default)]
    pub(crate) users: Vec<User>,
    #[serde(default)]
    pub(crate) tokens: Vec<Token>,
}

/// A person with a password.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Argon2id, in the PHC string format.
    pub(crate) password: String,
    /// When the password was set.
    pub(crate) changed: Timestamp,
}

impl User {
    /// Changes when the account does: a session begun before is over then.
    pub(crate) fn stamp(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}\n{}", self.name, self.role, self.password));
        // 64 hexadecimal digits make a digest.
        Digest::try_from(hex(&hash.finalize())).unwrap_or_else(|_| Secret::new([0; 32]).digest())
    }
}

/// A program's way in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) digest: Digest,
    /// Who made it.
    pub(crate) author: String,
    pub(crate) created: Timestamp,
    /// When it ends; `None` for never.
    pub(crate) expires: Option<Timestamp>,
}

/// Why accounts stay as they are.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("`{0}` is no name: use 1 to 32 of a-z, 0-9, `.`, `_` and `-`, a letter first")]
    Name(String),
    #[error("the password is too short: use at least 10 characters")]
    Short,
    #[error("the password is too long: use at most 1024 bytes")]
    Long,
    #[error("the password is the name of the user: use another")]
    IsName,
    #[error("there is a token of that name already: use another, or revoke it first")]
    Exists,
    #[error("there is no {0} `{1}`")]
    Unknown(&'static str, String),
    #[error("`{0}` is the last admin: make another one first")]
    LastAdmin(String),
}

impl Accounts {
    /// The user of this name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The token that is `secret`, if it has not ended at `now`.
    pub(crate) fn token(&self, secret: &Secret, now: Timestamp) -> Option<&Token> {
        let digest = secret.digest();
        let token = self.tokens.iter().find(|token| token.digest == digest)?;
        token.expires.is_none_or(|expires| now < expires).then_some(token)
    }

    /// Adds a user, or gives one of that name this password and role.
    pub(crate) fn put_user(&mut self, user: User) -> Result<(), AccountError> {
        check_name(&user.name)?;
        if user.role < Role::Admin {
            self.spare_last_admin(&user.name)?;
        }
        match self.users.iter_mut().find(|old| old.name == user.name) {
            Some(old) => *old = user,
            None => self.users.push(user),
        }
        Ok(())
    }

    /// Takes a user away.
    pub(crate) fn remove_user(&mut self, name: &str) -> Result<(), AccountError> {
        if self.user(name).is_none() {
            return Err(AccountError::Unknown("user", name.to_owned()));
        }
        self.spare_last_admin(name)?;
        self.users.retain(|user| user.name != name);
        Ok(())
    }

    /// Adds a token.
    pub(crate) fn add_token(&mut self, token: Token) -> Result<(), AccountError> {
        check_name(&token.name)?;
        if self.tokens.iter().any(|old| old.name == token.name) {
            return Err(AccountError::Exists);
        }
        self.tokens.push(token);
        Ok(())
    }

    /// Takes a token away.
    pub(crate) fn revoke_token(&mut self, name: &str) -> Result<(), AccountError> {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        if self.tokens.len() == before {
            return Err(AccountError::Unknown("token", name.to_owned()));
        }
        Ok(())
    }

    fn spare_last_admin(&self, name: &str) -> Result<(), AccountError> {
        let mut admins = self.users.iter().filter(|user| user.role == Role::Admin);
        match (admins.next(), admins.next()) {
            (Some(only), None) if only.name == name => {
                Err(AccountError::LastAdmin(name.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether `name` may be that of a user or token.
pub(crate) fn check_name(name: &str) -> Result<(), AccountError> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if begins && name.len() <= LONGEST_NAME && name.chars().all(plain) {
        return Ok(());
    }
    Err(AccountError::Name(name.chars().take(LONGEST_NAME).collect()))
}

/// Whether `password` may be that of the user `name`.
pub(crate) fn check_password(name: &str, password: &str) -> Result<(), AccountError> {
    if password.len() > LONGEST_PASSWORD {
        return Err(AccountError::Long);
    }
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(AccountError::Short);
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(AccountError::IsName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, role: Role) -> User {
        User { name: name.to_owned(), role, password: "x".to_owned(), changed: Timestamp(0) }
    }

    #[test]
    fn there_is_always_an_admin_once_there_was_one() {
        let mut accounts = Accounts::default();
        accounts.put_user(user("alice", Role::Admin)).unwrap();
        let last = Err(AccountError::LastAdmin("alice".to_owned()));
        assert_eq!(accounts.remove_user("alice"), last);
        assert_eq!(accounts.put_user(user("alice", Role::Viewer)), last);
        accounts.put_user(user("bob", Role::Admin)).unwrap();
        accounts.remove_user("alice").unwrap();
        assert_eq!(accounts.users.len(), 1);
    }

    #[test]
    fn a_session_is_over_when_role_or_password_changed_and_only_then() {
        let alice = user("alice", Role::Admin);
        let changed = User { password: "y".to_owned(), ..alice.clone() };
        assert_ne!(alice.stamp(), changed.stamp());
        assert_ne!(alice.stamp(), user("alice", Role::Viewer).stamp());
        assert_eq!(alice.stamp(), User { changed: Timestamp(9), ..alice.clone() }.stamp());
    }

    #[test]
    fn a_token_ends_when_it_should() {
        let secret = Secret::new([3; 32]);
        let token = |expires| Token {
            name: "grafana".to_owned(),
            role: Role::Viewer,
            digest: secret.digest(),
            author: "alice".to_owned(),
            created: Timestamp(0),
            expires,
        };
        let mut accounts = Accounts::default();
        accounts.add_token(token(Some(Timestamp(10)))).unwrap();
        assert!(accounts.token(&secret, Timestamp(9)).is_some());
        assert!(accounts.token(&secret, Timestamp(10)).is_none());
        assert!(accounts.token(&Secret::new([4; 32]), Timestamp(9)).is_none());
        assert_eq!(accounts.add_token(token(None)), Err(AccountError::Exists));
        accounts.revoke_token("grafana").unwrap();
        assert!(accounts.token(&secret, Timestamp(9)).is_none());
    }

    #[test]
    fn names_and_passwords_that_would_do_harm_are_refused() {
        for name in ["", "9lives", "Alice", "a b", "a/b", "<b>", "é", &"a".repeat(33)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("alice.b-2_c").is_ok());
        assert_eq!(check_password("alice", "short"), Err(AccountError::Short));
        assert_eq!(check_password("piranha-admin", "Piranha-Admin"), Err(AccountError::IsName));
        assert_eq!(check_password("alice", &"x".repeat(1025)), Err(AccountError::Long));
        assert!(check_password("alice", "correct horse").is_ok());
    }
}

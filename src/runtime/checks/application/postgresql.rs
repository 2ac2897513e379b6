//! PostgreSQL's start-up, protocol 3.0 (its documentation, "Message Flow").

use md5::{Digest, Md5};

use super::scram::{self, Scram};
use super::{Access, unexpected};
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::random;
use crate::runtime::checks::secret::Login;
use crate::wire::postgresql::{Authentication, field};

const VERSION_3: u32 = 3 << 16;
const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const TERMINATE: &[u8] = b"X\0\0\0\x04";
/// Turned away for the password, the rules of access, or a database that is not there.
const TURNED_AWAY: [&[u8]; 3] = [b"28P01", b"28000", b"3D000"];
/// The database that is there unless somebody has removed it.
const DATABASE: &str = "postgres";
/// The most messages before the server is ready.
const MESSAGES: usize = 200;

const AUTHENTICATION: u8 = b'R';
const ERROR: u8 = b'E';
const READY: u8 = b'Z';
const PASSWORD: u8 = b'p';

pub(super) async fn speak(mut line: Conversation, access: Access<'_>) -> Result<(), Failure> {
    if let Some(tls) = access.starttls {
        line.send(&start(SSL_REQUEST, b"")).await?;
        let answer = line.read_exactly(1).await?;
        if answer != b"S" {
            return Err(unexpected("after the request for TLS", "S", &answer));
        }
        line = line.start_tls(tls).await?;
    }
    let user = access.login.map_or("piranha", |login| &login.user);
    let parameters = format!("user\0{user}\0database\0{DATABASE}\0\0");
    line.send(&start(VERSION_3, parameters.as_bytes())).await?;
    match access.login {
        None => knock(&mut line).await?,
        Some(login) => log_in(&mut line, login, access.is_secure).await?,
    }
    line.leave(TERMINATE).await;
    Ok(())
}

/// Being asked for a password or turned away is all that is wanted.
async fn knock(line: &mut Conversation) -> Result<(), Failure> {
    let (kind, content) = read_message(line).await?;
    match kind {
        AUTHENTICATION => Ok(()),
        ERROR if field(&content, b'C').is_some_and(|code| TURNED_AWAY.contains(&code)) => Ok(()),
        ERROR => Err(unexpected("after the start-up", "an answer", said(&content))),
        _ => Err(unexpected("after the start-up", "R or E", &[&[kind], &content[..]].concat())),
    }
}

/// Goes on until the server is ready for queries.
async fn log_in(line: &mut Conversation, login: &Login, secure: bool) -> Result<(), Failure> {
    let mut is_in = false;
    for _ in 0..MESSAGES {
        let (kind, content) = read_message(line).await?;
        match kind {
            AUTHENTICATION => is_in = authenticate(line, login, secure, &content).await?,
            ERROR => return Err(unexpected("after the login", "to be let in", said(&content))),
            READY if is_in => return Ok(()),
            // Parameters, keys and notices.
            _ => {}
        }
    }
    Err(unexpected("after the login", "a server that is ready", b"ever more messages"))
}

/// Answers a request to prove the password. Whether the client is in.
async fn authenticate(
    line: &mut Conversation,
    login: &Login,
    secure: bool,
    content: &[u8],
) -> Result<bool, Failure> {
    match Authentication::parse(content) {
        Some(Authentication::Ok) => return Ok(true),
        Some(Authentication::Md5(salt)) => {
            send_secret(line, &[hashed(login, salt).as_bytes(), &[0]].concat()).await?;
        }
        Some(Authentication::Cleartext) if secure => {
            send_secret(line, &[login.password.as_bytes(), &[0]].concat()).await?;
        }
        Some(Authentication::Cleartext) => {
            let wanted = "to be let in without TLS (write `check_tls = starttls`)";
            return Err(unexpected("after the login", wanted, b"a request for the password"));
        }
        Some(Authentication::Sasl(mechanisms))
            if Authentication::offers(mechanisms, scram::MECHANISM) =>
        {
            prove(line, login).await?;
        }
        _ => return Err(unexpected("after the login", "a known method", content)),
    }
    Ok(false)
}

/// SCRAM, to the server's last word, which proves that it knows the password too.
async fn prove(line: &mut Conversation, login: &Login) -> Result<(), Failure> {
    let scram = Scram::new(random::bytes()?);
    let first = scram.first("");
    let length = u32::try_from(first.len()).unwrap_or_default().to_be_bytes();
    let initial = [scram::MECHANISM, &[0], &length, first.as_bytes()].concat();
    line.send(&message(PASSWORD, &initial)).await?;
    let content = read_authentication(line).await?;
    let proof = match Authentication::parse(&content) {
        Some(Authentication::SaslContinue(first)) => scram.prove("", &login.password, first).await,
        _ => None,
    };
    let Some(proof) = proof else {
        let wanted = format!("SCRAM with at most {} rounds", scram::ITERATIONS);
        return Err(unexpected("after the login", &wanted, content.get(4..).unwrap_or_default()));
    };
    send_secret(line, proof.message.as_bytes()).await?;
    let content = read_authentication(line).await?;
    match Authentication::parse(&content) {
        Some(Authentication::SaslFinal(last)) if last == proof.answer.as_bytes() => Ok(()),
        _ => Err(unexpected("after the login", "a server that knows the password", b"another")),
    }
}

/// The password's hash, as old servers have it.
fn hashed(login: &Login, salt: [u8; 4]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let stored = Md5::new().chain_update(&login.password).chain_update(&login.user).finalize();
    let salted = Md5::new().chain_update(hex(&stored)).chain_update(salt).finalize();
    format!("md5{}", hex(&salted))
}

async fn send_secret(line: &mut Conversation, content: &[u8]) -> Result<(), Failure> {
    line.send_shown_as(&message(PASSWORD, content), b"a login (secret)").await
}

/// The content of the next message, which is about authentication.
async fn read_authentication(line: &mut Conversation) -> Result<Vec<u8>, Failure> {
    match read_message(line).await? {
        (AUTHENTICATION, content) => Ok(content),
        (ERROR, content) => Err(unexpected("after the login", "to be let in", said(&content))),
        (kind, _) => Err(unexpected("after the login", "R or E", &[kind])),
    }
}

async fn read_message(line: &mut Conversation) -> Result<(u8, Vec<u8>), Failure> {
    let head = line.read_exactly(5).await?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    Ok((head[0], line.read_exactly(length.saturating_sub(4)).await?))
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap_or_default();
    [&[kind], &length.to_be_bytes()[..], content].concat()
}

/// The first message, which has no kind.
fn start(code: u32, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len() + 8).unwrap_or_default();
    [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

/// The text of an error, or all of it.
fn said(content: &[u8]) -> &[u8] {
    field(content, b'M').unwrap_or(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_psql() {
        let login = Login { user: "ann".to_owned(), password: "hunter2".to_owned() };
        // md5(md5("hunter2ann") in hexadecimal and the salt), by md5sum.
        assert_eq!(hashed(&login, *b"salt"), "md5c0c3f557f7dbb6fb0f50f7e20972549f");
    }
}

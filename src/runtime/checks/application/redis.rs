//! Redis, in the protocol RESP2: commands as arrays of strings, replies as lines.

use super::unexpected;
use crate::health::Failure;
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::secret::Login;

pub(super) async fn speak(mut line: Conversation, login: Option<&Login>) -> Result<(), Failure> {
    if let Some(login) = login {
        let words = ["AUTH", login.user.as_str(), login.password.as_str()];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        line.send_shown_as(&command(&words), b"AUTH (secret)").await?;
        expect(&mut line, "after AUTH", "+OK").await?;
    }
    line.send(&command(&["PING"])).await?;
    let verdict = expect(&mut line, "after PING", "+PONG").await;
    line.close();
    verdict
}

async fn expect(line: &mut Conversation, step: &str, wanted: &str) -> Result<(), Failure> {
    let got = line.read_line().await?;
    match got == wanted.as_bytes() {
        true => Ok(()),
        false => Err(unexpected(step, wanted, &got)),
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let strings = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let strings: String = strings.collect();
    format!("*{}\r\n{strings}", words.len()).into_bytes()
}

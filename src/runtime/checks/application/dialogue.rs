//! The protocols of commands and replies in lines: SMTP, POP3, IMAP, FTP, NNTP.

use super::unexpected;
use crate::health::{Application, Failure};
use crate::runtime::checks::conversation::Conversation;
use crate::runtime::checks::tls::Tls;

/// How the beginning of a dialogue goes.
struct Script {
    /// What a greeting begins with.
    greeting: &'static [&'static str],
    /// The command that asks whether the server is well, after TLS where that is wanted.
    hello: Option<Step>,
    /// Whether it also comes before the one for TLS.
    hello_first: bool,
    starttls: Step,
    goodbye: &'static str,
}

struct Step {
    command: &'static str,
    reply: &'static [&'static str],
}

const fn step(command: &'static str, reply: &'static [&'static str]) -> Step {
    Step { command, reply }
}

const SMTP: Script = Script {
    greeting: &["220"],
    hello: Some(step("EHLO piranha.invalid", &["250"])),
    hello_first: true,
    starttls: step("STARTTLS", &["220"]),
    goodbye: "QUIT",
};

const POP3: Script = Script {
    greeting: &["+OK"],
    hello: None,
    hello_first: false,
    starttls: step("STLS", &["+OK"]),
    goodbye: "QUIT",
};

const IMAP: Script = Script {
    greeting: &["* OK", "* PREAUTH"],
    hello: Some(step("p2 NOOP", &["p2 OK"])),
    hello_first: false,
    starttls: step("p1 STARTTLS", &["p1 OK"]),
    goodbye: "p3 LOGOUT",
};

const FTP: Script = Script {
    greeting: &["220"],
    hello: None,
    hello_first: false,
    starttls: step("AUTH TLS", &["234"]),
    goodbye: "QUIT",
};

const NNTP: Script = Script {
    greeting: &["200", "201"],
    hello: Some(step("DATE", &["111"])),
    hello_first: false,
    starttls: step("STARTTLS", &["382"]),
    goodbye: "QUIT",
};

/// The most lines of one reply.
const LINES: usize = 100;

pub(super) async fn speak(
    application: Application,
    mut line: Conversation,
    starttls: Option<&Tls>,
) -> Result<(), Failure> {
    let script = match application {
        Application::Pop3 => &POP3,
        Application::Imap => &IMAP,
        Application::Ftp => &FTP,
        Application::Nntp => &NNTP,
        _ => &SMTP,
    };
    expect(&mut line, "as a greeting", script.greeting).await?;
    if let Some(tls) = starttls {
        let first = script.hello.as_ref().filter(|_| script.hello_first);
        for step in first.into_iter().chain([&script.starttls]) {
            take(&mut line, step).await?;
        }
        line = line.start_tls(tls).await?;
    }
    if let Some(hello) = &script.hello {
        take(&mut line, hello).await?;
    }
    line.leave(format!("{}\r\n", script.goodbye).as_bytes()).await;
    Ok(())
}

async fn take(line: &mut Conversation, step: &Step) -> Result<(), Failure> {
    line.send(format!("{}\r\n", step.command).as_bytes()).await?;
    expect(line, &format!("after {}", step.command), step.reply).await
}

/// Reads a reply to its last line, and compares that.
async fn expect(line: &mut Conversation, step: &str, wanted: &[&str]) -> Result<(), Failure> {
    let mut begun = None;
    for _ in 0..LINES {
        let got = line.read_line().await?;
        if goes_on(&got, wanted, &mut begun) {
            continue;
        }
        let passes = wanted.iter().any(|wanted| got.starts_with(wanted.as_bytes()));
        return match passes {
            true => Ok(()),
            false => Err(unexpected(step, &wanted.join(" or "), &got)),
        };
    }
    Err(Failure::AnswerTooLarge { limit: LINES * Conversation::LIMIT })
}

/// Whether a line is followed by more of its reply: `250-` of numbered replies, and every line
/// until `250 ` then; what IMAP sends without the tag of the command.
fn goes_on(got: &[u8], wanted: &[&str], begun: &mut Option<Vec<u8>>) -> bool {
    let tagged = wanted.iter().all(|wanted| wanted.starts_with('p'));
    if tagged {
        return got.starts_with(b"* ");
    }
    match begun {
        Some(code) => !(got.starts_with(code) && got.get(3) == Some(&b' ')),
        None => {
            let numbered = got.len() > 3 && got[..3].iter().all(u8::is_ascii_digit);
            let more = numbered && got[3] == b'-';
            if more {
                *begun = Some(got[..3].to_vec());
            }
            more
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_with_its_code_and_a_blank() {
        let mut begun = None;
        let lines: [&[u8]; 4] = [b"220-hello", b"221 not yet", b" 220 nor here", b"220 now"];
        let more = lines.map(|line| goes_on(line, &["220"], &mut begun));
        assert_eq!(more, [true, true, true, false]);
        assert!(!goes_on(b"220", &["220"], &mut None));
        assert!(!goes_on(b"+OK-", &["+OK"], &mut None));
        assert!(goes_on(b"* 3 EXISTS", &["p2 OK"], &mut None));
    }
}

//! Keeping secrets out of what is shown to others.

use std::collections::BTreeSet;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Shorter secrets are not looked for: they would be found everywhere.
const SHORTEST: usize = 4;

/// Directives whose values may hold a secret as a whole.
const WHOLE: [&str; 10] = [
    "send",
    "send_hex",
    "expect",
    "expect_hex",
    "http_body",
    "http_header",
    "http_json",
    "http_expect",
    "http_path",
    "notify_webhook",
];

/// Directives that name a program, whose arguments may hold a secret.
const COMMANDS: [&str; 10] = [
    "send_program",
    "load_monitor",
    "notify_command",
    "notify_event_command",
    "active_cmd",
    "inactive_cmd",
    "start_cmd",
    "stop_cmd",
    "track_command",
    "rsh_command",
];

/// Parts of the names of directives that hold a secret, or the path of the file that does.
const NAMES: [&str; 5] = ["auth", "key", "password", "secret", "token"];

/// Knows the secrets of a configuration, and takes them out of texts.
///
/// What counts as one: the content of the files of secrets; what `send`, `http_header` and their
/// like say; the arguments of programs; addresses of webhooks; and every comment, in which anything
/// may stand.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// The longest first, so that none is left of one that has another in it.
    secrets: Vec<String>,
}

impl Redactor {
    /// For the configuration in these files, with the content of these files of secrets.
    #[must_use]
    pub fn new<'a>(
        configuration: impl IntoIterator<Item = &'a str>,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut found = BTreeSet::new();
        for line in configuration.into_iter().flat_map(str::lines).filter(|line| is_told(line)) {
            note(split(line).1, is_likely, &mut found);
        }
        for line in secrets.into_iter().flat_map(str::lines) {
            note(line, |_| true, &mut found);
        }
        let mut secrets: Vec<_> = found.into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// A configuration without its secrets and comments; lines keep their places.
    #[must_use]
    pub fn configuration(&self, text: &str) -> String {
        let line = |line: &str| {
            let (kept, secret) = split(line);
            let mark = if secret.is_empty() { "" } else { REDACTED };
            format!("{kept}{mark}\n")
        };
        self.text(&text.lines().map(line).collect::<String>())
    }

    /// A text of any kind, JSON also, without any secret.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }
}

/// The part of a line that may be shown, and the rest.
fn split(line: &str) -> (&str, &str) {
    let name = line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default();
    let value = line.find('=').map_or(line.len(), |at| at + 1);
    let value = value + (line[value..].len() - line[value..].trim_start().len());
    let end = if name.starts_with('#') {
        line.find('#').unwrap_or(0)
    } else if WHOLE.contains(&name) || is_inline_secret(name, &line[value..]) {
        value
    } else if COMMANDS.contains(&name) {
        let program = line[value..].find([' ', '\t']).unwrap_or(line.len() - value);
        value + program
    } else {
        // Behind a value a comment may follow; a quoted value has no such end.
        line.find(" #").filter(|_| !line.contains('"')).unwrap_or(line.len())
    };
    let rest = &line[end..];
    if rest.trim().is_empty() { (line, "") } else { (&line[..end], rest) }
}

/// A file of a secret is named by its path, which is none itself.
fn is_inline_secret(name: &str, value: &str) -> bool {
    NAMES.iter().any(|part| name.contains(part)) && !value.trim_start_matches('"').starts_with('/')
}

/// Whether what is hidden in a line can come up elsewhere. Comments do not, and what a server is
/// expected to say is no secret once it says so.
fn is_told(line: &str) -> bool {
    let name = line.trim_start();
    !name.starts_with('#') && !name.starts_with("expect") && !name.starts_with("http_expect")
}

/// Whether a word of a value is no plain one, which would be found everywhere.
fn is_likely(word: &str) -> bool {
    word.len() >= 12 || !word.chars().all(|letter| letter.is_ascii_lowercase())
}

/// Notes a secret, and those of its words that are, as they stand and as JSON writes them.
fn note(text: &str, is_secret: impl Fn(&str) -> bool, found: &mut BTreeSet<String>) {
    let text = text.trim().trim_matches('"');
    let words = text.split([' ', '\t', '=', ':', ',', ';', '/', '@', '?', '&', '"', '\'', '\\']);
    for secret in std::iter::once(text).chain(words.filter(|word| is_secret(word))) {
        if secret.len() < SHORTEST {
            continue;
        }
        let escaped: String = secret.chars().flat_map(json_escape).collect();
        found.insert(secret.to_owned());
        found.insert(escaped);
    }
}

fn json_escape(letter: char) -> Vec<char> {
    match letter {
        '"' | '\\' => vec!['\\', letter],
        '\t' => vec!['\\', 't'],
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"primary = 192.0.2.1
# the old password was hunter2hunter2
heartbeat_key = /etc/piranha/key
notify_webhook = https://ops:s3cr3tpw@hooks.example.org/T0K3NT0K3N
virtual web {
    address = 192.0.2.80 eth0:1
    send = "AUTH sup3rs3cret\r\n"
    http_header = "Authorization: Basic QWxhZGRpbjpvcGVu"
    send_program = /usr/bin/check --password pr0gr4mpw %h
    port = 80
}
"#;

    const SECRETS: [&str; 7] = [
        "hunter2hunter2",
        "s3cr3tpw",
        "T0K3NT0K3N",
        "sup3rs3cret",
        "QWxhZGRpbjpvcGVu",
        "pr0gr4mpw",
        "from-the-file",
    ];

    fn redactor() -> Redactor {
        Redactor::new([FILE], ["from-the-file\n"])
    }

    #[test]
    fn no_secret_of_a_configuration_is_left_in_it_and_the_rest_is() {
        let text = redactor().configuration(FILE);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(text.lines().count(), FILE.lines().count());
        for kept in ["heartbeat_key = /etc/piranha/key", "address = 192.0.2.80 eth0:1", "port = 80"]
        {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
        assert!(text.contains("send_program = /usr/bin/check[redacted]"), "{text}");
    }

    #[test]
    fn no_secret_is_left_in_any_other_text() {
        let redactor = redactor();
        for secret in &SECRETS[1..] {
            let text = redactor.text(&format!("{{\"reason\":\"got \\\"{secret}\\\" back\"}}"));
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let state = r#"{"state":"active","service":"web"}"#;
        assert_eq!(redactor.text(state), state);
    }
}

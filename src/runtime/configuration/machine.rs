//! What a configuration may ask about this machine.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::read_bounded;
use crate::config::Surroundings;
use crate::health::{CheckSpec, Expect};
use crate::net::Protocol;
use crate::runtime::checks;

/// Where services have their names.
const SERVICES: &str = "/etc/services";

/// This machine: its files, its `/etc/services`, and, where that is wanted, its interfaces.
#[derive(Debug, Default)]
pub struct Machine {
    devices: bool,
    services: OnceLock<Vec<u8>>,
}

impl Machine {
    /// Also tells which network interfaces there are, which is of use for a file that is meant for
    /// the machine it is checked on.
    #[must_use]
    pub fn with_devices(mut self) -> Self {
        self.devices = true;
        self
    }
}

impl Surroundings for Machine {
    /// As in 0.8.6, TCP's services.
    fn service_port(&self, name: &str) -> Option<u16> {
        let services =
            self.services.get_or_init(|| read_bounded(Path::new(SERVICES)).unwrap_or_default());
        String::from_utf8_lossy(services).lines().find_map(|line| port_on(line, name))
    }

    fn check_pattern(&self, pattern: &str) -> Result<(), String> {
        let expect = Expect::Regex(pattern.to_owned());
        let spec = CheckSpec::SendExpect { send: Vec::new(), expect };
        let built = checks::build(&spec, Protocol::Tcp);
        built.map(drop).map_err(|error| last_line(&error.to_string()))
    }

    fn has_device(&self, name: &str) -> Option<bool> {
        let usable = self.devices && !name.is_empty() && !name.contains('/') && name != "..";
        usable.then(|| Path::new("/sys/class/net").join(name).exists())
    }

    fn matching(&self, including: &str, pattern: &str) -> Result<Vec<String>, String> {
        let around = Path::new(including).parent().unwrap_or(Path::new(""));
        let path = around.join(pattern);
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("its name is not UTF-8");
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err("it is no file".to_owned());
        };
        let name = name.to_str().ok_or("its name is not UTF-8")?;
        if directory.to_str().is_some_and(has_wildcard) {
            return Err("wildcards can only stand behind the last `/`".to_owned());
        }
        if !has_wildcard(name) {
            return Ok(vec![text(&path)?]);
        }
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|entry| !entry.starts_with('.') && matches(name.as_bytes(), entry.as_bytes()))
            .collect();
        names.sort();
        names.iter().map(|name| Ok(text(&directory.join(name))?)).collect()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = Path::new(name);
        let kind = fs::metadata(path).map_err(|error| error.to_string())?;
        if !kind.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        read_bounded(path).map_err(|error| error.to_string())
    }
}

/// The reason, without the picture of the expression above it.
fn last_line(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// The port on a line of `/etc/services`, if it is about `name` over TCP.
fn port_on(line: &str, name: &str) -> Option<u16> {
    let mut words = line.split('#').next()?.split_whitespace();
    let (official, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
    let named = official == name || words.any(|alias| alias == name);
    named.then(|| port.parse().ok()).flatten()
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `name` is one that `pattern` stands for: `*` any bytes, `?` one, `[a-c]` one of those,
/// `[!a-c]` one of the others. A pattern without its `]` matches nothing.
pub(in crate::runtime) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // After a mismatch, one more byte goes to the last `*`: there is nothing to gain by trying an
    // earlier one.
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        let step = name.get(n).and_then(|&byte| one(&pattern[p.min(pattern.len())..], byte));
        match (step, retry) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, from))) if from < name.len() => {
                (p, n) = (after, from + 1);
                retry = Some((after, from + 1));
            }
            (None, _) => return false,
        }
    }
}

/// The length of what stands for `byte` at the beginning of `pattern`, if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => {
            let (negated, rest) = match rest {
                [b'!', rest @ ..] => (true, rest),
                rest => (false, rest),
            };
            let end = 1 + rest.get(1..)?.iter().position(|&byte| byte == b']')?;
            let length = 2 + usize::from(negated) + end;
            (is_in(&rest[..end], byte) != negated).then_some(length)
        }
        [first, ..] => (*first == byte).then_some(1),
        [] => None,
    }
}

fn is_in(set: &[u8], byte: u8) -> bool {
    match set {
        [first, b'-', last, rest @ ..] => (*first..=*last).contains(&byte) || is_in(rest, byte),
        [first, rest @ ..] => *first == byte || is_in(rest, byte),
        [] => false,
    }
}

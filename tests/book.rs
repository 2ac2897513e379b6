//! The book, docs/: what it shows can be used, and its pages lead to each other.
//!
//! A block ```` ```lvs.cf ```` is a whole file if it says `primary`; else it stands in one that is complete
//! without it. Commands in blocks ```` ```sh ```` are given to the programs with `--help` behind, which reads them and does
//! nothing. The first chapter is played, word by word, by `tests/packages/run`, those on the kernel's ways by
//! `tests/kernel/book`, what is typed beside a running pair by `tests/netns/book`. `BLOCKS` says of each block who runs it.
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may read files")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use piranha::config::load;

const WITHOUT_DIRECTORS: &str = "primary = 192.0.2.11\nbackup = 192.0.2.12\nbackup_active = 1\n";
const A_SERVICE: &str = "virtual rest {\nactive = 1\naddress = 192.0.2.99 eth0\nport = 8099\ncheck = connect\n\
                         server s {\naddress = 192.0.2.98\nactive = 1\n}\n}\n";

/// Who runs a block.
enum By {
    /// What is in this file, which names the page.
    File(&'static str),
    /// The test in this file does the same in words of its own.
    Alike(&'static str),
    /// Nobody, for it is no command and no file, or for another reason.
    Nobody(&'static str),
}
use By::{Alike, File, Nobody};

const LAB: By = File("tests/kernel/book/mod.rs");
const RULES: By = File("tests/netns/book/rules.rs");
const RUNNING: By = File("tests/netns/book/running.rs");
const OUTPUT: By = Nobody("what is printed");
const DRAWING: By = Nobody("a drawing");

/// The blocks that are neither configurations, which are loaded here, nor Rust, which the documentation's tests run: a page,
/// how a block begins, who runs it.
const BLOCKS: &[(&str, &str, By)] = &[
    ("agent.md", "the agent of", OUTPUT),
    ("agent.md", "$ nanny agent", Alike("tests/cli/load.rs")),
    ("api.md", "{", OUTPUT),
    ("checks.md", "$ nanny --explain", Alike("tests/cli/nanny.rs")),
    ("checks.md", "connect timed out", OUTPUT),
    ("checks.md", "openssl x509", Nobody("a program of others, on a certificate of the reader's")),
    ("control-protocol.md", "{", Nobody("words of the protocol, shortened")),
    ("direct-routing.md", "sysctl", LAB),
    ("direct-routing.md", "# /etc/sysctl.d/90-real-server.conf", RULES),
    ("direct-routing.md", "arping", LAB),
    ("embedding.md", "[dependencies]", Nobody("needs a registry that has this version")),
    (
        "embedding.md",
        "cargo run --example parse_lvs_cf",
        Nobody("`tests/run unit` has the tests of the example"),
    ),
    ("failover.md", "address = ", Nobody("two lines of a block that the other pages have")),
    ("failover.md", "service = fos", Alike("tests/cli/fos.rs")),
    ("firewall-marks.md", "iptables", LAB),
    ("firewall-marks.md", "table ip lvs", RULES),
    ("first-pair.md", "", File("tests/packages/chapter")),
    ("ftp.md", "", LAB),
    ("gui.md", "piranha serve", RUNNING),
    ("gui.md", "cargo run", Alike("tests/two_node_serve")),
    ("gui.md", "curl", RUNNING),
    ("ipv6.md", "", LAB),
    ("metrics.md", "metrics = ", Alike("tests/cli/metrics.rs")),
    ("migration.md", "piranha config check /etc", RUNNING),
    (
        "migration.md",
        "piranha config import --output /etc",
        Nobody("the running table is the kernel's; tests/cli/migration.rs has the other lines"),
    ),
    ("migration.md", "piranha config", File("tests/cli/migration.rs")),
    ("migration.md", "ipvsadm -Sn | piranha", File("tests/cli/migration.rs")),
    ("migration.md", "service pulse start", RUNNING),
    ("monitoring.md", "piranha top", RUNNING),
    ("monitoring.md", "piranha notify test", RUNNING),
    ("nat.md", "clients", DRAWING),
    ("nat.md", "sysctl", LAB),
    ("nat.md", "ip route", LAB),
    ("nat.md", "curl", LAB),
    ("nat.md", "piranha doctor", LAB),
    ("notifications.md", "{", OUTPUT),
    ("notifications.md", "INSTANCE", Alike("tests/cli/notify.rs")),
    ("pulse-protocol.md", "0       1", DRAWING),
    ("pulse-protocol.md", "50 55 4c 53", File("src/wire/pulse/tests.rs")),
    ("pulse-protocol.md", "active ", DRAWING),
    ("recording.md", "pulse --record", Alike("tests/cli/pair.rs")),
    ("relay.md", "ip rule", RULES),
    ("relay.md", "nft add", RULES),
    ("security.md", "table inet director", RULES),
    ("synchronising.md", "piranha s", Alike("tests/cli/sync.rs")),
    ("synchronising.md", "systemctl", Nobody("needs systemd")),
    ("synchronising.md", "# piranha pair new", Alike("tests/cli/peer.rs")),
    ("synchronising.md", "joiner", DRAWING),
    ("systemd.md", "nanny:", OUTPUT),
    ("systemd.md", "journalctl", Nobody("needs systemd")),
    ("troubleshooting.md", "", RUNNING),
    ("tunnelling.md", "", LAB),
    ("upgrading.md", "dpkg", Alike("tests/packages/chapter")),
    ("upgrading.md", "piranha readiness", Alike("tests/packages/chapter")),
    ("upgrading.md", "piranha config check", RUNNING),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Every page of the book but its table of contents, by file name.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = std::fs::read_dir(docs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| name != "SUMMARY.md")
        .collect();
    pages.sort();
    pages
}

/// What stands between the fences of one kind; fences may be indented, as in lists.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines().map(str::trim_start) {
        match &mut block {
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None => block = (line.strip_prefix("```") == Some(kind)).then(String::new),
        }
    }
    blocks
}

/// The kind and the first line of everything between fences.
fn openings(page: &str) -> Vec<(&str, &str)> {
    let mut lines = page.lines().map(str::trim);
    let mut openings = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            openings.push((kind, lines.next().unwrap()));
            lines.find(|line| *line == "```").unwrap();
        }
    }
    openings
}

fn completed(block: &str) -> String {
    let says = |word: &str| block.lines().any(|line| line.trim_start().starts_with(word));
    let before = if says("primary ") { "" } else { WITHOUT_DIRECTORS };
    let behind = if says("virtual ") { "" } else { A_SERVICE };
    format!("{before}{block}{behind}")
}

#[test]
fn every_configuration_in_the_book_is_accepted_without_a_warning() {
    let mut seen = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "lvs.cf") {
            let loaded = load(completed(&block).as_bytes());
            let remarks: Vec<_> = loaded
                .diagnostics
                .iter()
                .map(|diagnostic| format!("{diagnostic} {:?}", diagnostic.help))
                // That only an old partner minds a comment behind a directive.
                .filter(|remark| !remark.starts_with("warning[W0102]"))
                .collect();
            assert!(loaded.config.is_some() && remarks.is_empty(), "{name}: {remarks:#?}\n{block}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} configurations were found");
}

#[test]
fn every_command_of_the_book_is_one_that_there_is() {
    let mut seen = 0;
    for (name, page) in pages() {
        let shell = page.lines().map(str::trim).filter_map(|line| line.strip_prefix("```"));
        let kinds: BTreeSet<_> = shell.filter(|kind| kind.starts_with("sh")).collect();
        for block in kinds.iter().flat_map(|kind| blocks(&page, kind)) {
            for words in block.replace("\\\n", " ").lines().flat_map(commands) {
                let program =
                    match words.first().map_or("", |word| word.rsplit('/').next().unwrap()) {
                        "piranha" => env!("CARGO_BIN_EXE_piranha"),
                        "pulse" => env!("CARGO_BIN_EXE_pulse"),
                        "lvs" | "lvsd" => env!("CARGO_BIN_EXE_lvs"),
                        "nanny" => env!("CARGO_BIN_EXE_nanny"),
                        _ => continue,
                    };
                let run = Command::new(program).args(&words[1..]).arg("--help").output().unwrap();
                let said = String::from_utf8_lossy(&run.stderr);
                assert!(run.status.success(), "{name}: {words:?}: {said}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "only {seen} commands were found");
}

#[test]
fn of_every_block_of_the_book_it_is_known_who_runs_it() {
    let mut used = BTreeSet::new();
    for (name, page) in pages() {
        let others = openings(&page);
        let others =
            others.iter().filter(|(kind, _)| *kind != "lvs.cf" && !kind.starts_with("rust"));
        for (kind, line) in others {
            let row = BLOCKS
                .iter()
                .position(|(page, begins, _)| *page == name && line.starts_with(begins));
            assert!(
                row.is_some(),
                "docs/{name}: the block `{kind}` of {line:?} is not in BLOCKS: who runs it?"
            );
            used.extend(row);
        }
    }
    for (row, (page, begins, by)) in BLOCKS.iter().enumerate() {
        assert!(used.contains(&row), "docs/{page} has no block of {begins:?} any more");
        match by {
            File(path) => {
                let text = std::fs::read_to_string(docs().join("..").join(path)).unwrap();
                assert!(text.contains(page), "{path} does not say that it runs blocks of {page}");
            }
            Alike(path) => assert!(docs().join("..").join(path).exists(), "there is no {path}"),
            Nobody(why) => assert!(!why.is_empty()),
        }
    }
}

#[test]
fn every_page_with_rust_is_among_the_documentation_of_a_module() {
    let included = sources(&docs().join("../src"));
    let with_rust = pages().into_iter().filter(|(_, page)| page.contains("```rust"));
    for (name, _) in with_rust {
        assert!(included.contains(&format!("docs/{name}\")]")), "no module has docs/{name}");
    }
}

/// All lines below a directory that include a text into the documentation.
fn sources(directory: &Path) -> String {
    let mut found = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            found.extend(text.lines().filter(|line| line.starts_with("#[doc = include_str!")));
        }
    }
    found
}

#[test]
fn the_pair_in_containers_has_a_configuration_that_is_accepted() {
    let loaded = load(include_bytes!("../contrib/container/lvs.cf"));
    assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<_> = links(&contents).into_iter().collect();
    let there: BTreeSet<_> = pages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, there);
}

#[test]
fn every_link_within_the_book_leads_to_a_heading_that_there_is() {
    for (name, page) in pages() {
        for link in links(&page).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { &name } else { file };
            let path = docs().join(file);
            assert!(path.exists(), "{name}: there is no {file}");
            assert!(!link.starts_with(".."), "{name}: {link} is not in the book that mdBook makes");
            if !heading.is_empty() {
                let target = std::fs::read_to_string(path).unwrap();
                assert!(anchors(&target).contains(heading), "{name}: {file} has no #{heading}");
            }
        }
    }
}

/// The targets of the links outside of blocks and code.
fn links(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in page.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for (place, _) in line.match_indices("](") {
            links.extend(line[place + 2..].split(')').next().map(str::to_owned));
        }
    }
    links
}

/// What a heading is called in a link: small letters, blanks as dashes, without other signs.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The commands of a line of shell, each as its words.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![]];
    let mut word = String::new();
    let mut quote = None;
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#') if word.is_empty() => break,
            (None, '|' | ';' | '&' | '>') => {
                commands.push(vec![]);
                word.clear();
            }
            (None, ' ') if !word.is_empty() => {
                if let Some(words) = commands.last_mut() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, ' ') => {}
            _ => word.push(letter),
        }
    }
    commands
}

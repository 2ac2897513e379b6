//! The manual page beside the program.

use std::collections::BTreeSet;

use piranha::cli::ipvsadm::{Value, spellings};

use super::differences::DIFFERENCES;

const PAGE: &str = include_str!("../../docs/man/ipvsadm.8");

/// The options of the tagged lists: `.It Fl A , Fl -add-service Ar ...`, with and without a value.
fn described() -> BTreeSet<(String, bool)> {
    let mut described = BTreeSet::new();
    for line in PAGE.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let has_value = words.iter().any(|word| ["Ar", "Cm", "Op"].contains(word));
        let mut names = words.split(|word| ["Ar", "Cm", "Op"].contains(word)).next().unwrap();
        while let [name, rest @ ..] = names {
            if !["Fl", ","].contains(name) {
                described.insert((format!("-{name}"), has_value));
            }
            names = rest;
        }
    }
    described
}

fn understood() -> BTreeSet<(String, bool)> {
    // `--set` takes three words, which are no values of an option.
    let has_value = |name, value| value != Value::None || name == "set";
    let names = spellings().iter().flat_map(|spelling| {
        let value = has_value(spelling.long, spelling.value);
        let short = spelling.short.map(|short| (format!("-{short}"), value));
        short.into_iter().chain([(format!("--{}", spelling.long), value)])
    });
    names.collect()
}

#[test]
fn the_manual_describes_every_option_and_no_other() {
    let (described, understood) = (described(), understood());
    let missing = Vec::from_iter(understood.difference(&described));
    let unknown = Vec::from_iter(described.difference(&understood));
    assert!(missing.is_empty(), "not in ipvsadm.8: {missing:?}");
    assert!(unknown.is_empty(), "only in ipvsadm.8: {unknown:?}");
}

#[test]
fn the_manual_lists_every_known_difference_and_no_other() {
    let (_, section) = PAGE.split_once(".Sh DIFFERENCES").unwrap();
    let (_, list) = section.split_once(".Bl -bullet\n.It\n").unwrap();
    let (list, _) = list.split_once("\n.El").unwrap();
    let listed = list.split("\n.It\n").map(|item| item.replace('\n', " "));
    let known = DIFFERENCES.iter().map(|difference| difference.reason);
    assert_eq!(Vec::from_iter(listed), Vec::from_iter(known));
    // What shows them needs a kernel, in tests/kernel.
    assert!(DIFFERENCES.iter().all(|d| d.input.is_empty() || d.shown_by == ["-R"]));
}

#[test]
fn the_other_names_have_the_same_manual() {
    const LINK: &str = ".so man8/ipvsadm.8\n";
    assert_eq!(include_str!("../../docs/man/ipvsadm-save.8"), LINK);
    assert_eq!(include_str!("../../docs/man/ipvsadm-restore.8"), LINK);
}

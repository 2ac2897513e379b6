//! lvs.cf as a whole: each folder in `tests/conformance/config` holds an `input.cf`, the
//! `diagnostics` it gets as the command line shows them, and for some the `model.json` it means
//! (empty where it is refused). Folders are named after the diagnostic they are about.
//!
//! `UPDATE=1 cargo test --test config` writes what is expected anew, to be read before a commit.
#![cfg(feature = "cli")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may read files, and fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use piranha::cli::diagnostic::{Colors, render};
use piranha::config::{Code, Loaded, load};

const LONGEST_LINE_SHOWN: usize = 400;

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/config");
    let mut folders: Vec<_> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn load_folder(folder: &Path) -> (Vec<u8>, Loaded) {
    let input = std::fs::read(folder.join("input.cf")).unwrap();
    let loaded = load(&input);
    (input, loaded)
}

fn compare(path: &Path, actual: &str) {
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} differs; now it would be:\n{actual}", path.display());
}

#[test]
fn every_input_gets_its_diagnostics_and_its_model() {
    for folder in folders() {
        let (input, loaded) = load_folder(&folder);
        let shown = render("input.cf", &input, &loaded.diagnostics, Colors::Off);
        assert!(shown.lines().all(|line| line.len() < LONGEST_LINE_SHOWN));
        compare(&folder.join("diagnostics"), &shown);
        let model = folder.join("model.json");
        if model.exists() {
            let actual = loaded.config.map_or(String::new(), |config| {
                serde_json::to_string_pretty(&config).unwrap() + "\n"
            });
            compare(&model, &actual);
        }
    }
}

#[test]
fn a_configuration_is_used_exactly_if_nothing_in_it_is_an_error() {
    for folder in folders() {
        let (_, loaded) = load_folder(&folder);
        let refused = loaded.diagnostics.iter().any(|d| d.is_error());
        assert_eq!(loaded.config.is_none(), refused, "{}", folder.display());
    }
}

#[test]
fn every_code_is_shown_by_a_folder_of_its_name() {
    let elsewhere = BTreeSet::from([Code::FileTooLarge, Code::TooManyProblems]);
    for &code in Code::ALL.iter().filter(|code| !elsewhere.contains(code)) {
        let shown = folders().into_iter().any(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(code.as_str())
                && load_folder(&folder).1.diagnostics.iter().any(|d| d.code == code)
        });
        assert!(shown, "no folder {code} shows {code}");
    }
}

//! Configurations of other programs: each folder in `tests/conformance/import` holds an `input`,
//! the `lvs.cf` it becomes, and the `remarks` about what could not be expressed. The first word of
//! a folder's name says which program it is of.
//!
//! `UPDATE=1 cargo test --test import` writes what is expected anew, to be read before a commit.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may read files")]

#[path = "conformance/expected.rs"]
mod expected;

use std::path::{Path, PathBuf};

use piranha::config::import::{Given, Imported, Source, import};
use piranha::config::{Diagnostic, load};

use expected::compare;

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/import");
    let mut folders: Vec<_> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn import_folder(folder: &Path) -> Imported {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let source: Source = name.split('-').next().unwrap().parse().unwrap();
    let input = std::fs::read(folder.join("input")).unwrap();
    assert_eq!(Source::detect(&input), Some(source), "{name}");
    let given = Given {
        primary: Some([192, 0, 2, 11].into()),
        vips: vec!["192.0.2.80".parse().unwrap(), "2001:db8::80".parse().unwrap()],
        ..Given::default()
    };
    import(source, &input, &given).unwrap()
}

#[test]
fn every_input_becomes_what_is_expected_with_its_remarks() {
    for folder in folders() {
        let imported = import_folder(&folder);
        compare(&folder.join("lvs.cf"), &imported.document.to_string());
        let remarks = imported.remarks.iter().map(|remark| format!("{remark}\n"));
        compare(&folder.join("remarks"), &remarks.collect::<String>());
    }
}

#[test]
fn what_is_imported_can_be_used() {
    for folder in folders() {
        let document = import_folder(&folder).document;
        let mut found = load(document.as_bytes()).diagnostics;
        found.retain(Diagnostic::is_error);
        assert_eq!(found, [], "{}:\n{document}", folder.display());
    }
}

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

#[path = "conformance/expected.rs"]
mod expected;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use piranha::cli::diagnostic::{Colors, render};
use piranha::config::{
    Code, Config, Descriptor, Directive, Loaded, Origin, Scope, Section, Surroundings, by_file,
    effective, load, load_in, refused_by_086,
};
use piranha::runtime::configuration::Machine;
use proptest::prelude::*;
use proptest::sample::subsequence;

use expected::compare;

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
    let name = folder.join("input.cf");
    let mut loaded = load_in(&name.to_string_lossy(), &input, &Here(Machine::default()));
    // What is only said on request.
    if folder.file_name().unwrap().to_string_lossy().starts_with("W05") {
        loaded.diagnostics.extend(refused_by_086(&loaded.document));
    }
    (input, loaded)
}

#[test]
fn every_code_is_explained_and_nothing_else_is() {
    let page = include_str!("../docs/diagnostics.md");
    let sections: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter_map(|heading| heading.split(' ').next())
        .collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(sections, codes);
    for code in Code::ALL {
        let heading = format!("### {code} {}\n", code.meaning());
        assert!(page.contains(&heading), "the page calls {code} otherwise");
    }
}

/// This machine, which has every interface but one.
struct Here(Machine);

impl Surroundings for Here {
    fn check_pattern(&self, pattern: &str) -> Result<(), String> {
        self.0.check_pattern(pattern)
    }

    fn has_device(&self, name: &str) -> Option<bool> {
        Some(name != "missing0")
    }

    fn matching(&self, including: &str, pattern: &str) -> Result<Vec<String>, String> {
        self.0.matching(including, pattern)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.read(name)
    }
}

/// All diagnostics, with the names of files as seen from the folder.
fn shown(folder: &Path, loaded: &Loaded) -> String {
    let root = folder.join("input.cf").display().to_string();
    let files = by_file(&root, &loaded.document, &loaded.included, &loaded.diagnostics);
    let shown = files
        .iter()
        .map(|(name, document, about)| render(name, document.as_bytes(), about, Colors::Off));
    shown.collect::<String>().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_input_gets_its_diagnostics_and_its_model() {
    for folder in folders() {
        let (_, loaded) = load_folder(&folder);
        let shown = shown(&folder, &loaded);
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

/// The settings of `section` as a file, and nothing else of the file they come from.
fn written(section: &Section, text: &mut String) {
    for setting in &section.settings {
        if setting.origin != Origin::Default {
            writeln!(text, "{} = {}", setting.directive, setting.value).unwrap();
        }
    }
    for inner in &section.sections {
        let fos = section.get(Directive::Service).is_some_and(|kind| kind.value == "fos");
        let kind = match inner.scope {
            Scope::Server => "server",
            _ if fos => "failover",
            _ => "virtual",
        };
        writeln!(text, "{kind} \"{}\" {{", inner.name).unwrap();
        written(inner, text);
        text.push_str("}\n");
    }
}

/// What a configuration means, wherever its blocks stand in the file.
fn meaning(config: &Config) -> serde_json::Value {
    let mut meaning = serde_json::to_value(config).unwrap();
    for service in meaning["virtuals"].as_array_mut().unwrap() {
        service.as_object_mut().unwrap().remove("span");
        for server in service["servers"].as_array_mut().unwrap() {
            server.as_object_mut().unwrap().remove("span");
        }
    }
    let failovers = meaning.get_mut("failovers").and_then(|all| all.as_array_mut());
    for failover in failovers.into_iter().flatten() {
        failover["service"].as_object_mut().unwrap().remove("span");
    }
    meaning
}

/// Checks that the settings in force of a good file mean the same when they are written down.
fn comes_back(loaded: &Loaded) -> bool {
    let (Some(config), Some(settings)) = (&loaded.config, effective(loaded)) else {
        return false;
    };
    let mut text = String::new();
    written(&settings, &mut text);
    let again = load(text.as_bytes());
    let read = again.config.as_ref().map(meaning);
    assert_eq!(read, Some(meaning(config)), "{text}{:?}", again.diagnostics);
    true
}

#[test]
fn settings_in_force_mean_the_same_when_they_are_written_down() {
    let good = folders().iter().filter(|folder| comes_back(&load_folder(folder).1)).count();
    assert!(good > 20, "{good}");
}

/// A file with some of the directives there are, each with the example of the manual.
fn any_file() -> impl Strategy<Value = String> {
    let some = |scope| {
        let rows: Vec<_> = Descriptor::ALL
            .iter()
            .filter(|row| row.scope == scope && row.directive != Directive::Include)
            .map(|row| format!("{}\n", row.example()))
            .collect();
        let count = 0..rows.len().min(6);
        subsequence(rows, count).prop_map(|lines| lines.concat())
    };
    (some(Scope::Global), some(Scope::Virtual), some(Scope::Server)).prop_map(
        |(global, service, server)| {
            format!(
                "primary = 192.0.2.11\n{global}virtual web {{\nactive = 1\n\
                 address = 192.0.2.80 eth0:1\n{service}server s1 {{\nactive = 1\n\
                 address = 10.0.0.1\n{server}}}\n}}\n"
            )
        },
    )
}

proptest! {
    #[test]
    fn any_directives_mean_the_same_when_they_are_written_down(text in any_file()) {
        comes_back(&load(text.as_bytes()));
    }
}

//! What `contrib/` has for monitoring asks for metrics that there are.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may read files")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use piranha::control::metrics::{Family, FamilyKind, families};

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

/// Every name a query can use, with the labels it may ask for.
fn names() -> BTreeMap<String, BTreeSet<&'static str>> {
    let series = |family: &Family| {
        let suffixes: &[&str] = match family.kind() {
            FamilyKind::Histogram => &["_bucket", "_sum", "_count"],
            FamilyKind::Counter | FamilyKind::Gauge => &[""],
        };
        let labels: BTreeSet<_> = family.labels().iter().copied().collect();
        let name = family.name();
        suffixes.iter().map(move |suffix| (format!("{name}{suffix}"), labels.clone())).collect()
    };
    families().flat_map(|family| -> Vec<_> { series(family) }).collect()
}

/// The names of metrics in a text, each with the labels between the braces behind it.
fn used(text: &str) -> Vec<(String, Vec<String>)> {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut used = Vec::new();
    for (place, _) in text.match_indices("piranha_") {
        if text[..place].ends_with(word) {
            continue;
        }
        let name: String = text[place..].chars().take_while(|letter| word(*letter)).collect();
        let behind = text[place + name.len()..].strip_prefix('{').unwrap_or_default();
        let matchers = behind.split('}').next().unwrap_or_default();
        let labels = matchers.split(',').filter_map(|matcher| matcher.split(['=', '!']).next());
        let labels = labels.filter(|label| !label.is_empty() && label.chars().all(word));
        used.push((name, labels.map(str::to_owned).collect()));
    }
    used
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_and_labels_that_there_are() {
    let names = names();
    let targets = ["cluster", "instance", "job"];
    for file in [
        "prometheus/piranha.rules.yml",
        "prometheus/piranha.rules.test.yml",
        "grafana/piranha.json",
    ] {
        let used = used(&read(file));
        assert!(used.len() > 20, "{file} asks for little: {used:?}");
        for (name, labels) in used {
            let known = names.get(&name).unwrap_or_else(|| panic!("{file}: no metric {name}"));
            for label in labels {
                let is_known = known.contains(label.as_str()) || targets.contains(&label.as_str());
                assert!(is_known, "{file}: {name} has no label {label}");
            }
        }
    }
}

#[test]
fn the_dashboard_is_json_whose_panels_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/piranha.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}

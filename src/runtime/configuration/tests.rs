use std::os::unix::fs::{PermissionsExt, symlink};

use super::machine::matches;
use super::*;
use crate::config::{Code, Directive, Place, Surroundings};

const SERVICE: &str = "virtual NAME {\n active = 1\n address = VIP lo\n server s {\n  active = 1\n  address = 10.0.0.1\n }\n}\n";

fn service(name: &str, vip: &str) -> String {
    SERVICE.replace("NAME", name).replace("VIP", vip)
}

fn directory(files: &[(&str, String)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn errors(path: &Path) -> Vec<String> {
    match read(path) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid { document, included, diagnostics, .. }) => diagnostics
            .iter()
            .map(|d| format!("{} {}", d.code, place(path, &document, &included, d.span)))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn included_files_count_where_they_are_included_and_in_the_order_of_their_names() {
    let files = directory(&[
        (
            "lvs.cf",
            format!(
                "keepalive = 1\ninclude = \"d/*.cf\"\nkeepalive = 3\n{}",
                service("z", "192.0.2.9")
            ),
        ),
        ("d/b.cf", service("b", "192.0.2.2")),
        (
            "d/a.cf",
            format!(
                "primary = 192.0.2.11\nkeepalive = 2\n{}include = more/c\n",
                service("a", "192.0.2.1")
            ),
        ),
        ("d/more/c", service("c", "192.0.2.3")),
        ("d/.hidden.cf", "rubbish".to_owned()),
        ("d/other", "rubbish".to_owned()),
    ]);
    let path = files.path().join("lvs.cf");
    let accepted = read(&path).unwrap();
    let names: Vec<_> = accepted.config.virtuals.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "b", "z"]);
    assert_eq!(accepted.config.keepalive.as_secs(), 3);
    let place = accepted.place(&path, accepted.config.virtuals[1].span);
    assert!(place.ends_with("d/more/c:1:1"), "{place}");
    assert_eq!(accepted.included.len(), 3);
}

#[test]
fn a_block_is_edited_in_the_file_it_stands_in() {
    let files = directory(&[
        (
            "lvs.cf",
            format!("primary = 192.0.2.11\ninclude = a.cf\n{}", service("web", "192.0.2.1")),
        ),
        ("a.cf", service("mail", "192.0.2.2")),
    ]);
    let path = files.path().join("lvs.cf");
    let text = fs::read(&path).unwrap();
    let mut loaded = config::load_in(path.to_str().unwrap(), &text, &Machine::default());
    let mail = Place::virtual_service("mail").server("s");
    let (name, document) = loaded.file_with(mail).unwrap();
    let name = name.unwrap().to_owned();
    document.set_server("mail", "s", Directive::Weight, "7").unwrap();
    open(Path::new(&name)).unwrap().replace(document.as_bytes()).unwrap();
    assert!(loaded.file_with(Place::virtual_service("web")).unwrap().0.is_none());
    assert!(loaded.file_with(Place::virtual_service("none")).is_none());
    let config = read(&path).unwrap().config;
    assert_eq!(config.virtuals[0].servers[0].weight.get(), 7);
}

#[test]
fn a_mistake_in_an_included_file_is_shown_with_its_name_and_line() {
    let files = directory(&[
        (
            "lvs.cf",
            format!(
                "primary = 192.0.2.11\ninclude = a.cf\ninclude = gone.cf\ninclude = none*.cf\n{}",
                service("web", "192.0.2.1")
            ),
        ),
        ("a.cf", format!("{}wieght = 1\n", service("a", "192.0.2.1"))),
    ]);
    let path = files.path().join("lvs.cf");
    let root = path.display();
    let a = files.path().join("a.cf");
    assert_eq!(
        errors(&path),
        [
            format!("E0320 {root}:3:11"),
            format!("W0318 {root}:4:11"),
            format!("E0304 {root}:5:1"),
            format!("E0102 {}:9:1", a.display()),
        ]
    );
    let text = read(&path).unwrap_err().to_string();
    assert!(text.contains("gone.cf"), "{text}");
}

#[test]
fn files_that_include_each_other_are_named() {
    let files = directory(&[
        ("lvs.cf", "primary = 192.0.2.11\ninclude = a.cf\n".to_owned()),
        ("a.cf", "include = lvs.cf\n".to_owned()),
    ]);
    let path = files.path().join("lvs.cf");
    let ConfigError::Invalid { diagnostics, .. } = read(&path).unwrap_err() else { panic!() };
    let cycle = diagnostics.iter().find(|d| d.code == Code::IncludeCycle).unwrap();
    assert!(cycle.message.contains("a.cf -> "), "{}", cycle.message);
}

#[test]
fn includes_are_bounded_in_depth_and_number() {
    let deep: Vec<_> =
        (0..10).map(|n| (format!("{n}.cf"), format!("include = {}.cf\n", n + 1))).collect();
    let deep: Vec<_> = deep.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let files = directory(&deep);
    let found = errors(&files.path().join("0.cf"));
    assert!(found.iter().any(|e| e.starts_with("E0321") && e.ends_with("8.cf:1:11")), "{found:?}");

    let many = "include = empty\n".repeat(1001);
    let files = directory(&[("lvs.cf", many), ("empty", String::new())]);
    let found = errors(&files.path().join("lvs.cf"));
    assert!(found.iter().any(|e| e.starts_with("E0321") && e.ends_with(":1001:11")), "{found:?}");
}

#[test]
fn a_regular_expression_that_does_not_compile_is_refused_with_its_line() {
    let text =
        service("web", "192.0.2.1").replace(" server", " use_regex = 1\n expect = \"(\"\n server");
    let files = directory(&[("lvs.cf", format!("primary = 192.0.2.11\n{text}"))]);
    let path = files.path().join("lvs.cf");
    assert_eq!(errors(&path), [format!("E0318 {}:6:2", path.display())]);
}

#[test]
fn wildcards_stand_for_what_the_shell_lets_them() {
    let cases = [
        ("*.cf", "a.cf", true),
        ("*.cf", "a.cfg", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("?", "", false),
        ("[a-c]1", "b1", true),
        ("[!a-c]1", "b1", false),
        ("[a-c", "a", false),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
    ];
    for (pattern, name, expected) in cases {
        let found = matches(pattern.as_bytes(), name.as_bytes());
        assert_eq!(found, expected, "{pattern} {name}");
    }
    let slow = [b"*a".repeat(200), b"b".to_vec()].concat();
    assert!(!matches(&slow, &b"a".repeat(20_000)));
}

#[test]
fn a_device_is_only_looked_for_on_request() {
    assert_eq!(Machine::default().has_device("lo"), None);
    assert_eq!(Machine::default().with_devices().has_device("lo"), Some(true));
    assert_eq!(Machine::default().with_devices().has_device("no-such-0"), Some(false));
    assert_eq!(Machine::default().with_devices().has_device("../lo"), None);
}

#[test]
fn a_file_is_replaced_with_its_mode_kept_and_its_link_followed() {
    let files = directory(&[("real.cf", "old\n".to_owned())]);
    let (real, link) = (files.path().join("real.cf"), files.path().join("lvs.cf"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.cf", &link).unwrap();
    let mut original = open(&link).unwrap();
    assert_eq!(original.text(), b"old\n");
    original.replace(b"new\n").unwrap();
    original.replace(b"newer\n").unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"newer\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten() {
    let files = directory(&[("lvs.cf", "old\n".to_owned())]);
    let path = files.path().join("lvs.cf");
    let mut original = open(&path).unwrap();
    fs::write(&path, "theirs\n").unwrap();
    let error = original.replace(b"mine\n").unwrap_err();
    assert!(matches!(error, WriteError::Changed { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs\n");
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 1);
}

#[test]
fn of_many_writers_at_the_same_time_each_is_told_whether_it_was_the_one() {
    let files = directory(&[("lvs.cf", "old\n".to_owned())]);
    let path = files.path().join("lvs.cf");
    let originals: Vec<_> = (0..8).map(|_| open(&path).unwrap()).collect();
    let write = |(number, mut original): (usize, Original)| {
        original.replace(format!("from {number}\n").as_bytes()).map(|()| number)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads = originals.into_iter().enumerate();
        let threads: Vec<_> = threads.map(|each| scope.spawn(move || write(each))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let [Ok(winner)] = done[..] else { panic!("{done:?}") };
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("from {winner}\n"));
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, WriteError::Busy { .. } | WriteError::Changed { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_locked_is_not_written() {
    let files = directory(&[("lvs.cf", "old\n".to_owned())]);
    let path = files.path().join("lvs.cf");
    let mut original = open(&path).unwrap();
    let theirs = fs::File::open(&path).unwrap();
    rustix::fs::flock(&theirs, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = original.replace(b"mine\n").unwrap_err();
    assert!(matches!(error, WriteError::Busy { .. }), "{error}");
    drop(theirs);
    original.replace(b"mine\n").unwrap();
}

#[test]
fn attributes_of_a_file_outlive_its_replacement() {
    let files = directory(&[("lvs.cf", "old\n".to_owned())]);
    let path = files.path().join("lvs.cf");
    let flags = rustix::fs::XattrFlags::empty();
    // Not every file system has attributes for users.
    if rustix::fs::setxattr(&path, "user.origin", b"kickstart", flags).is_err() {
        return;
    }
    open(&path).unwrap().replace(b"new\n").unwrap();
    let mut value = [0; 32];
    let length = rustix::fs::getxattr(&path, "user.origin", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"kickstart");
}

#[test]
fn what_is_no_file_is_not_written() {
    let files = directory(&[]);
    let error = open(files.path()).unwrap_err();
    assert!(matches!(error, WriteError::NotAFile { .. }), "{error}");
    let error = open(&files.path().join("gone")).unwrap_err().to_string();
    assert!(error.contains("cannot find") && error.contains("gone"), "{error}");
}

#[test]
fn the_digest_is_about_what_is_meant_and_not_about_where_it_stands() {
    let digest_of = |text: &str| digest(&config::load(text.as_bytes()).config.unwrap());
    let web = "virtual web {\n active = 1\n address = 192.0.2.80 eth0:1\n server s {\n active = 1\n \
               address = 10.0.0.1\n }\n}\n";
    let plain = digest_of(&format!("primary = 192.0.2.1\n{web}"));
    for top in ["role = backup\n", "role = primary\n", "# a comment\n\n", "serial_no = 7\n"] {
        assert_eq!(digest_of(&format!("{top}primary = 192.0.2.1\n{web}")), plain, "{top}");
    }
    let other = web.replace("10.0.0.1", "10.0.0.2");
    assert_ne!(digest_of(&format!("primary = 192.0.2.1\n{other}")), plain);
}

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::load;

/// Four services, of which two have one name, with comments in every place that matters.
const FILE: &str = "\
# head of the file

primary = 192.0.2.11
# interval
keepalive = 2 # seconds

# the shop
# of the firm
virtual shop {
     # where it is
     address = 192.0.2.80 eth0:1
     active = 1
     # first server
     server s1 {
         address = 10.0.0.1
         active = 1
     }
     server s2 {
         address = 10.0.0.2
         active = 1
     }
     # nothing more
}

virtual mail {
     address = 192.0.2.81 eth0:1
}

# apart

virtual [server_name] {
}
virtual [server_name] {
     address = 192.0.2.82 eth0:1
}
# end
";

const SHOP: Place<'_> = Place::virtual_service("shop");
const MAIL: Place<'_> = Place::virtual_service("mail");

fn edited(text: &str, edits: impl FnOnce(&mut Editor<'_>) -> Result<(), EditError>) -> String {
    let mut document = Document::parse(text.as_bytes());
    let mut editor = document.edit().unwrap();
    edits(&mut editor).unwrap();
    editor.apply();
    document.to_string()
}

fn refused(text: &str, edit: impl FnOnce(&mut Editor<'_>) -> Result<(), EditError>) -> String {
    let mut document = Document::parse(text.as_bytes());
    let mut editor = document.edit().unwrap();
    let error = edit(&mut editor).unwrap_err();
    editor.apply();
    assert_eq!(document.to_string(), text);
    error.to_string()
}

#[test]
fn a_new_block_stands_behind_the_others_and_looks_like_them() {
    let text = edited(FILE, |e| {
        e.add(SHOP.server("s3"))?;
        e.set(SHOP.server("s3"), Directive::Address, "10.0.0.3")?;
        e.add(MAIL.server("m 1"))
    });
    let expected = FILE
        .replace(
            "     # nothing more",
            "     server s3 {\n         address = 10.0.0.3\n     }\n     # nothing more",
        )
        .replace("192.0.2.81 eth0:1\n", "192.0.2.81 eth0:1\n     server \"m 1\" {\n     }\n");
    assert_eq!(text, expected);
}

#[test]
fn a_new_block_keeps_the_distance_of_the_one_above() {
    let apart = "virtual a {\n}\n\nvirtual b {\n}\n";
    let add = |e: &mut Editor<'_>| e.add(Place::virtual_service("c"));
    assert_eq!(edited(apart, add), format!("{apart}\nvirtual c {{\n}}\n"));
    let close = "virtual a {\r\n}\r\nvirtual b {\r\n}";
    assert_eq!(edited(close, add), format!("{close}\r\nvirtual c {{\r\n}}\r\n"));
    assert_eq!(edited("", add), "virtual c {\n}\n");
    assert_eq!(edited("# head\n", add), "# head\n\nvirtual c {\n}\n");
}

#[test]
fn a_removed_block_takes_its_own_comments_along_and_no_others() {
    let text = edited(FILE, |e| {
        e.remove(SHOP)?;
        e.remove(Place::virtual_service("[server_name]").nth(1))
    });
    let (head, rest) = FILE.split_once("# the shop").unwrap();
    let (_, rest) = rest.split_once("# nothing more\n}\n\n").unwrap();
    let rest = rest.replacen("virtual [server_name] {\n}\n", "", 1);
    assert_eq!(text, format!("{head}{rest}"));
    let text = edited(FILE, |e| e.remove(SHOP.server("s1")));
    let (before, rest) = FILE.split_once("     # first server").unwrap();
    let (_, after) = rest.split_once("     }\n").unwrap();
    assert_eq!(text, format!("{before}{after}"));
}

#[test]
fn a_removed_directive_goes_each_time_it_stands_there() {
    let text = "# a\nkeepalive = 1 # b\n# c\nkeepalive = 2\ndeadtime = 9\n";
    let mut was_there = None;
    let after = edited(text, |e| {
        was_there = Some((
            e.unset(Place::GLOBAL, Directive::Keepalive)?,
            e.unset(Place::GLOBAL, Directive::Keepalive)?,
        ));
        Ok(())
    });
    assert_eq!(after, "# a\n# c\ndeadtime = 9\n");
    assert_eq!(was_there, Some((true, false)));
}

#[test]
fn a_directive_that_may_stand_several_times_is_added_to_the_others() {
    let path = Directive::HeartbeatPath;
    let text = "primary = 192.0.2.1\nheartbeat_path = 10.0.0.1 10.0.0.2 # first\n";
    let added = edited(text, |e| {
        e.push(Place::GLOBAL, path, "10.0.1.1 10.0.1.2")?;
        e.push(Place::GLOBAL, Directive::Primary, "192.0.2.3")
    });
    let expected = format!("{text}heartbeat_path = 10.0.1.1 10.0.1.2\n");
    assert_eq!(added, expected.replace("= 192.0.2.1\n", "= 192.0.2.3\n"));
    let error = refused(text, |e| e.push(Place::GLOBAL, path, ""));
    assert_eq!(error, "`heartbeat_path` does not take this value: it takes two IP addresses");
}

#[test]
fn a_renamed_block_changes_in_its_name_alone() {
    let text = "virtual  a\t{ # first\n}\n";
    let rename = |to: &'static str| edited(text, |e| e.rename(Place::virtual_service("a"), to));
    assert_eq!(rename("b"), text.replace("  a", "  b"));
    assert_eq!(rename("b c"), text.replace("  a", "  \"b c\""));
    assert_eq!(rename("say \"x\""), text.replace("  a", "  'say \"x\"'"));
    assert_eq!(rename("="), text.replace("  a", "  \"=\""));
    assert_eq!(rename("#1"), text.replace("  a", "  #1"));
    assert_eq!(rename("a"), text);
}

#[test]
fn a_moved_block_keeps_its_bytes_and_its_comments() {
    let text = "# a\nvirtual a {\n}\n# b\nvirtual b {\n x = 1\n}\nvirtual c {\n}\n";
    let moved = |name, spot| edited(text, |e| e.move_to(Place::virtual_service(name), spot));
    let (a, b, c) = ("# a\nvirtual a {\n}\n", "# b\nvirtual b {\n x = 1\n}\n", "virtual c {\n}\n");
    assert_eq!(moved("b", Spot::First), [b, a, c].concat());
    assert_eq!(moved("b", Spot::Last), [a, c, b].concat());
    assert_eq!(moved("c", Spot::Before("b")), [a, c, b].concat());
    assert_eq!(moved("a", Spot::After("b")), [b, a, c].concat());
    assert_eq!(moved("a", Spot::First), text);
    assert_eq!(moved("c", Spot::Last), text);
    let apart = "virtual a {\n}\n\nvirtual b {\n}\n\nvirtual c {\n}\n";
    let moved = edited(apart, |e| e.move_to(Place::virtual_service("c"), Spot::First));
    assert_eq!(moved, "virtual c {\n}\n\nvirtual a {\n}\n\nvirtual b {\n}\n");
}

#[test]
fn failover_blocks_are_edited_like_virtual_ones() {
    let service = Place::failover_service("ftp");
    let text = edited("service = fos\n", |e| {
        e.add(service)?;
        e.set(service, Directive::StartCmd, "/etc/rc.d/init.d/ftp start")
    });
    let command = "    start_cmd = \"/etc/rc.d/init.d/ftp start\"\n";
    assert_eq!(text, format!("service = fos\nfailover ftp {{\n{command}}}\n"));
    let text = edited(&text, |e| e.remove(service));
    assert_eq!(text, "service = fos\n");
}

#[test]
fn a_block_that_the_end_of_the_file_left_open_is_closed_before_another_follows() {
    let text =
        edited("virtual a {\n  server b {\n  active = 1", |e| e.add(Place::virtual_service("c")));
    assert_eq!(text, "virtual a {\n  server b {\n  active = 1\n  }\n}\nvirtual c {\n}\n");
}

#[test]
fn an_edit_of_blocks_that_cannot_be_made_says_why_and_changes_nothing() {
    let twice = Place::virtual_service("[server_name]");
    let reasons = [
        refused(FILE, |e| e.add(SHOP)),
        refused(FILE, |e| e.add(SHOP.server("s2"))),
        refused(FILE, |e| e.add(Place::virtual_service("a\nb"))),
        refused(FILE, |e| e.add(Place::virtual_service("\"'"))),
        refused(FILE, |e| e.add(Place::failover_service("no").server("s"))),
        refused(FILE, |e| e.add(Place::GLOBAL)),
        refused(FILE, |e| e.add(Place::GLOBAL.server("s"))),
        refused(FILE, |e| e.set(Place::GLOBAL.server("s"), Directive::Weight, "1")),
        refused(FILE, |e| e.remove(twice)),
        refused(FILE, |e| e.remove(twice.nth(3))),
        refused(FILE, |e| e.remove(twice.nth(0))),
        refused(FILE, |e| e.rename(MAIL, "shop")),
        refused(FILE, |e| e.rename(MAIL, "")),
        refused(FILE, |e| e.move_to(MAIL, Spot::Before("none"))),
        refused(FILE, |e| e.unset(MAIL, Directive::Weight).map(|_| ())),
        refused(FILE, |e| e.set(Place::GLOBAL, Directive::ActiveCmd, &"x".repeat(1 << 14))),
        refused("x\n{\n}\nvirtual a {\n}\n", |e| e.remove(Place::virtual_service("a"))),
    ];
    let name = "cannot be the name of a block: 1 to 255 bytes without control characters, and not both kinds of quotes";
    assert_eq!(
        reasons,
        [
            "there is a `virtual shop` already",
            "there is a `server s2` already",
            &format!(r"`a\nb` {name}"),
            &format!(r#"`\"\'` {name}"#),
            "there is no `failover no`",
            "only a block can be added, renamed, moved or removed",
            "only a block can be added, renamed, moved or removed",
            "there is no `server s`",
            "there is more than one `virtual [server_name]`",
            "there is no `virtual [server_name]`",
            "there is no `virtual [server_name]`",
            "there is a `virtual shop` already",
            &format!("`` {name}"),
            "there is no `virtual none`",
            "`weight` cannot stand in a `virtual` block",
            "`active_cmd` does not take this value: the line would be longer than 16 KiB",
            "the blocks are not in order at line 2, which must be mended first",
        ]
    );
}

#[test]
fn an_edit_that_fails_leaves_the_earlier_ones() {
    let text = edited("primary = 192.0.2.1\n", |e| {
        e.set(Place::GLOBAL, Directive::Primary, "192.0.2.2")?;
        e.set(Place::GLOBAL, Directive::Primary, "nonsense").unwrap_err();
        e.add(Place::virtual_service("a"))?;
        e.add(Place::virtual_service("a")).unwrap_err();
        Ok(())
    });
    assert_eq!(text, "primary = 192.0.2.2\nvirtual a {\n}\n");
}

#[test]
fn a_dropped_editor_changed_nothing() {
    let mut document = Document::parse(FILE.as_bytes());
    let mut editor = document.edit().unwrap();
    editor.remove(SHOP).unwrap();
    drop(editor);
    assert_eq!(document.as_bytes(), FILE.as_bytes());
}

/// An edit as data, on names of which there are few.
#[derive(Clone, Debug)]
enum Edit {
    Set(Target, Directive, &'static str),
    Unset(Target, Directive),
    Add(Target),
    Remove(Target),
    Rename(Target, &'static str),
    Move(Target, Spot<'static>),
}

type Target = (&'static str, Option<&'static str>, Option<usize>);

const NAMES: [&str; 6] = ["a", "b", "c d", "#", "=", "shop"];

fn target() -> impl Strategy<Value = Target> {
    let nth = prop_oneof![3 => Just(None), 1 => (1_usize..3).prop_map(Some)];
    (select(&NAMES[..]), prop::option::of(select(&NAMES[..])), nth)
}

fn place((service, server, nth): Target) -> Place<'static> {
    let place = Place::virtual_service(service);
    let place = server.map_or(place, |server| place.server(server));
    nth.map_or(place, |nth| place.nth(nth))
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = select(vec![
        (Directive::Active, "1"),
        (Directive::Port, "8080"),
        (Directive::Weight, "3"),
        (Directive::Send, "a b\r\n"),
        (Directive::Address, "192.0.2.1"),
        (Directive::Address, "192.0.2.1 eth0"),
    ]);
    let name = || select(&NAMES[..]);
    let spot = prop_oneof![
        Just(Spot::First),
        Just(Spot::Last),
        name().prop_map(Spot::Before),
        name().prop_map(Spot::After),
    ];
    prop_oneof![
        4 => (target(), value.clone()).prop_map(|(t, (d, v))| Edit::Set(t, d, v)),
        1 => (target(), value).prop_map(|(t, (d, _))| Edit::Unset(t, d)),
        4 => target().prop_map(Edit::Add),
        1 => target().prop_map(Edit::Remove),
        1 => (target(), name()).prop_map(|(t, n)| Edit::Rename(t, n)),
        2 => (target(), spot).prop_map(|(t, s)| Edit::Move(t, s)),
    ]
}

fn make(editor: &mut Editor<'_>, edit: &Edit) -> Result<(), EditError> {
    match *edit {
        Edit::Set(target, directive, value) => editor.set(place(target), directive, value),
        Edit::Unset(target, directive) => editor.unset(place(target), directive).map(|_| ()),
        Edit::Add(target) => editor.add(place(target)),
        Edit::Remove(target) => editor.remove(place(target)),
        Edit::Rename(target, name) => editor.rename(place(target), name),
        Edit::Move(target, spot) => editor.move_to(place(target), spot),
    }
}

/// Every line with what it is and how deep it stands.
fn lines(editor: &Editor<'_>) -> Vec<(usize, Content, String)> {
    let depth = |node| {
        std::iter::successors(Some(node), |&node| Some(editor.tree.parent(node)))
            .take_while(|&node| node != NodeId::ROOT)
            .count()
    };
    let source = editor.document.as_bytes();
    let line = |node| {
        let line = String::from_utf8_lossy(editor.tree.line(source, node)).into_owned();
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    editor.tree.all().map(|node| (depth(node), editor.tree.content(node), line(node))).collect()
}

fn printed(editor: &Editor<'_>) -> Vec<u8> {
    editor.tree.print(editor.document, editor.ending)
}

/// Good files: with and without comments, blank lines, indentation, a last brace.
fn file() -> impl Strategy<Value = String> {
    cut_file(vec!["", "\n", "}\n"])
}

/// Good files, with one of `cuts` taken off their end.
fn cut_file(cuts: Vec<&'static str>) -> impl Strategy<Value = String> {
    let server = (select(&NAMES[..]), select(vec!["", "active = 1\n", "# x\n", "\n"]))
        .prop_map(|(name, body)| format!("\tserver \"{name}\" {{\n{body}\t}}\n"));
    let service = (
        select(vec!["", "# lead\n", "\n", "\n# lead\n"]),
        select(&NAMES[..]),
        select(vec!["", "  port = 80 # x\n", "# y\n\n"]),
        prop::collection::vec(server, 0..3),
    )
        .prop_map(|(lead, name, body, servers)| {
            format!("{lead}virtual \"{name}\" {{\n{body}{}}}\n", servers.concat())
        });
    let services = prop::collection::vec(service, 0..4);
    let ending = select(vec!["\n", "\r\n", "\r"]);
    let cut = select(cuts);
    (
        select(vec!["", "# head\n\n", "keepalive = 2\n", "\u{feff}keepalive = 2\n"]),
        services,
        ending,
        cut,
    )
        .prop_map(|(head, services, ending, cut)| {
            let text = format!("{head}{}", services.concat());
            text.strip_suffix(cut).unwrap_or(&text).replace('\n', ending)
        })
}

proptest! {
    #[test]
    fn what_was_edited_is_what_is_read(text in file(), edits in prop::collection::vec(edit(), 0..20)) {
        let mut document = Document::parse(text.as_bytes());
        prop_assert!(!document.problems().has_errors(), "{}", text);
        let mut editor = document.edit().unwrap();
        for edit in &edits {
            let before = printed(&editor);
            if make(&mut editor, edit).is_err() {
                prop_assert_eq!(printed(&editor), before, "{:?} failed and changed something", edit);
            }
        }
        let (meant, size) = (lines(&editor), editor.size);
        editor.apply();
        prop_assert!(document.as_bytes().len() <= size);
        prop_assert!(!document.problems().has_errors());
        let again = document.edit().unwrap();
        prop_assert_eq!(lines(&again), meant);
    }

    #[test]
    fn without_an_edit_every_byte_stays(bytes: Vec<u8>, text in file()) {
        for text in [bytes, text.into_bytes()] {
            let mut document = Document::parse(&text);
            document.edit().unwrap().apply();
            prop_assert_eq!(document.as_bytes(), text);
        }
    }

    #[test]
    fn a_block_that_is_added_and_removed_leaves_no_trace(text in cut_file(vec![""]), server: bool) {
        let mut document = Document::parse(text.as_bytes());
        let beside = document.blocks().iter().find(|block| block.parent.is_some() == server);
        prop_assume!(beside.is_some());
        let parent = beside.and_then(|block| Some(document.block_name(&document.blocks()[block.parent?])));
        let place = match &parent {
            Some(parent) => Place::virtual_service(parent).server("new"),
            None => Place::virtual_service("new"),
        };
        let mut editor = document.edit().unwrap();
        prop_assume!(editor.add(place).is_ok());
        editor.remove(place).unwrap();
        editor.apply();
        prop_assert_eq!(document.to_string(), text);
    }

    #[test]
    fn a_move_neither_adds_nor_loses_a_line_that_is_not_blank(text in file(), moves in prop::collection::vec(edit(), 0..10)) {
        let mut document = Document::parse(text.as_bytes());
        let mut editor = document.edit().unwrap();
        editor.close_blocks();
        let sorted = |editor: &Editor<'_>| {
            let mut lines = lines(editor);
            lines.retain(|(_, content, _)| *content != Content::Blank);
            lines.sort_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
            lines
        };
        let before = sorted(&editor);
        for edit in moves.iter().filter(|edit| matches!(edit, Edit::Move(..))) {
            let _refused = make(&mut editor, edit);
        }
        prop_assert_eq!(sorted(&editor), before);
    }

    #[test]
    fn any_name_is_read_back_or_refused(name: String) {
        let mut document = Document::parse(b"");
        let mut editor = document.edit().unwrap();
        let added = editor.add(Place::virtual_service(&name));
        editor.apply();
        match added {
            Ok(()) => prop_assert_eq!(document.block_name(&document.blocks()[0]), name),
            Err(_) => prop_assert_eq!(document.as_bytes(), b""),
        }
    }
}

/// Builds a file of this many services from nothing.
fn build(services: u32) -> Document {
    let mut document = Document::parse(b"");
    let mut editor = document.edit().unwrap();
    for n in 0..services {
        let name = format!("v{n}");
        let service = Place::virtual_service(&name);
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        editor.add(service).unwrap();
        editor.set(service, Directive::Active, "1").unwrap();
        editor.set(service, Directive::Address, &format!("{address} eth0:1")).unwrap();
        for s in 0..10 {
            let name = format!("s{s}");
            editor.add(service.server(&name)).unwrap();
            editor.set(service.server(&name), Directive::Active, "1").unwrap();
            editor.set(service.server(&name), Directive::Address, &format!("10.9.8.{s}")).unwrap();
        }
    }
    editor.set(Place::GLOBAL, Directive::Primary, "192.0.2.1").unwrap();
    editor.apply();
    document
}

#[allow(clippy::disallowed_methods, reason = "the test measures")]
fn time_to_build(services: u32) -> Duration {
    let start = std::time::Instant::now();
    let document = build(services);
    let elapsed = start.elapsed();
    let config = load(document.as_bytes()).config.unwrap();
    assert_eq!(config.virtuals.len(), services as usize);
    assert!(config.virtuals.iter().all(|service| service.servers.len() == 10));
    elapsed
}

#[test]
fn building_a_file_takes_time_in_proportion_to_it() {
    let small = time_to_build(100).max(Duration::from_millis(5));
    let large = time_to_build(1600);
    assert!(large < small * 64, "{small:?} for one, {large:?} for sixteen");
}

#[test]
fn each_of_several_is_read_changed_and_removed_and_the_others_keep_their_comments() {
    let text = "# files\nsync_file = /etc/a # first\nsync_file = \"/etc/b c\" # second\n\
                primary = 192.0.2.11\nsync_file = /etc/d\n";
    let mut document = Document::parse(text.as_bytes());
    let editor = document.edit().unwrap();
    let values = editor.values(Place::GLOBAL, Directive::SyncFile).unwrap();
    assert_eq!(values, ["/etc/a", "/etc/b c", "/etc/d"]);
    let changed = edited(text, |editor| {
        editor.set_nth(Place::GLOBAL, Directive::SyncFile, 2, "/etc/other")?;
        editor.unset_nth(Place::GLOBAL, Directive::SyncFile, 3)
    });
    let expected = "# files\nsync_file = /etc/a # first\nsync_file = /etc/other # second\n\
                    primary = 192.0.2.11\n";
    assert_eq!(changed, expected);
    for nth in [0, 4] {
        let refusal =
            refused(text, |editor| editor.unset_nth(Place::GLOBAL, Directive::SyncFile, nth));
        assert!(refusal.contains("does not stand there"), "{refusal}");
    }
}

//! The laws: lossless, total, edits are local, an edit is what is read afterwards.

use std::time::Duration;

use proptest::prelude::*;

use super::syntax::Shape;
use super::*;

const PAIR: &str = include_str!("../../tests/conformance/config/s1-direct-pair/input.cf");

/// Words a grammar would trip over, so that random text is not just one unknown directive.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "virtual",
        "server",
        "failover",
        "web",
        "{",
        "}",
        "=",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "#",
        "\"",
        "'",
        "\\",
        "\\\"",
        "active = 1\n",
        "address = 192.0.2.1 eth0:1\n",
        "primary = 192.0.2.1\n",
        "port",
        "80",
        "weight = 010\n",
        "send = \"x\\r\"\n",
        "{\n",
        "}\n",
        "virtual a {\n",
        "server b {\n",
        "\u{feff}",
        "\u{fc}",
        "timeout=5\n",
        "dirs = [ a ]\n",
    ]);
    prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..60).prop_map(|fragments| fragments.concat())
}

/// The text rebuilt from the index alone: every token, and what lies between them.
fn reassembled(document: &Document) -> Vec<u8> {
    let (mut rebuilt, mut at) = (Vec::new(), 0);
    for statement in document.statements() {
        for token in document.tokens(statement) {
            assert!(at <= token.span().start && token.span().start < token.span().end);
            rebuilt.extend_from_slice(&document.as_bytes()[at..token.span().start]);
            rebuilt.extend_from_slice(&document.as_bytes()[token.span().start..token.span().end]);
            at = token.span().end;
        }
    }
    rebuilt.extend_from_slice(&document.as_bytes()[at..]);
    rebuilt
}

/// Whether `new` is `old` with nothing but `span` replaced.
fn differs_only_in(old: &[u8], new: &[u8], span: Span) -> bool {
    let tail = &old[span.end..];
    new.starts_with(&old[..span.start])
        && new.ends_with(tail)
        && new.len() >= span.start + tail.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_print_as_they_were_read(bytes in prop_oneof![any::<Vec<u8>>(), text()]) {
        let document = Document::parse(&bytes);
        prop_assert_eq!(document.as_bytes(), &bytes[..]);
        prop_assert_eq!(document.to_bytes(), bytes.clone());
        prop_assert_eq!(reassembled(&document), bytes);
    }

    #[test]
    fn any_bytes_load_and_every_diagnostic_has_a_place(bytes in prop_oneof![any::<Vec<u8>>(), text()]) {
        let loaded = load(&bytes);
        let refused = loaded.diagnostics.iter().any(Diagnostic::is_error);
        prop_assert_eq!(loaded.config.is_none(), refused);
        for diagnostic in &loaded.diagnostics {
            prop_assert!(diagnostic.span.start <= diagnostic.span.end);
            prop_assert!(diagnostic.span.end <= bytes.len());
            prop_assert!(loaded.document.position(diagnostic.span.start).line >= 1);
            prop_assert!(!diagnostic.message.contains(char::is_control));
        }
    }

    #[test]
    fn an_edit_of_any_file_changes_one_value_or_adds_one_line_or_nothing(bytes in text()) {
        let mut document = Document::parse(&bytes);
        let values = values_of(&document, "port");
        let result = document.set_virtual("a", Directive::Port, "8080");
        let new = document.as_bytes();
        match result {
            Err(_) => prop_assert_eq!(new, &bytes[..]),
            Ok(()) => {
                let replaced = values.iter().any(|&span| differs_only_in(&bytes, new, span));
                prop_assert!(replaced || is_insertion(&bytes, new));
                prop_assert_eq!(reassembled(&document), new);
            }
        }
    }

    #[test]
    fn an_edited_weight_is_what_is_read_and_nothing_else_changes(weight in 0_u32..=0x7fff_ffff) {
        let mut document = Document::parse(PAIR.as_bytes());
        let at = PAIR.rfind("weight = 2").unwrap() + "weight = ".len();
        document.set_server("shop", "s2", Directive::Weight, &weight.to_string()).unwrap();
        prop_assert!(differs_only_in(PAIR.as_bytes(), document.as_bytes(), Span::new(at, at + 1)));
        let config = load(document.as_bytes()).config.unwrap();
        prop_assert_eq!(config.virtuals[0].servers[1].weight.get(), weight);
    }

    #[test]
    fn any_text_can_be_sent_by_a_check(text in any::<String>().prop_filter("is set", |t| !t.is_empty())) {
        let mut document = Document::parse(PAIR.as_bytes());
        document.set_virtual("shop", Directive::Send, &text).unwrap();
        let config = load(document.as_bytes()).config.unwrap();
        let crate::health::CheckSpec::SendExpect { send, .. } = &config.virtuals[0].check else {
            panic!("{:?}", config.virtuals[0].check);
        };
        prop_assert_eq!(send, text.as_bytes());
    }

    #[test]
    fn a_command_is_read_as_it_was_set_or_refused(command: String) {
        let mut document = Document::parse(PAIR.as_bytes());
        match document.set_global(Directive::ActiveCmd, &command) {
            Err(_) => prop_assert_eq!(document.as_bytes(), PAIR.as_bytes()),
            Ok(()) => {
                let config = load(document.as_bytes()).config.unwrap();
                prop_assert_eq!(config.active_cmd.unwrap_or_default(), command);
            }
        }
    }
}

/// The places of all values of directives called `name`.
fn values_of(document: &Document, name: &str) -> Vec<Span> {
    let assignments = document.statements().iter().filter(|s| s.shape == Shape::Assignment);
    let named = assignments.map(|s| document.tokens(s)).filter(|t| document.is(&t[0], name));
    named.filter_map(|tokens| Some(tokens.get(2)?.span().to(tokens.last()?.span()))).collect()
}

/// Whether `new` is `old` with something put in at one place.
fn is_insertion(old: &[u8], new: &[u8]) -> bool {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    new.len() > old.len() && new.ends_with(&old[same..])
}

fn edited(text: &str, edit: impl FnOnce(&mut Document) -> Result<(), EditError>) -> String {
    let mut document = Document::parse(text.as_bytes());
    edit(&mut document).unwrap();
    document.to_string()
}

#[test]
fn a_missing_directive_is_added_with_the_blocks_own_indentation() {
    let text =
        "primary = 192.0.2.1\r\nvirtual a {\r\n\tactive = 1\r\n\r\n\tserver b {\r\n\t}\r\n}\r\n";
    assert_eq!(
        edited(text, |d| d.set_virtual("a", Directive::Port, "81")),
        text.replace("active = 1\r\n", "active = 1\r\n\tport = 81\r\n")
    );
    assert_eq!(
        edited(text, |d| d.set_server("a", "b", Directive::Weight, "2")),
        text.replace("server b {\r\n", "server b {\r\n\t\tweight = 2\r\n")
    );
    assert_eq!(
        edited(text, |d| d.set_global(Directive::Keepalive, "100ms")),
        text.replace("192.0.2.1\r\n", "192.0.2.1\r\nkeepalive = 100ms\r\n")
    );
}

#[test]
fn a_directive_can_be_added_to_a_file_without_any_and_without_a_last_line_end() {
    let set = |d: &mut Document| d.set_global(Directive::Primary, "192.0.2.1");
    assert_eq!(edited("", set), "primary = 192.0.2.1\n");
    assert_eq!(edited("# head", set), "# head\nprimary = 192.0.2.1\n");
    assert_eq!(
        edited("\u{feff}virtual a {\n}", set),
        "\u{feff}primary = 192.0.2.1\nvirtual a {\n}"
    );
    assert_eq!(edited("sync = 0", set), "sync = 0\nprimary = 192.0.2.1\n");
}

#[test]
fn comments_and_odd_spacing_survive_an_edit() {
    let text = "  keepalive   =\t6   # seconds\nactive_cmd = \"/bin/a b\"\n# keepalive = 7\n";
    assert_eq!(
        edited(text, |d| d.set_global(Directive::Keepalive, "5")),
        text.replace("\t6", "\t5")
    );
    assert_eq!(
        edited(text, |d| d.set_global(Directive::ActiveCmd, "/bin/c d")),
        text.replace("/bin/a b", "/bin/c d")
    );
}

#[test]
fn of_a_directive_that_stands_twice_the_one_that_counts_is_edited() {
    let text = "keepalive = 1\nkeepalive = 2\n";
    assert_eq!(
        edited(text, |d| d.set_global(Directive::Keepalive, "3")),
        "keepalive = 1\nkeepalive = 3\n"
    );
}

#[test]
fn an_edit_that_cannot_be_made_says_why_and_changes_nothing() {
    let text = "deadtime=3\nvirtual a {\n}\nvirtual a {\n}\n";
    let mut document = Document::parse(text.as_bytes());
    let mut refused = |edit: &dyn Fn(&mut Document) -> Result<(), EditError>| {
        let error = edit(&mut document).unwrap_err().to_string();
        assert_eq!(document.as_bytes(), text.as_bytes());
        error
    };
    let reasons = [
        refused(&|d| d.set_virtual("b", Directive::Port, "80")),
        refused(&|d| d.set_virtual("a", Directive::Port, "80")),
        refused(&|d| d.set_global(Directive::Weight, "80")),
        refused(&|d| d.set_global(Directive::Keepalive, "soon")),
        refused(&|d| d.set_global(Directive::Keepalive, "1 # x")),
        refused(&|d| d.set_global(Directive::Keepalive, "1\nprimary = 10.0.0.1")),
        refused(&|d| d.set_global(Directive::Deadtime, "3")),
    ];
    assert_eq!(
        reasons,
        [
            "there is no `virtual b`",
            "there is more than one `virtual a`",
            "`weight` cannot stand outside of any block",
            "`keepalive` does not take this value: `soon` is not a duration",
            "`keepalive` does not take this value: it takes seconds, or a number with ms, s, m, h or d",
            "`keepalive` does not take this value: it takes seconds, or a number with ms, s, m, h or d",
            "line 1 cannot be read and must be mended first",
        ]
    );
}

#[test]
fn every_kind_of_line_ending_counts_as_one_line() {
    let document = Document::parse(b"a\nb\r\nc\rd\n\xc3\xa4\xffe");
    let place = |offset| document.position(offset).to_string();
    assert_eq!([place(0), place(2), place(5), place(7)], ["1:1", "2:1", "3:1", "4:1"]);
    assert_eq!([place(9), place(11), place(12), place(99)], ["5:1", "5:2", "5:3", "5:4"]);
}

#[test]
fn a_file_with_carriage_returns_alone_loads_without_a_word() {
    let loaded = load(PAIR.replace('\n', "\r").as_bytes());
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.config.is_some());
}

#[test]
fn a_file_above_the_limit_is_refused_and_kept() {
    let bytes = vec![b'\n'; syntax::MAX_FILE + 1];
    let mut loaded = load(&bytes);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].code, Code::FileTooLarge);
    assert_eq!(loaded.document.as_bytes().len(), bytes.len());
    let edit = loaded.document.set_global(Directive::Keepalive, "1");
    assert_eq!(edit, Err(EditError::TooLarge));
}

#[test]
fn a_file_of_rubbish_gets_so_many_diagnostics_and_no_more() {
    let loaded = load("rubbish\n".repeat(1000).as_bytes());
    assert_eq!(loaded.diagnostics.len(), 201);
    let last = loaded.diagnostics.last().unwrap();
    assert_eq!(last.code, Code::TooManyProblems);
    assert_eq!(last.message, "801 further problems are not shown");

    let noisy = format!("{PAIR}{}wieght = 1\n", "serial_no = 1\n".repeat(1000));
    let loaded = load(noisy.as_bytes());
    let first_error = loaded.diagnostics.iter().find(|d| d.is_error()).unwrap();
    assert_eq!(first_error.code, Code::UnknownDirective);
    let noisy = format!("{PAIR}{}", "serial_no = 1\n".repeat(1000));
    assert!(load(noisy.as_bytes()).config.is_some());
}

#[test]
fn a_code_names_its_severity_and_never_changes_on_the_wire() {
    for &code in Code::ALL {
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), code);
    }
    let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Code::ALL.len());
}

#[test]
fn a_name_or_value_may_begin_with_the_sign_of_a_comment() {
    let text = PAIR.replace("shop {", "#1 { # first").replace("\"HTTP\"", "#ok # seen");
    let config = load(text.as_bytes()).config.unwrap();
    assert_eq!(config.virtuals[0].name, "#1");
    let check = format!("{:?}", config.virtuals[0].check);
    assert!(check.contains(&format!("{:?}", b"#ok")), "{check}");
}

/// Time to load a file with this many virtual services.
#[allow(clippy::disallowed_methods, reason = "the test measures")]
fn time_to_load(services: usize) -> Duration {
    let mut text = String::from("primary = 192.0.2.11\n");
    for n in 0..services {
        let body = &PAIR[PAIR.find("virtual").unwrap()..];
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap());
        text += &body.replace("192.0.2.80", &address.to_string());
    }
    let start = std::time::Instant::now();
    let loaded = load(text.as_bytes());
    let elapsed = start.elapsed();
    assert_eq!(loaded.config.unwrap().virtuals.len(), services);
    elapsed
}

#[test]
fn loading_takes_time_in_proportion_to_the_file() {
    let small = time_to_load(1000).max(Duration::from_millis(5));
    let large = time_to_load(4000);
    assert!(large < small * 12, "{small:?} for one, {large:?} for four");
}

/// Files made of one thing over and over, of which a careless reader would look at all for each.
fn repetitive(times: usize) -> Vec<String> {
    let numbered =
        |text: &str| -> String { (0..times).map(|n| text.replace('N', &n.to_string())).collect() };
    let server = " server same {\n  active = 1\n  address = 10.0.0.1\n }\n";
    let service = "virtual same {\n active = 1\n address = 192.0.2.1 lo\n}\n";
    let overlap =
        "virtual vN {\n active = 1\n address = 192.0.2.1 lo\n port = 0\n persistent = 9\n}\n";
    vec![
        service.repeat(times),
        format!("virtual a {{\n address = 192.0.2.1 lo\n{}}}\n", server.repeat(times)),
        numbered(overlap),
        numbered("unknownN = 1\n"),
        "scheduler = wieght\n".repeat(times),
        format!("virtual a {{\n{}}}\n", "http_header = \"a: b\"\n".repeat(times)),
        "heartbeat_path = 10.0.0.1 10.0.0.2\n".repeat(times),
        "include = x\n".repeat(times),
        "keepalive = 1\n".repeat(times),
        "x {\n".repeat(times),
        format!("virtual a {{\n address = {}\n}}\n", "1 ".repeat(times % 8000))
            .repeat(times / 1000),
    ]
}

#[allow(clippy::disallowed_methods, reason = "the test measures")]
fn time_to_read(text: &str) -> Duration {
    let start = std::time::Instant::now();
    let loaded = load(text.as_bytes());
    let elapsed = start.elapsed();
    assert!(loaded.diagnostics.len() <= 401);
    elapsed
}

#[test]
fn repetition_costs_no_more_than_its_length() {
    let (small, large) = (repetitive(2_000), repetitive(16_000));
    for (small, large) in small.iter().zip(&large) {
        let base = time_to_read(small).max(Duration::from_millis(10));
        let time = time_to_read(large);
        let head = small.lines().next().unwrap_or_default();
        assert!(time < base * 32, "{head}: {base:?} for one, {time:?} for eight");
    }
}

#[test]
fn one_long_line_and_many_open_blocks_are_no_trap() {
    let inputs = [
        "virtual a {\n".repeat(20_000),
        "x {\n".repeat(20_000),
        "}\n".repeat(20_000),
        "\"".repeat(1 << 20),
        "# \\".repeat(1 << 20),
        "primary = 10.0.0.1 \n".repeat(10_000),
    ];
    for input in inputs {
        assert!(load(input.as_bytes()).config.is_none());
    }
}

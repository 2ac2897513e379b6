use proptest::prelude::*;

use super::*;
use crate::config::load;

fn given() -> Given {
    Given { primary: Some([192, 0, 2, 11].into()), ..Given::default() }
}

fn any_source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![Source::Keepalived, Source::Ldirectord, Source::Ipvsadm])
}

const WORDS: &[&str] = &[
    "virtual_server",
    "192.0.2.80",
    "80",
    "{",
    "}",
    "real_server",
    "10.0.0.1",
    "weight",
    "1",
    "HTTP_GET",
    "MISC_CHECK",
    "misc_path",
    "\"/bin/check 10.0.0.1 80\"",
    "DNS_CHECK",
    "user",
    "url",
    "path",
    "/x",
    "vrrp_instance",
    "virtual_ipaddress",
    "10.9.0.1/24",
    "dev",
    "eth1",
    "state",
    "MASTER",
    "fwmark",
    "7",
    "group",
    "virtual_server_group",
    "\"",
    "$A=",
    "$A",
    "!",
    "\\",
    "virtual",
    "=",
    "192.0.2.80:80",
    "real",
    "gate",
    "->",
    "checktype",
    "negotiate",
    "request",
    "-A",
    "-a",
    "-t",
    "-f",
    "-r",
    "10.0.0.1:80",
    "-w",
    "-p",
    "\n",
    "\n",
    "\n\t",
    "\u{0}",
    "é",
    "-1",
    "99999999999999999999",
    "2001:db8::1",
    "lb_kind",
    "TUN",
    "virtual_router_id",
    "51",
    "authentication",
    "auth_type",
    "PASS",
    "track_script",
    "vrrp_script",
    "script",
    "track_interface",
    "notify",
    "notify_fifo",
    "version",
    "priority",
    "unicast_peer",
    "unicast_src_ip",
    "advert_int",
    "0.1",
];

fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(WORDS);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" ").into_bytes())
}

proptest! {
    #[test]
    fn any_words_are_imported_into_something_that_reads(text in words(), source in any_source()) {
        let imported = import(source, &text, &given()).unwrap();
        let loaded = load(imported.document.as_bytes());
        // Values are checked as they are written; how they go together is for the reader to say.
        let unreadable = loaded.diagnostics.iter().find(|d| d.code.as_str() < "E0300");
        prop_assert_eq!(unreadable, None, "{}", imported.document);
    }

    #[test]
    fn any_bytes_are_imported(text: Vec<u8>, source in any_source()) {
        let imported = import(source, &text, &given()).unwrap();
        prop_assert!(imported.remarks.is_sorted());
    }

    /// A line that no importer understands is in the list, wherever it stands.
    #[test]
    fn no_line_is_dropped_in_silence(name in "[g-z]{8,12}", place in 0_usize..3, deep: bool) {
        let keepalived = [
            "global_defs {\n}\n", "vrrp_instance a {\n}\n",
            "virtual_server 192.0.2.80 80 {\n}\n",
        ];
        let text = keepalived[place].replace("{\n", &format!("{{\n{name} 1\n"));
        let text = if deep { text.replace(&format!("{name} 1"), &format!("{name} {{\n{name} 1\n}}")) } else { text };
        let imported = import(Source::Keepalived, text.as_bytes(), &given()).unwrap();
        let lines = text.lines().filter(|line| line.contains(&name)).count();
        let listed = imported.remarks.iter().filter(|remark| remark.text.contains(&name));
        prop_assert_eq!(listed.count(), lines, "{:?}", imported.remarks);
        prop_assert!(!imported.is_complete());
    }
}

#[test]
fn a_file_or_a_line_that_is_too_long_is_refused() {
    let line = vec![b'x'; 20_000];
    assert_eq!(import(Source::Ipvsadm, &line, &given()).unwrap_err(), ImportError::LineTooLong(1));
    let file = vec![b'\n'; (16 << 20) + 1];
    assert_eq!(import(Source::Keepalived, &file, &given()).unwrap_err(), ImportError::TooLarge);
}

#[test]
fn the_kind_of_file_is_seen() {
    for (text, source) in [
        ("# x\n-A -t 1.2.3.4:80 -s rr", Some(Source::Ipvsadm)),
        ("! x\nglobal_defs {\n}", Some(Source::Keepalived)),
        ("checktimeout=3\nvirtual = 192.0.2.1:80\n", Some(Source::Ldirectord)),
        ("checktimeout=3\nvirtual6=[::1]:80\n", Some(Source::Ldirectord)),
        ("virtual web {\n", None),
    ] {
        assert_eq!(Source::detect(text.as_bytes()), source, "{text}");
    }
}

#[test]
fn what_the_other_file_does_not_know_is_asked_for() {
    let text = b"-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:80 -m -w 1\n";
    let imported = import(Source::Ipvsadm, text, &Given::default()).unwrap();
    let said: Vec<_> = imported.remarks.iter().map(Remark::to_string).collect();
    assert!(said[0].contains("--primary"), "{said:?}");
    assert!(said.iter().any(|remark| remark.starts_with("line 1: ") && remark.contains("--vip")));
    let given =
        Given { vips: vec![[192, 0, 2, 80].into()], device: Some("eth1".to_owned()), ..given() };
    let imported = import(Source::Ipvsadm, text, &given).unwrap();
    assert!(imported.is_complete(), "{:?}", imported.remarks);
    let config = load(imported.document.as_bytes()).config.expect("a whole configuration");
    assert_eq!(config.virtuals[0].key().to_string(), "FWM 7");
}

use super::*;
use crate::config;

const DIRECT: &str = "primary = 192.0.2.1
    backup = 192.0.2.2
    backup_active = 1
    dataplane = kernel
    network = direct
    tcp_timeout = 900
    virtual web {
        active = 1
        address = 192.0.2.80 eth0:1
        server web1 {
            address = 192.0.2.11
            active = 1
        }
    }";

fn config_of(text: &str) -> Config {
    config::load(text.as_bytes()).config.expect("a good file")
}

fn direct() -> Config {
    config_of(DIRECT)
}

fn nat() -> Config {
    config_of(&DIRECT.replace("network = direct", "network = nat"))
}

/// A machine on which nothing is wrong for either file.
fn sound() -> Facts {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let version = |name: &str| (name.to_owned(), "1.2.3".to_owned());
    Facts {
        ipvs: Some(Ok(())),
        modules: ["ip_vs_wlc".to_owned()].into(),
        settings: [
            set("net.ipv4.ip_forward", "1"),
            set("net.ipv4.conf.eth0.send_redirects", "0"),
            set("net.ipv4.vs.conntrack", "0"),
            set("net.ipv4.ip_nonlocal_bind", "0"),
        ]
        .into(),
        timeouts: Some([900, 120, 300]),
        interfaces: vec![
            Interface::new("lo", vec![("127.0.0.1".parse().unwrap(), 8)]),
            Interface::new("eth0", vec![("192.0.2.1".parse().unwrap(), 24)]),
        ],
        synchronised: Some(true),
        files: vec![file("lvs.cf", false, 0o644), file("heartbeat_key", true, 0o600)],
        users: [("nobody".to_owned(), true)].into(),
        spaces: vec![Space::new("/run".into(), 1 << 30, false)],
        certificates: vec![Certificate::new("web/web1", 60, 14)],
        versions: [version("piranha"), version("pulse"), version("lvs")].into(),
        state: Some(State::Active),
        hears_partner: Some(true),
        ..Facts::default()
    }
}

fn file(purpose: &str, is_secret: bool, mode: u32) -> FileFact {
    FileFact::new(
        purpose,
        format!("/etc/{purpose}").into(),
        is_secret,
        Ok(Permissions { mode, owner: 0 }),
    )
}

/// What is found once `facts` are as `change` leaves them.
fn found(config: &Config, change: impl FnOnce(&mut Facts)) -> Vec<FindingCode> {
    let mut facts = sound();
    change(&mut facts);
    let findings = judge(config, &facts);
    assert!(
        findings.iter().all(|finding| !finding.mend.is_empty() && !finding.evidence.is_empty())
    );
    findings.iter().map(|finding| finding.code).collect()
}

fn claim(station: u8, known_as: &str) -> Claim {
    let known_as = known_as.parse().into_iter().collect();
    Claim::new("192.0.2.80".parse().unwrap(), MacAddr([2, 0, 0, 0, 0, station]), known_as)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(found(&direct(), |_| {}), []);
    assert_eq!(found(&nat(), |_| {}), []);
    assert_eq!(worst(&[]), Grade::Ok);
}

#[test]
fn a_kernel_that_cannot_balance_is_critical_only_where_it_must() {
    let none = |facts: &mut Facts| facts.ipvs = Some(Err("no such module".to_owned()));
    assert_eq!(found(&direct(), none), [FindingCode::NoIpvs]);
    let auto = config_of(&DIRECT.replace("dataplane = kernel", "").replace("= direct", "= nat"));
    let mut facts = sound();
    none(&mut facts);
    assert_eq!(worst(&judge(&auto, &facts)), Grade::Ok);
    let relay = config_of(&DIRECT.replace("= kernel", "= relay").replace("= direct", "= nat"));
    assert_eq!(found(&relay, none), []);
    let no_wlc = |facts: &mut Facts| facts.modules = ["ip_vs".to_owned()].into();
    assert_eq!(found(&direct(), no_wlc), [FindingCode::NoScheduler]);
}

#[test]
fn nat_needs_forwarding_and_direct_routing_does_not() {
    let off = |facts: &mut Facts| {
        facts.settings.insert("net.ipv4.ip_forward".to_owned(), "0".to_owned());
    };
    assert_eq!(found(&nat(), off), [FindingCode::NoForwarding]);
    assert_eq!(found(&direct(), off), []);
}

#[test]
fn redirects_matter_for_nat_on_one_link() {
    let on = |facts: &mut Facts| {
        facts.settings.insert("net.ipv4.conf.eth0.send_redirects".to_owned(), "1".to_owned());
    };
    assert_eq!(found(&nat(), on), [FindingCode::SendRedirects]);
    assert_eq!(found(&direct(), on), []);
}

#[test]
fn timeouts_that_somebody_else_set_are_found_once_the_director_runs() {
    let other = |facts: &mut Facts| facts.timeouts = Some([60, 120, 300]);
    assert_eq!(found(&direct(), other), [FindingCode::Timeouts]);
    let before = |facts: &mut Facts| (facts.timeouts, facts.state) = (Some([60, 120, 300]), None);
    assert_eq!(found(&direct(), before), []);
}

#[test]
fn interfaces_must_be_there_and_up() {
    let gone = |facts: &mut Facts| "eth7".clone_into(&mut facts.interfaces[1].name);
    assert_eq!(found(&direct(), gone), [FindingCode::NoInterface]);
    let off = |facts: &mut Facts| facts.interfaces[1].is_up = false;
    assert_eq!(found(&direct(), off), [FindingCode::LinkDown]);
    let unplugged = |facts: &mut Facts| facts.interfaces[1].is_running = false;
    assert_eq!(found(&direct(), unplugged), [FindingCode::LinkDown]);
    let elsewhere = |facts: &mut Facts| facts.interfaces[1].addresses.clear();
    assert_eq!(found(&direct(), elsewhere), [FindingCode::NoOwnAddress]);
}

#[test]
fn two_interfaces_on_one_network_lose_packets_where_the_way_back_is_checked() {
    let second = |facts: &mut Facts| {
        let address = "192.0.2.3".parse().unwrap();
        facts.interfaces.push(Interface::new("eth1", vec![(address, 24)]));
    };
    assert_eq!(found(&direct(), second), []);
    let strict = |facts: &mut Facts| {
        second(facts);
        facts.settings.insert("net.ipv4.conf.all.rp_filter".to_owned(), "1".to_owned());
    };
    assert_eq!(found(&direct(), strict), [FindingCode::ReversePath]);
    let twice = |facts: &mut Facts| {
        let address = "192.0.2.1".parse().unwrap();
        facts.interfaces.push(Interface::new("eth1", vec![(address, 32)]));
    };
    assert_eq!(found(&direct(), twice), [FindingCode::DuplicateAddress]);
}

#[test]
fn checks_cannot_come_from_an_address_that_is_elsewhere() {
    let text = DIRECT.replace("server web1", "check_source = 192.0.2.7\nserver web1");
    assert_eq!(found(&config_of(&text), |_| {}), [FindingCode::CheckSource]);
    let allowed = |facts: &mut Facts| {
        facts.settings.insert("net.ipv4.ip_nonlocal_bind".to_owned(), "1".to_owned());
    };
    assert_eq!(found(&config_of(&text), allowed), []);
}

#[test]
fn a_real_server_must_not_answer_for_the_vip_of_direct_routing() {
    let server = |facts: &mut Facts| facts.claims = vec![claim(1, "192.0.2.11")];
    assert_eq!(found(&direct(), server), [FindingCode::ServerAnswers]);
    assert_eq!(found(&nat(), server), [FindingCode::AddressConflict]);
}

#[test]
fn a_standby_expects_one_answer_for_the_vip_and_an_active_node_none() {
    let one =
        |state| move |facts: &mut Facts| (facts.claims, facts.state) = (vec![claim(1, "")], state);
    assert_eq!(found(&direct(), one(Some(State::Standby))), []);
    assert_eq!(found(&direct(), one(Some(State::Active))), [FindingCode::AddressConflict]);
    let two = |facts: &mut Facts| {
        facts.state = Some(State::Standby);
        facts.claims = vec![claim(1, ""), claim(2, "")];
    };
    assert_eq!(found(&direct(), two), [FindingCode::AddressConflict]);
}

const NFT: &str = "table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\ttcp dport 22 accept
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tct state established,related accept
\t}

\tchain output {
\t\ttype filter hook output priority filter; policy accept;
\t}
}
";

const IPTABLES: &str = "*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n\
    :FORWARD DROP [0:0]\n-A INPUT -p udp -m udp --dport 539 -j DROP\nCOMMIT\n";

#[test]
fn chains_are_read_as_both_programs_write_them() {
    let chains = parse_nft(NFT);
    assert_eq!(chains.len(), 2);
    assert_eq!((chains[0].name.as_str(), chains[0].drops), ("inet filter input", true));
    assert_eq!(chains[0].rules.len(), 2);
    let chains = parse_iptables(IPTABLES);
    assert_eq!((chains[0].hook.as_str(), chains[0].drops), ("input", false));
    assert_eq!(chains[0].rules, ["-p udp -m udp --dport 539 -j DROP"]);
    assert!(chains[1].drops);
    assert!(parse_nft("").is_empty() && parse_iptables("nonsense").is_empty());
}

#[test]
fn a_filter_that_drops_heartbeats_is_found() {
    let silent = |facts: &mut Facts| {
        (facts.chains, facts.hears_partner) = (parse_nft(NFT), Some(false));
    };
    assert_eq!(found(&direct(), silent), [FindingCode::HeartbeatFiltered]);
    let heard = |facts: &mut Facts| facts.chains = parse_nft(NFT);
    assert_eq!(found(&direct(), heard), [], "what is heard passes");
    let accepted = |facts: &mut Facts| {
        let text = NFT.replace("tcp dport 22", "udp dport { 539, 694 }");
        (facts.chains, facts.hears_partner) = (parse_nft(&text), Some(false));
    };
    assert_eq!(found(&direct(), accepted), []);
    let dropped = |facts: &mut Facts| facts.chains = parse_iptables(IPTABLES);
    assert_eq!(found(&direct(), dropped), [FindingCode::HeartbeatFiltered]);
}

#[test]
fn a_filter_by_state_does_not_know_the_connections_of_nat() {
    let filtered = |facts: &mut Facts| facts.chains = parse_nft(NFT);
    assert_eq!(found(&nat(), filtered), [FindingCode::Conntrack]);
    let told = |facts: &mut Facts| {
        facts.chains = parse_nft(NFT);
        facts.settings.insert("net.ipv4.vs.conntrack".to_owned(), "1".to_owned());
    };
    assert_eq!(found(&nat(), told), []);
}

#[test]
fn files_are_for_those_they_are_for() {
    let found = |file| found(&direct(), |facts| facts.files = vec![file]);
    assert_eq!(found(file("lvs.cf", false, 0o666)), [FindingCode::Permissions]);
    assert_eq!(found(file("heartbeat_key", true, 0o640)), [FindingCode::Permissions]);
    let missing = Err("no such file".to_owned());
    let missing = FileFact::new("tls_ca", "/etc/ca.pem".into(), false, missing);
    assert_eq!(found(missing), [FindingCode::NoFile]);
}

#[test]
fn whatever_else_is_wrong_is_found() {
    let found = |change: fn(&mut Facts)| found(&direct(), change);
    assert_eq!(found(|f| f.synchronised = Some(false)), [FindingCode::Clock]);
    assert_eq!(found(|f| f.set_back = Some(Duration::from_secs(60))), [FindingCode::Clock]);
    assert_eq!(found(|f| f.users = [("checker".to_owned(), false)].into()), [FindingCode::NoUser]);
    assert_eq!(found(|f| f.spaces[0].free = 1000), [FindingCode::NoSpace]);
    assert_eq!(found(|f| f.spaces[0].is_read_only = true), [FindingCode::NoSpace]);
    assert_eq!(found(|f| f.certificates[0].days = 3), [FindingCode::CertificateExpires]);
    let other = |f: &mut Facts| drop(f.versions.insert("lvs".to_owned(), "1.2.2".to_owned()));
    assert_eq!(found(other), [FindingCode::Versions]);
    assert_eq!(found(|f| drop(f.versions.remove("pulse"))), [FindingCode::NotRunning]);
    assert_eq!(found(|f| f.unseen.push(("x".into(), "y".into()))), [FindingCode::NotSeen]);
}

#[test]
fn the_worst_stands_first_and_what_was_not_seen_is_never_fine() {
    let mut facts = sound();
    facts.unseen.push(("who answers for the VIP".to_owned(), "permission denied".to_owned()));
    assert_eq!(worst(&judge(&direct(), &facts)), Grade::Warning);
    facts.ipvs = Some(Err("none".to_owned()));
    let findings = judge(&direct(), &facts);
    assert_eq!(findings[0].code, FindingCode::NoIpvs);
    assert_eq!(worst(&findings), Grade::Critical);
}

#[test]
fn facts_are_data() {
    let facts = sound();
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}

#[test]
fn nodes_of_different_versions_are_found_whichever_program_it_is() {
    let partner = |name: &str, version: &str| [(name.to_owned(), version.to_owned())].into();
    assert_eq!(found(&direct(), |f| f.partner_versions = partner("lvs", "1.2.3")), []);
    let other = |f: &mut Facts| f.partner_versions = partner("lvs", "1.2.4");
    assert_eq!(found(&direct(), other), [FindingCode::PartnerVersions]);
    let deaf = |f: &mut Facts| f.partner_protocol = Some(crate::control::protocol::VERSION + 1);
    assert_eq!(found(&direct(), deaf), [FindingCode::PartnerVersions]);
}

#[test]
fn heartbeats_of_another_version_are_a_finding_that_names_the_directive() {
    let refuses = |facts: &mut Facts| {
        facts.refused = [("version".to_owned(), 7)].into();
        facts.hears_partner = None;
    };
    let one = config_of(&format!("heartbeat_version = 1\n{DIRECT}"));
    for config in [direct(), one] {
        assert_eq!(found(&config, refuses), [FindingCode::HeartbeatVersion]);
        let mut facts = sound();
        refuses(&mut facts);
        let [finding] = judge(&config, &facts).try_into().unwrap();
        assert!(finding.mend.contains("`heartbeat_version"), "{finding:?}");
        let heard = |facts: &mut Facts| {
            refuses(facts);
            facts.hears_partner = Some(true);
        };
        assert_eq!(found(&config, heard), [], "an earlier life of the partner");
    }
}

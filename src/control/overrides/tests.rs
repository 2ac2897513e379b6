use super::*;
use crate::config::{Surroundings, load_in};

struct Nowhere;

impl Surroundings for Nowhere {}

fn config() -> Config {
    let server = |name: &str, address: &str| {
        format!("server {name} {{\n active = 1\n address = {address}\n weight = 3\n}}\n")
    };
    let service = |name: &str, vip: &str, servers: &str| {
        format!("virtual {name} {{\n active = 1\n address = {vip} eth0:1\n{servers}}}\n")
    };
    let both = server("alpha", "10.0.0.1") + &server("alpine", "10.0.0.2");
    let text = "primary = 192.0.2.1\n".to_owned()
        + &service("web", "192.0.2.80", &both)
        + &service("webmail", "192.0.2.81", &server("alpha", "10.0.0.1"));
    let loaded = load_in("lvs.cf", text.as_bytes(), &Nowhere);
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn said(service: &str, server: &str, word: Word) -> Override {
    Override::new(service, server, word, "ann", Timestamp(1000))
}

fn found(target: &str) -> Result<Vec<String>, TargetError> {
    let config = config();
    let servers = find_servers(&config, target)?;
    Ok(servers.iter().map(|(v, server)| format!("{}/{}", v.name, server.name)).collect())
}

#[test]
fn a_target_is_one_server_of_a_service_or_a_server_in_all_its_services() {
    assert_eq!(found("web/alpha").unwrap(), ["web/alpha"]);
    assert_eq!(found("alpha").unwrap(), ["web/alpha", "webmail/alpha"]);
    assert_eq!(found("10.0.0.1").unwrap(), ["web/alpha", "webmail/alpha"]);
    assert_eq!(found("10.0.0.2:80").unwrap(), ["web/alpine"]);
    assert_eq!(found("webm/alph").unwrap(), ["webmail/alpha"]);
}

#[test]
fn a_target_that_means_nothing_or_several_things_is_refused() {
    assert_eq!(found("web/beta"), Err(TargetError::NoSuchServer("web/beta".to_owned())));
    assert_eq!(found("10.0.0.9"), Err(TargetError::NoSuchServer("10.0.0.9".to_owned())));
    assert_eq!(found("ftp/alpha"), Err(TargetError::NoSuchService("ftp".to_owned())));
    let error = found("web/alp").unwrap_err();
    assert_eq!(error.to_string(), "`alp` could be alpha or alpine");
    assert!(matches!(found("we/alpha"), Err(TargetError::Ambiguous { .. })));
}

#[test]
fn the_last_word_holds_and_ready_ends_it() {
    let mut overrides = Overrides::default();
    overrides.set(said("web", "alpha", Word::Disable));
    overrides.set(said("web", "alpha", Word::Drain { deadline: None }));
    assert_eq!(overrides.get("web", "alpha").unwrap().word, Word::Drain { deadline: None });
    assert_eq!(overrides.iter().count(), 1);
    overrides.set(said("web", "alpha", Word::Ready));
    assert!(overrides.is_empty());
}

#[test]
fn a_word_ends_at_its_time_and_not_before() {
    let mut overrides = Overrides::default();
    let until = Some(Timestamp(5000));
    overrides.set(Override { until, ..said("web", "alpha", Word::Disable) });
    overrides.set(said("web", "alpine", Word::Disable));
    assert_eq!(overrides.expire(Timestamp(4999)), []);
    assert_eq!(overrides.expire(Timestamp(5000)).len(), 1);
    assert!(overrides.get("web", "alpha").is_none() && overrides.get("web", "alpine").is_some());
}

#[test]
fn a_drain_disables_at_its_deadline() {
    let drain = Word::Drain { deadline: Some(Timestamp(5000)) };
    assert_eq!(drain.for_monitor(Timestamp(4999)), health::Override::Drain);
    assert_eq!(drain.for_monitor(Timestamp(5000)), health::Override::Disabled);
    let endless = Word::Drain { deadline: None };
    assert_eq!(endless.for_monitor(Timestamp(u64::MAX)), health::Override::Drain);
}

#[test]
fn a_weight_takes_the_place_of_the_configured_one_and_of_no_other() {
    let config = config();
    let mut overrides = Overrides::default();
    overrides.set(said("web", "alpine", Word::Disable));
    assert!(matches!(overrides.in_force(&config), Cow::Borrowed(_)) && !overrides.weigh());
    overrides.set(said("web", "alpha", Word::Weight(Weight::new(9).unwrap())));
    let config = overrides.in_force(&config);
    let weights = |v: &Virtual| v.servers.iter().map(|s| s.weight.get()).collect::<Vec<_>>();
    assert_eq!(config.virtuals.iter().map(weights).collect::<Vec<_>>(), [vec![9, 3], vec![3]]);
}

#[test]
fn words_on_servers_that_left_the_configuration_are_forgotten() {
    let mut overrides = Overrides::default();
    overrides.set(said("web", "alpha", Word::Disable));
    overrides.set(said("web", "gone", Word::Disable));
    overrides.set(said("gone", "alpha", Word::Disable));
    assert_eq!(overrides.forget_strangers(&config()).len(), 2);
    assert_eq!(overrides.iter().count(), 1);
}

#[test]
fn a_word_on_a_server_that_is_gone_is_not_taken_for_one_whose_name_begins_so() {
    let config = config();
    let servers = |said: Override| said.servers(&config).count();
    assert_eq!(servers(said("web", "alpin", Word::Disable)), 0);
    assert_eq!(servers(said("web", "alpine", Word::Disable)), 1);
}

#[test]
fn overrides_come_back_from_what_was_written() {
    let mut overrides = Overrides::default();
    let reason = Some("disk".to_owned());
    overrides.set(Override { reason, ..said("web", "alpha", Word::Weight(Weight::ZERO)) });
    overrides.set(said("web", "alpine", Word::Drain { deadline: Some(Timestamp(7)) }));
    let text = serde_json::to_string(&overrides).unwrap();
    assert_eq!(serde_json::from_str::<Overrides>(&text).unwrap(), overrides);
}

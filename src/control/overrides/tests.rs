use proptest::prelude::*;

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

#[test]
fn a_list_without_stamps_is_read_as_said_when_it_was() {
    let text = r#"[{"service":"web","server":"alpha","word":"disable","author":"ann",
        "reason":null,"since":1000,"until":null}]"#;
    let overrides: Overrides = serde_json::from_str(text).unwrap();
    assert_eq!(overrides.get("web", "alpha").unwrap().stamp.at, Timestamp(1000));
}

#[test]
fn a_later_word_holds_though_the_clock_of_its_node_is_behind() {
    let mut ahead = Overrides::default();
    ahead.set(said("web", "alpha", Word::Disable).on("lb1"));
    let mut behind = Overrides::default();
    behind.merge(ahead.iter_with_ends().cloned());
    behind.set(Override::new("web", "alpha", Word::Ready, "bob", Timestamp(5)).on("lb2"));
    ahead.merge(behind.news_for(&ahead));
    assert!(ahead.is_empty());
    assert_eq!(ahead, behind);
}

#[test]
fn an_author_on_the_other_node_is_told_with_it() {
    let word = said("web", "alpha", Word::Disable).on("lb2");
    assert_eq!(word.told_on("lb1").author, "ann@lb2");
    assert_eq!(word.told_on("lb2").author, "ann");
    let passed = Override { author: "bob@lb1".to_owned(), ..word };
    assert_eq!(passed.told_on("lb1").author, "bob@lb1");
}

/// Words on three servers within a few moments of two nodes, ends among them.
fn any_word() -> impl Strategy<Value = Override> {
    let word = prop_oneof![
        Just(Word::Ready),
        Just(Word::Disable),
        Just(Word::Drain { deadline: None }),
        (0..3_u32).prop_map(|weight| Word::Weight(Weight::new(weight).unwrap())),
    ];
    let until = proptest::option::of((0..6_u64).prop_map(Timestamp));
    (0..3_u8, word, 0..4_u64, 0..2_u8, until).prop_map(|(server, word, at, node, until)| {
        let name = format!("s{server}");
        let until = until.filter(|_| word != Word::Ready);
        let said = Override::new("web", name, word, "ann", Timestamp(at)).on(format!("lb{node}"));
        Override { until, ..said }
    })
}

fn any_words() -> impl Strategy<Value = Vec<Override>> {
    proptest::collection::vec(any_word(), 0..8)
}

fn merged(parts: &[&[Override]]) -> Overrides {
    let mut all = Overrides::default();
    parts.iter().for_each(|part| drop(all.merge(part.iter().cloned())));
    all
}

/// What happens to one of two nodes.
#[derive(Clone, Debug)]
enum Step {
    Said(usize, Override),
    Time(u64),
    /// What one node knows, whole or in part, comes to the other now, or never.
    Passed {
        from: usize,
        most: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, any_word()).prop_map(|(node, word)| Step::Said(node, word)),
        (0..6_u64).prop_map(Step::Time),
        (0..2_usize, 0..4_usize).prop_map(|(from, most)| Step::Passed { from, most }),
    ]
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        a in any_words(), b in any_words(), c in any_words(),
    ) {
        prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
        let all = merged(&[&a, &b, &c]);
        let mut right = merged(&[&b, &c]);
        right.merge(merged(&[&a]).iter_with_ends().cloned());
        prop_assert_eq!(&right, &all);
        let mut twice = all.clone();
        prop_assert!(twice.merge(all.iter_with_ends().cloned()).is_empty());
        prop_assert_eq!(twice, all);
    }

    #[test]
    fn two_nodes_come_to_the_same_after_any_partition(
        steps in proptest::collection::vec(any_step(), 0..40),
    ) {
        let mut nodes = [Overrides::default(), Overrides::default()];
        let mut now = 0;
        for step in steps {
            match step {
                Step::Said(node, word) => nodes[node].set(word.on(format!("lb{node}"))),
                Step::Time(at) => {
                    now = at.max(now);
                    // Clocks differ: only one of them sees that a word has had its time.
                    nodes[0].expire(Timestamp(now));
                }
                Step::Passed { from, most } => {
                    let news = nodes[from].news_for(&nodes[1 - from]);
                    nodes[1 - from].merge(news.into_iter().take(most));
                }
            }
        }
        let [mut first, mut second] = nodes;
        first.merge(second.news_for(&first));
        second.merge(first.news_for(&second));
        prop_assert_eq!(&first, &second);
        prop_assert!(first.news_for(&second).is_empty());
    }
}

#[test]
fn what_is_said_of_a_service_holds_of_each_server_that_nobody_keeps_from_more() {
    assert_eq!(found("web/*").unwrap(), ["web/alpha", "web/alpine"]);
    let mut overrides = Overrides::default();
    overrides.set(said("web", "", Word::Drain { deadline: Some(Timestamp(5000)) }));
    overrides.set(said("web", "alpha", Word::Disable));
    overrides.set(said("web", "alpine", Word::Weight(Weight::ONE)));
    let told = |server| overrides.for_monitor("web", server, Timestamp(4000));
    assert_eq!(told("alpha"), health::Override::Disabled);
    assert_eq!(told("alpine"), health::Override::Drain);
    assert_eq!(told("one that is still to come"), health::Override::Drain);
    let later = overrides.for_monitor("web", "alpine", Timestamp(5000));
    assert_eq!(later, health::Override::Disabled, "the drain is over");
    assert_eq!(overrides.for_monitor("webmail", "alpha", Timestamp(1)), health::Override::None);
    assert_eq!(overrides.holding("web", "alpha").map(|said| said.word), Some(Word::Disable));
    assert_eq!(overrides.holding("web", "alpine").map(Override::subject), Some("web".to_owned()));
    assert!(overrides.forget_strangers(&config()).is_empty());
}

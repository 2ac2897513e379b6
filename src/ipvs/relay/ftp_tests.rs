use proptest::prelude::*;

use super::*;

const CLIENT: &str = "192.0.2.7";

fn control() -> Control {
    Control::new(CLIENT.parse().unwrap())
}

fn from_client(line: &str) -> Vec<Action> {
    control().from_client(line.as_bytes())
}

fn from_server(line: &str) -> Vec<Action> {
    control().from_server(line.as_bytes())
}

fn forward(line: &str) -> Vec<Action> {
    vec![Action::Forward(line.as_bytes().to_vec())]
}

/// The reply as the client gets it when the relay waits at `at`.
fn passive(line: &str, at: &str) -> (u16, String) {
    let actions = from_server(line);
    let [Action::Passive(reply)] = &actions[..] else {
        panic!("{line:?} gave {actions:?}");
    };
    let rewritten = reply.rewritten(at.parse().unwrap());
    (reply.port(), String::from_utf8(rewritten).unwrap())
}

/// The command as the server gets it when the relay waits at `at`.
fn active(line: &str, at: &str) -> (SocketAddr, String) {
    let actions = from_client(line);
    let [Action::Active(command)] = &actions[..] else {
        panic!("{line:?} gave {actions:?}");
    };
    let rewritten = command.rewritten(at.parse().unwrap());
    (command.address(), String::from_utf8(rewritten).unwrap())
}

#[test]
fn a_passive_reply_keeps_its_words_and_gets_the_relays_address() {
    assert_eq!(
        passive("227 Entering Passive Mode (10,0,0,1,200,3).\r\n", "192.0.2.80:5000"),
        (51203, "227 Entering Passive Mode (192,0,2,80,19,136).\r\n".into())
    );
    assert_eq!(
        passive("227 =10,0,0,1,4,0\r\n", "192.0.2.80:5000"),
        (1024, "227 =192,0,2,80,19,136\r\n".into())
    );
    assert_eq!(
        passive("227 At 3, 4 o'clock: (10,0,0,1,4,0)\n", "192.0.2.80:5000").1,
        "227 At 3, 4 o'clock: (192,0,2,80,19,136)\n"
    );
}

#[test]
fn an_extended_passive_reply_gets_the_relays_port() {
    assert_eq!(
        passive("229 Entering Extended Passive Mode (|||6446|)\r\n", "[2001:db8::80]:5000"),
        (6446, "229 Entering Extended Passive Mode (|||5000|)\r\n".into())
    );
    assert_eq!(passive("229 ok (!!!6446!)\r\n", "192.0.2.80:5000").1, "229 ok (!!!5000!)\r\n");
}

#[test]
fn a_plain_passive_reply_has_no_place_for_an_ipv6_address() {
    let (_, line) = passive("227 ok (10,0,0,1,200,3)\r\n", "[2001:db8::80]:5000");
    assert_eq!(line.as_bytes(), CANNOT_OPEN);
}

#[test]
fn an_active_command_is_spelled_for_the_side_the_server_sees() {
    let client = |port| SocketAddr::new(CLIENT.parse().unwrap(), port);
    assert_eq!(
        active("port 192,0,2,7,200,3\r\n", "10.0.0.9:5000"),
        (client(51203), "PORT 10,0,0,9,19,136\r\n".into())
    );
    assert_eq!(
        active("EPRT |1|192.0.2.7|6275|\r\n", "10.0.0.9:5000"),
        (client(6275), "EPRT |1|10.0.0.9|5000|\r\n".into())
    );
    assert_eq!(
        active("PORT 192,0,2,7,200,3\r\n", "[2001:db8::9]:5000").1,
        "EPRT |2|2001:db8::9|5000|\r\n"
    );
}

#[test]
fn data_connections_to_others_than_the_client_are_refused() {
    for line in [
        "PORT 192,0,2,8,200,3\r\n",
        "EPRT |1|192.0.2.8|6275|\r\n",
        "EPRT |2|2001:db8::1|6275|\r\n",
        "PORT 192,0,2,7,0,25\r\n",
    ] {
        assert_eq!(from_client(line), [Action::Answer(NOT_YOURS)], "{line:?}");
    }
}

#[test]
fn malformed_and_overlong_port_commands_never_reach_the_server() {
    for line in [
        "PORT \r\n",
        "PORT 192,0,2,7,200\r\n",
        "PORT 192,0,2,7,200,3,4\r\n",
        "PORT +192,0,2,7,200,3\r\n",
        "EPRT |1|192.0.2.7|6275\r\n",
        "EPRT |2|192.0.2.7|6275|\r\n",
        "EPRT |1|192.0.2.7|66275|\r\n",
        "EPRT \u{e9}1\u{e9}192.0.2.7\u{e9}6275\r\n",
    ] {
        assert_eq!(from_client(line), [Action::Answer(SYNTAX)], "{line:?}");
    }
    let mut long = format!("PORT {}", "1".repeat(MAX_LINE * 3));
    long.push_str("\r\nNOOP\r\n");
    let actions = from_client(&long);
    assert_eq!(actions[0], Action::Answer(SYNTAX));
    assert_eq!(actions[1..], forward("NOOP\r\n"));
}

#[test]
fn replies_that_only_look_like_passive_ones_pass() {
    let long = format!("227 {} (10,0,0,1,200,3)\r\n", "x".repeat(MAX_LINE));
    for line in [
        "227 Entering Passive Mode\r\n",
        "227-Entering (10,0,0,1,200,3)\r\n227 (10,0,0,1,200,3)\r\n",
        "213-Status\r\n227 (10,0,0,1,200,3)\r\n213 End\r\n",
        "227 (10,0,0,1,0,25)\r\n",
        "227 (10,0,0,256,200,3)\r\n",
        "229 (|||66446|)\r\n",
        "229 (|||6446)\r\n",
        "229 (||6446|)\r\n",
        "2277 (10,0,0,1,200,3)\r\n",
        "22\r\n227\r\n",
        &long,
    ] {
        assert_eq!(from_server(line), forward(line), "{line:?}");
    }
}

#[test]
fn after_a_multi_line_reply_passive_replies_are_seen_again() {
    let actions = from_server("213-Status\r\n213 End\r\n227 (10,0,0,1,200,3)\r\n");
    assert!(matches!(actions[..], [Action::Forward(_), Action::Passive(_)]));
}

#[test]
fn once_the_connection_is_encrypted_nothing_is_looked_at_or_held_back() {
    let mut control = control();
    control.from_server(b"234 AUTH TLS OK.\r\n");
    assert_eq!(control.from_client(b"PORT "), forward("PORT "));
    assert_eq!(control.from_server(b"22"), forward("22"));
}

#[test]
fn the_rest_of_an_incomplete_line_is_not_lost() {
    let mut control = control();
    assert_eq!(control.from_client(b"POR"), []);
    assert_eq!(control.finish_client(), b"POR");
    assert_eq!(control.from_server(b"227 "), []);
    assert_eq!(control.finish_server(), b"227 ");
}

/// Joins what is to be forwarded, which may come in any number of pieces.
fn join(all: impl IntoIterator<Item = Action>) -> Vec<Action> {
    let mut joined = Actions::default();
    for action in all {
        match action {
            Action::Forward(bytes) => joined.forward(&bytes),
            other => joined.0.push(other),
        }
    }
    joined.0
}

fn talk() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("PORT 192,0,2,7,200,3\r\n".to_owned()),
        Just("EPRT |1|192.0.2.7|6275|\r\n".to_owned()),
        Just("227 Entering (10,0,0,1,200,3)\r\n".to_owned()),
        Just("229 Entering (|||6446|)\r\n".to_owned()),
        Just("213-x\r\n".to_owned()),
        Just("213 x\r\n".to_owned()),
        Just("234 x\r\n".to_owned()),
        "[PORTEport12279 |,()-]{0,12}\r?\n?",
        "\\PC{0,600}",
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_up_makes_no_difference(
        talk in talk(),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut whole = control();
        let mut pieces = control();
        let mut at_once = [whole.from_client(&talk), whole.from_server(&talk)];
        let mut bit_by_bit: [Vec<Action>; 2] = Default::default();
        for (direction, actions) in bit_by_bit.iter_mut().enumerate() {
            let mut rest = &talk[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                rest = left;
                actions.extend(match direction {
                    0 => pieces.from_client(piece),
                    _ => pieces.from_server(piece),
                });
            }
        }
        at_once[0].push(Action::Forward(whole.finish_client()));
        at_once[1].push(Action::Forward(whole.finish_server()));
        bit_by_bit[0].push(Action::Forward(pieces.finish_client()));
        bit_by_bit[1].push(Action::Forward(pieces.finish_server()));
        prop_assert_eq!(at_once.map(join), bit_by_bit.map(join));
    }

    #[test]
    fn what_is_not_understood_passes_byte_for_byte(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut control = control();
        let mut seen = join(control.from_server(&bytes));
        seen.push(Action::Forward(control.finish_server()));
        if let [Action::Forward(passed)] = &join(seen)[..] {
            prop_assert_eq!(passed, &bytes);
        } else {
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_held_line_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut control = control();
        control.from_client(&[b"PORT ", &bytes[..]].concat());
        control.from_server(&[b"227 ", &bytes[..]].concat());
        prop_assert!(control.finish_client().len() <= MAX_LINE);
        prop_assert!(control.finish_server().len() <= MAX_LINE);
    }
}

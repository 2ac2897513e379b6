use proptest::prelude::*;

use super::*;

const JOINER: Pin = Pin::new([1; 32]);
const ISSUER: Pin = Pin::new([2; 32]);
const STRANGER: Pin = Pin::new([3; 32]);

fn code() -> Code {
    Code::new([9; Code::BYTES])
}

fn session(own: Pin, theirs: Pin, binding: u8) -> Session {
    Session { binding: [binding; 32], own, theirs }
}

fn joiner(code: Code, session: Session) -> Joiner {
    Joiner::new(code, session, "lb2".to_owned(), 3638, [5; 32])
}

fn issuer(session: Session) -> Issuer {
    Issuer::new(session, "lb1".to_owned(), [6; 32])
}

/// What each end comes to when messages pass as they are.
fn shake(
    mut joiner: Joiner,
    mut issuer: Issuer,
    offered: &Code,
) -> (Result<Paired, PairingError>, Result<Paired, PairingError>) {
    let challenge = issuer.handle_hello(&joiner.hello()).unwrap();
    let proof = joiner.handle_challenge(&challenge).unwrap();
    match issuer.handle_proof(offered, &proof) {
        Ok((answer, paired)) => (joiner.handle_proof(&answer), Ok(paired)),
        // Nothing is said: the joiner sees the connection end.
        Err(error) => (Err(PairingError::Unexpected), Err(error)),
    }
}

#[test]
fn two_nodes_with_one_code_come_to_know_each_others_key_and_name() {
    let (joined, issued) = shake(
        joiner(code(), session(JOINER, ISSUER, 1)),
        issuer(session(ISSUER, JOINER, 1)),
        &code(),
    );
    assert_eq!(joined, Ok(Paired { key: ISSUER, node: "lb1".to_owned(), port: None }));
    assert_eq!(issued, Ok(Paired { key: JOINER, node: "lb2".to_owned(), port: Some(3638) }));
}

#[test]
fn a_wrong_code_convinces_nobody() {
    let wrong = Code::new([8; Code::BYTES]);
    let (joined, issued) = shake(
        joiner(wrong, session(JOINER, ISSUER, 1)),
        issuer(session(ISSUER, JOINER, 1)),
        &code(),
    );
    assert_eq!(issued, Err(PairingError::Proof));
    assert!(joined.is_err());
}

#[test]
fn somebody_in_between_who_passes_everything_on_convinces_nobody() {
    // A session with each end: other keys and other bindings, and either alone is enough.
    for (theirs, ours, binding) in
        [(STRANGER, STRANGER, 2), (STRANGER, STRANGER, 1), (JOINER, ISSUER, 2)]
    {
        let joiner = joiner(code(), session(JOINER, ours, 1));
        let issuer = issuer(session(ISSUER, theirs, binding));
        let (joined, issued) = shake(joiner, issuer, &code());
        assert_eq!(issued, Err(PairingError::Proof));
        assert!(joined.is_err());
    }
}

#[test]
fn a_proof_sent_back_or_played_again_is_not_believed() {
    let mut join = joiner(code(), session(JOINER, ISSUER, 1));
    let mut first = issuer(session(ISSUER, JOINER, 1));
    let challenge = first.handle_hello(&join.hello()).unwrap();
    let proof = join.handle_challenge(&challenge).unwrap();
    let mut second = Issuer::new(session(ISSUER, JOINER, 1), "lb1".to_owned(), [7; 32]);
    second.handle_hello(&join.hello()).unwrap();
    assert_eq!(second.handle_proof(&code(), &proof).unwrap_err(), PairingError::Proof);
    assert_eq!(join.handle_proof(&proof), Err(PairingError::Proof));
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    let proof = Message::Proof { tag: [0; 32] };
    let fresh = issuer(session(ISSUER, JOINER, 1));
    assert_eq!(fresh.handle_proof(&code(), &proof).unwrap_err(), PairingError::Unexpected);
    let mut join = joiner(code(), session(JOINER, ISSUER, 1));
    assert_eq!(join.handle_challenge(&proof), Err(PairingError::Unexpected));
    assert_eq!(join.handle_proof(&proof), Err(PairingError::Unexpected));
}

#[test]
fn another_version_and_a_name_that_is_none_are_refused() {
    let hello = |version, node: &str| Message::Hello {
        version,
        node: node.to_owned(),
        port: 1,
        nonce: [0; 32],
    };
    let answer = |message| issuer(session(ISSUER, JOINER, 1)).handle_hello(&message);
    assert_eq!(answer(hello(2, "lb2")), Err(PairingError::Version(2)));
    for name in ["", "a b", "a\n", "l@b", &"x".repeat(65)] {
        assert_eq!(answer(hello(VERSION, name)), Err(PairingError::Name), "{name:?}");
    }
}

#[test]
fn the_code_is_stretched_as_rfc_7914_says() {
    // RFC 7914, 11: PBKDF2-HMAC-SHA-256 (P="passwd", S="salt", c=1), the first 32 bytes.
    let key = stretch(b"passwd", b"salt", 1);
    let expected = [
        0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f, 0xec, 0x16, 0x91, 0xc2, 0x25, 0x44, 0xb6,
        0x05, 0xf9, 0x41, 0x85, 0x21, 0x6d, 0xde, 0x04, 0x65, 0xe6, 0x8b, 0x9d, 0x57, 0xc2, 0x0d,
        0xac, 0xbc,
    ];
    assert_eq!(key, expected);
}

fn any_message() -> impl Strategy<Value = Message> {
    let name = "[a-z0-9 .@-]{0,70}";
    prop_oneof![
        (0..3_u32, name, any::<u16>(), any::<Nonce>()).prop_map(|(version, node, port, nonce)| {
            Message::Hello { version, node, port, nonce }
        }),
        (0..3_u32, name, any::<Nonce>()).prop_map(|(version, node, nonce)| Message::Challenge {
            version,
            node,
            nonce
        }),
        any::<[u8; 32]>().prop_map(|tag| Message::Proof { tag }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whoever_has_not_the_code_is_never_believed(
        messages in proptest::collection::vec(any_message(), 3),
    ) {
        let mut issuer = issuer(session(ISSUER, STRANGER, 1));
        let _ = issuer.handle_hello(&messages[0]);
        prop_assert!(issuer.handle_proof(&code(), &messages[1]).is_err());
        let mut joiner = joiner(code(), session(JOINER, STRANGER, 1));
        let _ = joiner.handle_challenge(&messages[1]);
        prop_assert!(joiner.handle_proof(&messages[2]).is_err());
    }

    #[test]
    fn a_message_is_read_as_it_is_written(message in any_message()) {
        let line = serde_json::to_string(&message).unwrap();
        prop_assert!(line.len() < super::super::MAX_OPENING);
        prop_assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
    }
}

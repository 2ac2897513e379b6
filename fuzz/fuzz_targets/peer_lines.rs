//! What a node that connects may say: openings, the messages of pairing, and what operators said
//! there. Nobody without the code is believed, and merging twice is merging once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::control::peer::pairing::{Issuer, Joiner, Message, Session};
use piranha::control::peer::{Code, Opening};
use piranha::control::{Override, Overrides};
use piranha::health::Pin;

const OWN: Pin = Pin::new([1; 32]);
const THEIRS: Pin = Pin::new([2; 32]);

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, text) = input;
    if let Ok(code) = text.parse::<Code>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    let session = Session { binding: [3; 32], own: OWN, theirs: THEIRS };
    let mut issuer = Some(Issuer::new(session, "lb1".to_owned(), [4; 32]));
    let mut joiner = Some(Joiner::new(Code::new([5; 10]), session, "lb2".to_owned(), 1, [6; 32]));
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(opening) = serde_json::from_slice::<Opening>(line) {
            let author = opening.author("lb2");
            assert_eq!(author.matches('@').count(), 1);
            assert!(author.ends_with("@lb2") && !author.contains(char::is_control));
        }
        if let Ok(words) = serde_json::from_slice::<Vec<Override>>(line) {
            let mut all = Overrides::default();
            all.merge(words.clone());
            assert!(all.merge(words).is_empty());
        }
        let Ok(message) = serde_json::from_slice::<Message>(line) else { continue };
        if let Message::Proof { .. } = message {
            if let Some(issuer) = issuer.take() {
                assert!(issuer.handle_proof(&Code::new([5; 10]), &message).is_err());
            }
            if let Some(joiner) = joiner.take() {
                assert!(joiner.handle_proof(&message).is_err());
            }
            continue;
        }
        let _answer = issuer.as_mut().map(|issuer| issuer.handle_hello(&message));
        let _answer = joiner.as_mut().map(|joiner| joiner.handle_challenge(&message));
    }
});

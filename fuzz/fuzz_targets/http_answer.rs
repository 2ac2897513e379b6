//! Whatever a server answers to an HTTP check, in whatever pieces: no panic, bounded memory, and
//! a status only from something that is HTTP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::runtime::checks::http::Answer;

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, size) = input;
    let mut answer = Answer::default();
    for piece in bytes.chunks(usize::from(size).max(1)) {
        let result = answer.push(piece);
        assert!(answer.received() <= Answer::LIMIT);
        match result {
            None => {}
            Some(Ok(status)) => {
                assert!(bytes.starts_with(b"HTTP/1.") && status < 1000);
                return;
            }
            Some(Err(failure)) => {
                assert!(failure.to_string().len() < 256);
                return;
            }
        }
    }
});

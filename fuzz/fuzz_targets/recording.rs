//! Any bytes as a recording: no panic while it is read and replayed, and each line that is read is
//! written as one that is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::failover::record::{Line, Replay};
use piranha::runtime::recording::read;

fuzz_target!(|bytes: &[u8]| {
    let mut replay = Replay::new();
    for line in read(bytes).map_while(Result::ok) {
        let text = serde_json::to_string(&line).expect("it was read from JSON");
        assert!(serde_json::from_str::<Line>(&text).is_ok());
        let _ = replay.play(line);
    }
});

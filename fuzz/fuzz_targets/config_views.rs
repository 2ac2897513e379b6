//! lvs.cf laid out anew, shown and compared: formatting twice is formatting once, keeps what the
//! file means, and no configuration differs from itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::config::{Document, difference, effective, format, load};

fuzz_target!(|bytes: &[u8]| {
    let before = load(bytes);
    let formatted = format(&before.document);
    assert_eq!(format(&Document::parse(&formatted)), formatted);
    let after = load(&formatted);
    let (Some(before), Some(after)) = (effective(&before), effective(&after)) else { return };
    assert_eq!(difference(&before, &after), []);
});

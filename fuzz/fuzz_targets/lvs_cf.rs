//! lvs.cf: any bytes print as they were read, load without a panic, and survive an edit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::config::{Directive, Document, load};

fuzz_target!(|bytes: &[u8]| {
    let loaded = load(bytes);
    assert_eq!(loaded.document.as_bytes(), bytes);
    let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
    assert_eq!(loaded.config.is_none(), refused);
    for diagnostic in &loaded.diagnostics {
        assert!(diagnostic.span.end <= bytes.len());
        loaded.document.position(diagnostic.span.start);
    }

    let mut document = Document::parse(bytes);
    if document.set_global(Directive::SerialNo, "1").is_err() {
        assert_eq!(document.as_bytes(), bytes);
    } else if let Some(config) = loaded.config {
        let edited = load(document.as_bytes()).config.expect("an edit keeps a good file good");
        assert_eq!(edited.virtuals.len(), config.virtuals.len());
    }
});

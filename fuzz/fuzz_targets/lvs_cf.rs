//! lvs.cf: any bytes print as they were read, load without a panic, and survive an edit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::config::{Directive, Document, EditError, Editor, Place, Spot, load};

fuzz_target!(|bytes: &[u8]| {
    let loaded = load(bytes);
    assert_eq!(loaded.document.as_bytes(), bytes);
    let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
    assert_eq!(loaded.config.is_none(), refused);
    for diagnostic in &loaded.diagnostics {
        assert!(diagnostic.span.end <= bytes.len());
        let _ = loaded.document.position(diagnostic.span.start);
    }

    edit(bytes);

    let mut document = Document::parse(bytes);
    if document.set_global(Directive::SerialNo, "1").is_err() {
        assert_eq!(document.as_bytes(), bytes);
    } else if let Some(config) = loaded.config {
        let edited = load(document.as_bytes()).config.expect("an edit keeps a good file good");
        assert_eq!(edited.virtuals.len(), config.virtuals.len());
    }
});

/// Edits of whole blocks, as the bytes say: a file whose blocks are in order stays so, and an edit
/// that is refused changes nothing.
fn edit(bytes: &[u8]) {
    const NAMES: [&str; 4] = ["a", "web", "b c", "#"];
    let mut document = Document::parse(bytes);
    let Ok(mut editor) = document.edit() else {
        return;
    };
    for pair in bytes.chunks_exact(2).take(32) {
        let (name, other) = (NAMES[usize::from(pair[1] & 3)], NAMES[usize::from(pair[1] >> 2 & 3)]);
        let service = Place::virtual_service(name);
        let place = if pair[1] & 16 == 0 { service } else { service.server(other) };
        let _refused = one(&mut editor, place, other, pair[0]);
    }
    editor.apply();
    let edited = document.to_bytes();
    if let Ok(again) = document.edit() {
        again.apply();
    }
    assert_eq!(document.as_bytes(), edited);
}

fn one(editor: &mut Editor<'_>, place: Place<'_>, other: &str, kind: u8) -> Result<(), EditError> {
    match kind % 7 {
        0 | 1 => editor.add(place),
        2 => editor.remove(place),
        3 => editor.rename(place, other),
        4 => editor.move_to(place, Spot::Before(other)),
        5 => editor.unset(place, Directive::Active).map(|_| ()),
        _ => editor.set(place, Directive::Active, "1"),
    }
}

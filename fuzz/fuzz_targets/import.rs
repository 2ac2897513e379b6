//! Configurations of other programs: any bytes are expressed as something that reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::config::import::{Given, Source, import};
use piranha::config::load;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let source = match first % 3 {
        0 => Source::Keepalived,
        1 => Source::Ldirectord,
        _ => Source::Ipvsadm,
    };
    let given = Given { primary: Some([192, 0, 2, 11].into()), ..Given::default() };
    let Ok(imported) = import(source, text, &given) else { return };
    let found = load(imported.document.as_bytes()).diagnostics;
    assert!(!found.iter().any(|d| d.code.as_str() < "E0300"), "{}", imported.document);
});

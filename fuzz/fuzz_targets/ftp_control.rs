//! An FTP control connection, both directions, cut up anyhow: no panic, bounded memory, and no
//! active transfer to anybody but the client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::ipvs::relay::ftp::{Action, Control, MAX_LINE};

fuzz_target!(|talk: Vec<(bool, Vec<u8>)>| {
    let client = [192, 0, 2, 7].into();
    let ours = ([192, 0, 2, 80], 2121).into();
    let mut control = Control::new(client);
    for (from_client, bytes) in &talk {
        let actions =
            if *from_client { control.from_client(bytes) } else { control.from_server(bytes) };
        for action in actions {
            match action {
                Action::Forward(_) => {}
                Action::Passive(reply) => {
                    let line = reply.rewritten(ours);
                    assert!(line.len() <= 2 * MAX_LINE && line.ends_with(b"\n"));
                }
                Action::Active(command) => {
                    assert_eq!(command.address().ip(), client);
                    assert!(command.address().port() >= 1024);
                }
                Action::Answer(reply) => assert!(reply.starts_with(b"50")),
            }
        }
    }
    let held = control.finish_client().len() + control.finish_server().len();
    assert!(held <= 2 * MAX_LINE);
});

//! What the kernel writes into the socket options, from any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::ipvs::ServiceKey;
use piranha::ipvs::kernel::{OptionCall, OptionOutcome, Reply, Request};

fuzz_target!(|input: (u8, u16, Vec<u8>)| {
    let (which, length, bytes) = input;
    let key = ServiceKey::tcp(([192, 0, 2, 1], 80).into());
    let request = match which % 6 {
        0 => Request::ListServices,
        1 => Request::ListDestinations(key),
        2 => Request::ListDaemons,
        3 => Request::GetService(key),
        4 => Request::GetTimeouts,
        _ => Request::GetInfo,
    };
    let Some(OptionOutcome::Done { result: Ok(replies), .. }) =
        written(&request, &bytes, length.into())
    else {
        return;
    };
    for reply in replies {
        what_was_read_can_be_written(reply, key);
    }
});

/// What the call leads to when the kernel writes `bytes` and says that `length` are the answer.
fn written<'a>(request: &'a Request, bytes: &[u8], length: usize) -> Option<OptionOutcome<'a>> {
    let mut call = OptionCall::new(request).ok()?;
    for (to, from) in call.value_mut().iter_mut().zip(bytes) {
        *to = *from;
    }
    Some(call.finish(Ok(length)))
}

fn what_was_read_can_be_written(reply: Reply, key: ServiceKey) {
    match reply {
        Reply::Service(status) if status.exact => {
            let add = Request::AddService(status.service.clone());
            let entry = OptionCall::new(&add).expect("IPv4").value().to_vec();
            let get = Request::GetService(status.service.key());
            let again = written(&get, &entry, 104).expect("IPv4");
            assert!(matches!(again, OptionOutcome::Done { result: Ok(r), .. }
                if matches!(&r[..], [Reply::Service(s)] if s.service == status.service)));
        }
        Reply::Destination(status) if status.exact => {
            let add = Request::AddDestination(key, status.destination);
            assert_eq!(OptionCall::new(&add).expect("IPv4").value().len(), 68);
        }
        _ => {}
    }
}

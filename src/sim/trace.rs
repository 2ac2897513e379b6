//! Steps in one line each, for whoever reads a failing seed.

use crate::failover::Output;
use crate::wire::pulse::Magic;

use super::cluster::Input;

pub(super) fn show(input: &Input) -> String {
    match input {
        Input::Datagram(datagram) => format!(
            "hears path {}{}: {}",
            datagram.path,
            if datagram.worthless { " (worthless)" } else { "" },
            show_datagram(&datagram.bytes)
        ),
        Input::Timeout
        | Input::Completion(..)
        | Input::Command(_)
        | Input::DataPlane(_)
        | Input::Guards(_)
        | Input::Warmth(_) => format!("{input:?}"),
    }
}

pub(super) fn show_all(outputs: &[Output]) -> String {
    let shown: Vec<String> = outputs
        .iter()
        .map(|output| match output {
            Output::Send { path, payload } => {
                format!("send path {}: {}", path.0, show_datagram(payload))
            }
            Output::Transition(change) => {
                format!("{} to {} ({})", change.from, change.to, change.cause)
            }
            Output::Acquire { .. }
            | Output::Release { .. }
            | Output::Announce { .. }
            | Output::Declined { .. } => format!("{output:?}"),
        })
        .collect();
    shown.join("; ")
}

/// The fields that decide, at their places in the layout.
fn show_datagram(bytes: &[u8]) -> String {
    match bytes {
        [_, _, _, _] => format!("{:?}", Magic::decode(bytes)),
        _ if bytes.len() > 71 => format!(
            "state {} counter {} echo {} step {} id {}",
            bytes[7], bytes[31], bytes[47], bytes[62], bytes[71]
        ),
        _ => format!("{} bytes", bytes.len()),
    }
}

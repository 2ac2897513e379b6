//! What ipvsadm says about the kernel's refusals.

use std::io;

use crate::ipvs::kernel::Request;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const ENOMEM: i32 = 12;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const EMSGSIZE: i32 = 90;
const ENOPROTOOPT: i32 = 92;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;

/// The original's words for `error`, which the kernel gave to `request`.
#[must_use]
pub fn refusal(request: &Request, error: &io::Error) -> String {
    let number = error.raw_os_error();
    let specific = number.and_then(|number| specific(request, number));
    specific.map_or_else(|| general(error), str::to_owned)
}

const fn specific(request: &Request, number: i32) -> Option<&'static str> {
    Some(match (request, number) {
        (Request::AddService(_), EEXIST) => "Service already exists",
        (Request::AddService(_) | Request::EditService(_), ENOENT) => {
            "Scheduler or persistence engine not found"
        }
        (
            Request::EditService(_)
            | Request::RemoveService(_)
            | Request::Zero(_)
            | Request::GetService(_),
            ESRCH,
        ) => "No such service",
        (
            Request::AddDestination(..)
            | Request::EditDestination(..)
            | Request::RemoveDestination(..),
            ESRCH,
        ) => "Service not defined",
        (Request::AddDestination(..), EEXIST) => "Destination already exists",
        (Request::EditDestination(..) | Request::RemoveDestination(..), ENOENT) => {
            "No such destination"
        }
        (Request::StartDaemon(_), EEXIST) => "Daemon has already run",
        (Request::StopDaemon(_), ESRCH) => "No daemon is running",
        _ => return None,
    })
}

/// The words for `error` whatever was asked.
#[must_use]
pub fn general(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(EPERM) => "Permission denied (you must be root)".to_owned(),
        Some(EINVAL) => {
            "Invalid operation.  Possibly wrong module version, address not unicast, ...".to_owned()
        }
        Some(ENOPROTOOPT) => "Protocol not available".to_owned(),
        Some(ENOMEM) => "Memory allocation problem".to_owned(),
        Some(EOPNOTSUPP) => "Operation not supported with IPv6".to_owned(),
        Some(EAFNOSUPPORT) => "Operation not supported with specified address family".to_owned(),
        Some(EMSGSIZE) => "Module is wrong version".to_owned(),
        Some(number) => without_number(&error.to_string(), number),
        None => error.to_string(),
    }
}

fn without_number(text: &str, number: i32) -> String {
    let suffix = format!(" (os error {number})");
    text.strip_suffix(&suffix).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::ServiceKey;

    #[test]
    fn a_refusal_has_the_words_that_scripts_look_for() {
        let key = ServiceKey::tcp("10.0.0.1:80".parse().unwrap());
        let say =
            |request: &Request, number| refusal(request, &io::Error::from_raw_os_error(number));
        let remove = Request::RemoveService(key);
        assert_eq!(say(&remove, ESRCH), "No such service");
        assert_eq!(say(&remove, EPERM), "Permission denied (you must be root)");
        assert_eq!(say(&remove, 34), "Numerical result out of range");
        let server = Request::RemoveDestination(key, "10.0.0.2:80".parse().unwrap());
        assert_eq!(say(&server, ESRCH), "Service not defined");
        assert_eq!(say(&server, ENOENT), "No such destination");
    }
}

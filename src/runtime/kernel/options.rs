//! The older interface, for where netlink is refused.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::Namespace;
use super::answers::Answer;
use crate::ipvs::kernel::{OptionCall, OptionOutcome, Request};
use crate::runtime::sys;

/// A socket whose options reach IPVS.
#[derive(Debug)]
pub(super) struct Options {
    socket: OwnedFd,
    inexpressible: u64,
}

impl Options {
    /// A socket in `namespace`, if the kernel grants us its IPVS by such a one.
    pub(super) fn granted(namespace: &Namespace) -> Option<Self> {
        // Any kind of IPv4 socket does; this one takes no privilege of its own.
        let open =
            || socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let socket = namespace.run(open).ok()?.ok()?;
        let mut options = Self { socket, inexpressible: 0 };
        options.ask(&Request::GetInfo).is_ok().then_some(options)
    }

    /// Asks `request`, which the kernel answers at once.
    pub(super) fn ask(&mut self, request: &Request) -> Answer {
        let mut call = OptionCall::new(request)?;
        loop {
            let returned = self.call(&mut call).map_err(|error| number(&error));
            match call.finish(returned) {
                OptionOutcome::Again(next) => call = next,
                OptionOutcome::Done { result, inexpressible } => {
                    self.inexpressible += inexpressible;
                    return result;
                }
            }
        }
    }

    /// Entries the model cannot name, left out of listings so far.
    pub(super) const fn inexpressible(&self) -> u64 {
        self.inexpressible
    }

    fn call(&self, call: &mut OptionCall<'_>) -> io::Result<usize> {
        let name = call.name();
        if call.is_get() {
            sys::get_ipvs_option(&self.socket, name, call.value_mut())
        } else {
            sys::set_ipvs_option(&self.socket, name, call.value()).map(|()| 0)
        }
    }
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())
}

//! The running kernel.

use std::io;

use super::kernel::Kernel;
use crate::ipvs::ServiceKey;
use crate::ipvs::kernel::{Connection, Daemon, Info, KernelError, Reason, Request, Timeouts};
use crate::runtime::kernel::{Client, Listed, Namespace, load_module};

const ENOPROTOOPT: i32 = 92;

/// The IPVS of the kernel that runs, in the network namespace of the calling thread.
#[derive(Debug)]
pub struct Linux {
    client: Client,
}

impl Linux {
    /// Reaches it, and loads the module `ip_vs` if it is not there.
    ///
    /// # Errors
    /// The operating system's; `ENOPROTOOPT` if there is no IPVS and no module for it.
    pub fn open() -> io::Result<Self> {
        let mut client = Client::new().map_err(errno)?;
        match client.info() {
            Ok(_) => return Ok(Self { client }),
            Err(error) if *error.reason() == Reason::NoIpvs => {}
            Err(error) => return Err(errno(error)),
        }
        let loaded = load_module();
        let mut client = Client::new().map_err(errno)?;
        match client.info() {
            Ok(_) => Ok(Self { client }),
            Err(error) if *error.reason() == Reason::NoIpvs || loaded.is_err() => {
                Err(io::Error::from_raw_os_error(ENOPROTOOPT))
            }
            Err(error) => Err(errno(error)),
        }
    }
}

impl Kernel for Linux {
    fn info(&mut self) -> io::Result<Info> {
        self.client.info().map_err(errno)
    }

    fn services(&mut self) -> io::Result<Vec<Listed>> {
        self.client.list().map_err(errno)
    }

    fn service(&mut self, key: ServiceKey) -> io::Result<Listed> {
        let service = self.client.service(key).map_err(errno)?;
        let listed = self.client.list_destinations(vec![service]);
        let listed = listed.map_err(errno)?.into_iter().next();
        listed.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn apply(&mut self, changes: &[Request]) -> Vec<io::Result<()>> {
        match self.client.run(changes.to_vec()) {
            Ok(answers) => {
                let result = |answer: Result<_, KernelError>| answer.map(|_| ()).map_err(errno);
                answers.into_iter().map(result).collect()
            }
            Err(error) => {
                let result = |_| Err(errno(error.clone()));
                changes.iter().map(result).collect()
            }
        }
    }

    fn timeouts(&mut self) -> io::Result<Timeouts> {
        self.client.timeouts().map_err(errno)
    }

    fn daemons(&mut self) -> io::Result<Vec<Daemon>> {
        let mut daemons = self.client.daemons().map_err(errno)?;
        daemons.sort_by_key(Daemon::role);
        Ok(daemons)
    }

    fn connections(&mut self) -> io::Result<Vec<Connection>> {
        Namespace::current().connections()
    }
}

/// The kernel's number where it gave one, which messages go by; else the error itself.
fn errno(error: KernelError) -> io::Error {
    match error.errno() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error),
    }
}

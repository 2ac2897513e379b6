use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::output;
use crate::cli::Failure;
use crate::config::Start;

/// `piranha config init`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Init {
    /// Public address of the primary director.
    #[arg(long, value_name = "ADDRESS")]
    primary: Option<IpAddr>,
    /// Public address of the backup director.
    #[arg(long, value_name = "ADDRESS")]
    backup: Option<IpAddr>,
    /// VIP and port of the first service, such as 192.0.2.80:80.
    #[arg(long, value_name = "ADDRESS:PORT")]
    vip: Option<SocketAddr>,
    /// Device that gets the VIP.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// A real server, such as 10.0.0.21:80; may be repeated.
    #[arg(long = "server", value_name = "ADDRESS:PORT")]
    servers: Vec<SocketAddr>,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long, requires = "output")]
    force: bool,
}

impl Init {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let start = Start {
            primary: self.primary,
            backup: self.backup,
            vip: self.vip,
            device: self.device,
            servers: self.servers,
        };
        let document = start.document()?;
        output::deliver(self.output.as_deref(), self.force, document.as_bytes())?;
        Ok(0)
    }
}

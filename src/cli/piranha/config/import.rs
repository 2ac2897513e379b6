use std::net::IpAddr;
use std::path::PathBuf;

use super::input::Input;
use super::output;
use crate::cli::Failure;
use crate::config::import::{Given, Imported, Source, import};

/// The exit code where something of the other file is missing.
const INCOMPLETE: u8 = 3;

/// `piranha config import`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Import {
    /// What the file is written for: keepalived, ldirectord or ipvsadm (the output of
    /// `ipvsadm -Sn`). Found out from the file unless given.
    #[arg(long, value_name = "PROGRAM")]
    from: Option<Source>,
    /// The other configuration; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Public address of the primary director.
    #[arg(long, value_name = "ADDRESS")]
    primary: Option<IpAddr>,
    /// Public address of the backup director.
    #[arg(long, value_name = "ADDRESS")]
    backup: Option<IpAddr>,
    /// Device for VIPs that have none, eth0 unless given.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// VIP for services by firewall mark; may be repeated, once for each address family.
    #[arg(long = "vip", value_name = "ADDRESS")]
    vips: Vec<IpAddr>,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long, requires = "output")]
    force: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let input = Input::read(&self.file)?;
        let source = self.from.or_else(|| Source::detect(&input.bytes)).ok_or_else(|| {
            Failure::new(format!("cannot tell what {} is written for: use --from", input.name))
        })?;
        let given = Given {
            primary: self.primary,
            backup: self.backup,
            device: self.device,
            vips: self.vips,
        };
        let imported = import(source, &input.bytes, &given)
            .map_err(|error| Failure::new(format!("{}: {error}", input.name)))?;
        output::deliver(self.output.as_deref(), self.force, imported.document.as_bytes())?;
        report(&input.name, &imported);
        Ok(if imported.is_complete() { 0 } else { INCOMPLETE })
    }
}

fn report(name: &str, imported: &Imported) {
    for remark in &imported.remarks {
        eprintln!("{name}: {remark}");
    }
    if !imported.is_complete() {
        eprintln!("piranha: not all of {name} is expressed: see the lines above");
    }
}

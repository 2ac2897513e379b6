use std::path::{Path, PathBuf};

use serde_json::json;

use super::input::Input;
use crate::cli::ipvsadm::save::command_line;
use crate::cli::piranha::{print, print_json};
use crate::cli::{CONFIG_FILE, Failure};
use crate::config::{Change, Config, Section, difference};
use crate::control::whole_table;
use crate::ipvs::kernel::Request;
use crate::ipvs::{Capabilities, plan};
use crate::runtime::kernel::Client;

/// `piranha config diff`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Diff {
    /// The configuration before; - is standard input. With --running, the only one.
    #[arg(value_name = "BEFORE")]
    before: Option<PathBuf>,
    /// The configuration after.
    #[arg(value_name = "AFTER", conflicts_with = "running", required_unless_present = "running")]
    after: Option<PathBuf>,
    /// Compare the kernel's table with the one the configuration asks for.
    ///
    /// Services and servers are compared with the kernel's IPVS, each server at its full weight:
    /// one that is taken out or quiesced for its health shows as a difference. Heartbeats, checks
    /// and the relay are not compared. Services of the kernel that the configuration does not
    /// name are not shown: they may belong to somebody else.
    #[arg(long)]
    running: bool,
    /// Print JSON.
    #[arg(long, short)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let before = self.before.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
        match &self.after {
            Some(after) => self.show(&difference(&settings(&before)?, &settings(after)?)),
            None => self.running(&Input::read(&before)?.config()?),
        }
    }

    fn show(&self, changes: &[Change]) -> Result<u8, Failure> {
        if self.json {
            let one = |change: &Change| json!({ "change": change, "text": change.to_string() });
            print_json(&Vec::from_iter(changes.iter().map(one)).into())?;
        } else {
            print(changes.iter().map(|change| format!("{change}\n")).collect::<String>())?;
        }
        Ok(u8::from(!changes.is_empty()))
    }

    fn running(&self, config: &Config) -> Result<u8, Failure> {
        let desired = whole_table(config);
        let mut client = Client::new()?;
        let mut observed = client.table()?;
        let theirs: Vec<_> = observed.iter().map(|entry| entry.service().key()).collect();
        for key in theirs.iter().filter(|key| desired.get(key).is_none()) {
            observed.remove(key);
        }
        let ops = plan(&desired, &observed, &Capabilities::everything())?;
        let lines: Vec<_> = ops.iter().map(|op| command_line(&Request::from(op))).collect();
        if self.json {
            print_json(&json!({ "compared": "kernel", "commands": lines }))?;
        } else {
            eprintln!(
                "piranha: the kernel's IPVS table beside that of the file with all servers up; \
                 these commands of ipvsadm would make it the same"
            );
            print(lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        }
        Ok(u8::from(!lines.is_empty()))
    }
}

fn settings(path: &Path) -> Result<Section, Failure> {
    Ok(Input::read(path)?.settings()?.1)
}

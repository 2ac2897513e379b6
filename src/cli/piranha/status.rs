//! `piranha status`

use clap::Args;

use super::place::Place;
use super::print_json;
use crate::cli::{Failure, on_one_thread};
use crate::runtime::control;

/// Say whether the pair is healthy and would fail over, and what it does.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    place: Place,
    /// As JSON.
    #[arg(short, long)]
    json: bool,
}

impl Status {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let status = control::status(&self.place.directory(), true, None).await;
            print_json(&serde_json::to_value(&status)?)?;
            Ok(0)
        })
    }
}

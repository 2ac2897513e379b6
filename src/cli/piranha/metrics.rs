//! `piranha metrics`

use clap::Args;

use super::place::Place;
use super::print;
use crate::cli::{Failure, on_one_thread};
use crate::control::metrics::{Format, render};

/// The exit code where nobody answers.
const NOTHING_RUNS: u8 = 3;

/// Print the metrics of this node, as Prometheus reads them.
///
/// Exit codes: 0 the director runs, 3 neither daemon answers.
#[derive(Debug, Args)]
pub(super) struct Metrics {
    #[command(flatten)]
    place: Place,
    /// As OpenMetrics instead of Prometheus' text format.
    #[arg(long, conflicts_with = "json")]
    openmetrics: bool,
}

impl Metrics {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let scene = self.place.scene().await;
            let status = &scene.status;
            let answered = status.pulse.known().is_some() || status.lvs.known().is_some();
            if self.place.json {
                let counters = serde_json::json!({ "pulse": scene.pulse, "lvs": scene.lvs });
                super::print_json(&counters)?;
            } else {
                let format = if self.openmetrics { Format::OpenMetrics } else { Format::Text };
                print(render(&scene, format))?;
            }
            Ok(if answered { 0 } else { NOTHING_RUNS })
        })
    }
}

//! The command line of `nanny agent`.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};

use crate::health::LoadMonitor;
use crate::runtime::agent::{Meter, Prefix, Settings, sample, serve};

/// Tell directors how much a real server can still take, and whether it should get connections.
///
/// Runs on the real server. Whoever connects gets one line of HAProxy's agent-check protocol, such
/// as `75% ready up`. It stays in the foreground and writes a line for each event to standard
/// output. SIGUSR1 drains the server, SIGUSR2 makes it ready and up whatever else says, SIGHUP
/// leaves it to the file and the program again, SIGTERM and SIGINT stop.
#[derive(Debug, Parser)]
#[command(name = "nanny agent", bin_name = "nanny agent", version)]
struct Args {
    /// Port to listen on
    #[arg(short, long, default_value_t = LoadMonitor::PORT)]
    port: u16,
    /// Address to listen on, may be given several times [default: all]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<IpAddr>,
    /// Address or prefix that may ask, may be given several times [default: everybody]
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    allow: Vec<Prefix>,
    /// What is taken for the load
    #[arg(long, value_enum, default_value_t = Measure::Average)]
    measure: Measure,
    /// Program whose last number is the load, instead of --measure
    #[arg(long, value_name = "COMMAND", conflicts_with = "measure")]
    command: Option<String>,
    /// Number of connections, or of --command, at which the server is full
    #[arg(long, value_name = "NUMBER")]
    full: Option<f64>,
    /// Time from one measurement to the next, and the time a program may take
    #[arg(short = 't', long, value_name = "TIME", default_value = "5", value_parser = super::time)]
    interval: Duration,
    /// Program that says with status 0 that the server is fit
    #[arg(long, value_name = "COMMAND")]
    ready_command: Option<String>,
    /// File that drains the server while it exists
    #[arg(long, value_name = "FILE")]
    drain_file: Option<PathBuf>,
    /// Leave `ready` out, so that a drain at HAProxy's own console is not undone
    #[arg(long)]
    no_ready: bool,
    /// Print the line once and exit
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Measure {
    /// The 1-minute load average for each processor
    Average,
    /// Processor time in use
    Cpu,
    /// TCP sockets in use, of those in --full
    Connections,
}

/// `nanny agent`, from its arguments to the exit status.
pub(super) fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let args = Args::parse_from(arguments);
    let once = args.once;
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(problem) => Args::command().error(ErrorKind::ValueValidation, problem).exit(),
    };
    match run(settings, once) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if even this fails.
            let _ = writeln!(io::stderr(), "nanny: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings, once: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if once {
        let report = runtime.block_on(sample(&settings));
        return writeln!(io::stdout(), "{report}");
    }
    if settings.allowed.is_open() {
        writeln!(io::stderr(), "nanny: without --allow everybody may ask this agent")?;
    }
    runtime.block_on(serve(settings, |event| writeln!(io::stdout(), "{event}")))
}

impl Args {
    fn settings(self) -> Result<Settings, String> {
        let mut settings = Settings::new(self.port);
        settings.meter = self.meter()?;
        if self.interval.is_zero() {
            return Err("--interval must be above 0".to_owned());
        }
        let address = |&ip| SocketAddr::new(ip, self.port);
        settings.addresses = self.listen.iter().map(address).collect();
        settings.allowed = self.allow.into_iter().collect();
        settings.interval = self.interval;
        settings.readiness = self.ready_command.as_deref().map(split).transpose()?;
        settings.drain_file = self.drain_file;
        settings.says_ready = !self.no_ready;
        Ok(settings)
    }

    fn meter(&self) -> Result<Meter, String> {
        if self.full.is_some_and(|full| !(1e-6..=1e9).contains(&full)) {
            return Err("--full must be between 0.000001 and 1000000000".to_owned());
        }
        match (&self.command, self.measure, self.full) {
            (Some(command), _, full) => Ok(Meter::Command(split(command)?, full.unwrap_or(1.0))),
            (None, Measure::Connections, Some(full)) => whole(full).map(Meter::Connections),
            (None, Measure::Connections, None) => {
                Err("--measure connections needs --full with their number".to_owned())
            }
            (None, _, Some(_)) => {
                Err("--full goes with --measure connections or --command".to_owned())
            }
            (None, Measure::Average, None) => Ok(Meter::Average),
            (None, Measure::Cpu, None) => Ok(Meter::Processors),
        }
    }
}

fn whole(full: f64) -> Result<u32, String> {
    let number = format!("{full:.0}").parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| "--full must be a number of connections".to_owned())
}

/// A command without a shell: split at blanks.
fn split(command: &str) -> Result<Vec<String>, String> {
    let words: Vec<_> = command.split_ascii_whitespace().map(str::to_owned).collect();
    if words.is_empty() { Err("a command has nothing in it".to_owned()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(line: &str) -> Result<Meter, String> {
        let words = std::iter::once("agent").chain(line.split_whitespace());
        Args::try_parse_from(words).unwrap().meter()
    }

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_full_goes_with_what_has_a_bound() {
        assert_eq!(meter(""), Ok(Meter::Average));
        assert_eq!(meter("--measure cpu"), Ok(Meter::Processors));
        let connections = meter("--measure connections --full 500");
        assert_eq!(connections, Ok(Meter::Connections(500)));
        let command = Meter::Command(vec!["probe".to_owned()], 1.0);
        assert_eq!(meter("--command probe"), Ok(command));
        for refused in ["--full 5", "--measure connections", "--command probe --full 0"] {
            assert!(meter(refused).is_err(), "{refused}");
        }
        assert!(meter("--command probe --full NaN").is_err());
    }
}

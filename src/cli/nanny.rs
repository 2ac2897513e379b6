//! nanny's command line.

mod agent;
mod directives;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser};

use crate::health::{
    Check, CheckPath, CheckSpec, Expect, HttpSpec, LoadFormula, LoadMonitor, LoadSource,
    MonitorConfig, ProgramSpec, SlowStart, decode_escapes, rise_from_reentry,
};
use crate::net::{FirewallMark, Protocol, Weight};
use crate::runtime::checks::{self, Dialer, Transcript};
use crate::runtime::nanny::{Event, Partner, Settings, Table, once, run, service, watch_partner};
use crate::runtime::privileges::{self, Duty, Programs};

/// Check one real server, and tell when it should take connections and when not.
///
/// Without --send_string and --expect_string, port 80 gets an HTTP check and any other a check
/// that a connection can be made. nanny runs in the foreground and writes a line for each event
/// to standard output; with --ipvsadm it also keeps the server in the IPVS table. SIGUSR1 forces the server down, SIGUSR2 up, SIGHUP leaves it to the checks
/// again, SIGTERM and SIGINT stop. Times are in seconds, or have a unit: 500ms, 2s, 3m.
#[derive(Debug, Parser)]
#[command(
    name = "nanny",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = "On a real server `nanny agent` tells directors of its load: see nanny agent --help.\n\n\
                  Exit status: 0 when stopped by a signal, or with --once if the check passed; \
                  1 with --once if it failed, or on an error; 2 on a wrong command line."
)]
struct Args {
    /// Address of the server, IPv4 or IPv6
    #[arg(short = 'h', long, value_name = "ADDRESS")]
    server: IpAddr,
    /// Port of the virtual service
    #[arg(short, long, default_value_t = 80, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Port of the server [default: the port of the virtual service]
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    rport: Option<u16>,
    /// Time from one check to the next
    #[arg(short = 't', long, value_name = "TIME", default_value = "10", value_parser = time)]
    interval: Duration,
    /// Time a check may take [default: the interval]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Time of passed checks it takes to come back
    #[arg(short = 'a', long, value_name = "TIME", default_value = "180", value_parser = time)]
    reentrytime: Duration,
    /// Passed checks in a row it takes to come back, instead of --reentrytime
    #[arg(long, value_name = "CHECKS")]
    rise: Option<u32>,
    /// Failed checks in a row it takes to be shut down
    #[arg(long, value_name = "CHECKS", default_value_t = 1)]
    fall: u32,
    /// Text to send; knows the escapes \r \n \t \\ \' \"
    #[arg(short, long = "send_string", value_name = "TEXT", allow_hyphen_values = true)]
    send: Option<String>,
    /// Text the answer must begin with, same escapes; * for any answer
    #[arg(short = 'x', long = "expect_string", value_name = "TEXT", allow_hyphen_values = true)]
    expect: Option<String>,
    /// The expected text is a regular expression that must match the answer somewhere
    #[arg(long, requires = "expect")]
    regex: bool,
    /// Check over UDP; an answer is needed then
    #[arg(short, long)]
    udp: bool,
    /// A failed server would stay in the table with weight 0
    #[arg(short, long = "quiesce_server")]
    quiesce: bool,
    /// Full weight of the server
    #[arg(short, long, default_value = "1", value_parser = weight)]
    weight: Weight,
    /// Keep the server in the IPVS table with this ipvsadm; needs --virtaddress or --fwmark
    #[arg(short = 'I', long, value_name = "FILE")]
    ipvsadm: Option<PathBuf>,
    /// Address of the virtual service
    #[arg(short = 'V', long, value_name = "ADDRESS")]
    virtaddress: Option<IpAddr>,
    /// Firewall mark of the virtual service
    #[arg(short, long, value_name = "MARK", value_parser = mark)]
    fwmark: Option<FirewallMark>,
    /// Forwarding method: g (direct routing), i (tunnelling) or m (NAT)
    #[arg(
        short = 'M',
        long,
        default_value = "m",
        allow_hyphen_values = true,
        value_parser = method
    )]
    method: char,
    /// Command that measures the load, for the weight: it gets the address of the server, and
    /// rsh or ssh run uptime there
    #[arg(short = 'U', long, value_name = "COMMAND", allow_hyphen_values = true)]
    loadcmd: Option<String>,
    /// How many times its weight a server may get by its load
    #[arg(short = 'S', long, value_name = "NUMBER", default_value_t = LoadFormula::SCALE)]
    scale: u32,
    /// Watch the service of a partner: exit 0 when it fails after it passed, 1 when it never passes
    #[arg(long, conflicts_with_all = ["lvs", "ipvsadm", "loadcmd"])]
    fos: bool,
    /// Program that checks instead; %h and %p stand for address and port
    #[arg(short = 'e', long = "send_program", value_name = "COMMAND", allow_hyphen_values = true)]
    program: Option<String>,
    /// Directive of lvs.cf about the check, such as check=https; may be given several times
    #[arg(
        long,
        value_name = "NAME=VALUE",
        conflicts_with_all = ["send", "expect", "regex", "program"]
    )]
    set: Vec<String>,
    /// Check once, print the result, and exit with 0 or 1
    #[arg(long)]
    once: bool,
    /// As --once, and print what was sent and what came; passwords are left out
    #[arg(long)]
    explain: bool,
    /// Print what would be done and exit
    #[arg(long = "test-start", visible_alias = "norun")]
    norun: bool,
    /// Print each check and each weight too
    #[arg(short, long)]
    verbose: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    _historical: Historical,
}

/// Options of Piranha's nanny that have no effect here.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Accepted for old command lines, without effect")]
struct Historical {
    /// nanny always stays in the foreground
    #[arg(short, long)]
    nodaemon: bool,
    /// Likewise
    #[arg(short = 'c', long)]
    nofork: bool,
    /// Checking for a virtual service is the only mode
    #[arg(long)]
    lvs: bool,
    /// There is nothing to suppress
    #[arg(short = 'T', long)]
    suppress: bool,
}

#[cfg(test)]
pub(super) fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// nanny, from the command line of this process to its exit status.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if std::env::args_os().nth(1).is_some_and(|first| first == "agent") {
        confine(Duty::Agent);
        // The subcommand is the program's name to its own command line.
        let _ = arguments.next();
        return agent::main(arguments);
    }
    let args = Args::parse_from(arguments);
    confine(Duty::Checker);
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(problem) => Args::command().error(ErrorKind::ValueValidation, problem).exit(),
    };
    match plan.carry_out() {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if even this fails.
            let _ = writeln!(io::stderr(), "nanny: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Before there is a second thread.
fn confine(duty: Duty) {
    if let Err(error) = privileges::confine(duty, Programs::Confined) {
        // A check without this is as good.
        let _ = writeln!(io::stderr(), "nanny: root's privileges stay with it: {error}");
    }
}

/// The command line, understood.
struct Plan {
    target: SocketAddr,
    spec: CheckSpec,
    check: Arc<dyn Check>,
    /// Where the check writes what it does, if that is to be shown.
    transcript: Option<Transcript>,
    warnings: String,
    monitor: MonitorConfig,
    table: Option<Table>,
    args: Args,
}

impl Args {
    fn plan(self) -> Result<Plan, String> {
        let protocol = if self.udp { Protocol::Udp } else { Protocol::Tcp };
        let target = SocketAddr::new(self.server, self.rport.unwrap_or(self.port));
        let (spec, path, warnings) = if self.set.is_empty() {
            (self.check_spec(), CheckPath::default(), String::new())
        } else {
            directives::read(&self.set, target, protocol)?
        };
        let transcript = self.explain.then(Transcript::default);
        let dialer = Dialer::new(path);
        let dialer = match &transcript {
            Some(transcript) => dialer.with_transcript(transcript.clone()),
            None => dialer,
        };
        let check = checks::build_with(&spec, protocol, &dialer);
        Ok(Plan {
            target,
            spec,
            check: check.map_err(|error| error.to_string())?.into(),
            transcript,
            warnings,
            monitor: self.monitor().map_err(|error| error.to_string())?,
            table: self.table(target, protocol)?,
            args: self,
        })
    }

    fn table(&self, target: SocketAddr, protocol: Protocol) -> Result<Option<Table>, String> {
        let Some(program) = &self.ipvsadm else {
            return Ok(None);
        };
        let known = service(self.fwmark, self.virtaddress, protocol, self.port, self.server);
        let service = known.ok_or("--ipvsadm (-I) needs --virtaddress (-V) or --fwmark (-f)")?;
        Ok(Some(Table::new(program.clone(), service, target, self.method)))
    }

    /// The load monitor of `--loadcmd`, which measures as often as there are checks.
    fn load(&self) -> Option<LoadMonitor> {
        let source = LoadSource::from_command(self.loadcmd.as_deref()?)?;
        let monitor = LoadMonitor::new(source).with_formula(LoadFormula::Historical);
        Some(monitor.with_interval(self.interval))
    }

    fn check_spec(&self) -> CheckSpec {
        if let Some(program) = self.program() {
            return CheckSpec::Program(program);
        }
        match (&self.send, &self.expect) {
            (None, None) if self.port == 80 && !self.udp => CheckSpec::Http(HttpSpec::default()),
            (send, expect) => {
                let send =
                    send.as_deref().map(|send| decode_escapes(send.as_bytes())).unwrap_or_default();
                let expect = self.expected(expect.as_deref().unwrap_or_default());
                if send.is_empty() && expect == Expect::Nothing && !self.udp {
                    CheckSpec::Connect
                } else {
                    CheckSpec::SendExpect { send, expect }
                }
            }
        }
    }

    /// The program of `--send_program`, which 0.8.6 prefers to `--send_string`.
    fn program(&self) -> Option<ProgramSpec> {
        let expect = match self.expected(self.expect.as_deref().unwrap_or_default()) {
            Expect::Prefix(text) => Expect::Exactly(text),
            expect => expect,
        };
        ProgramSpec::new(self.program.as_deref()?, expect)
    }

    fn expected(&self, text: &str) -> Expect {
        let decoded = decode_escapes(text.as_bytes());
        match text {
            "" => Expect::Nothing,
            _ if self.regex => Expect::Regex(String::from_utf8_lossy(&decoded).into_owned()),
            "*" => Expect::Anything,
            _ => Expect::Prefix(decoded),
        }
    }

    fn monitor(&self) -> Result<MonitorConfig, crate::net::OutOfRange> {
        let timeout = self.timeout.unwrap_or(self.interval);
        let rise = self.rise.unwrap_or_else(|| rise_from_reentry(self.reentrytime, self.interval));
        let config =
            MonitorConfig::new(self.interval, timeout)?.with_rise(rise)?.with_fall(self.fall)?;
        Ok(config
            .with_slow_start(SlowStart::Historical)
            .with_weight(self.weight)
            .with_quiesce(self.quiesce))
    }
}

impl Plan {
    fn carry_out(self) -> io::Result<ExitCode> {
        io::stderr().write_all(self.warnings.as_bytes())?;
        if self.args.norun {
            self.introduce()?;
            return Ok(ExitCode::SUCCESS);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if self.args.once || self.args.explain {
            return runtime.block_on(self.check_once());
        }
        if self.args.fos {
            return runtime.block_on(self.stand_by());
        }
        runtime.block_on(self.watch())?;
        Ok(ExitCode::SUCCESS)
    }

    fn introduce(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.args.send.is_none()
            && self.args.set.is_empty()
            && matches!(self.spec, CheckSpec::Http(_))
        {
            writeln!(out, "no monitor configured, assuming web service")?;
        }
        let (interval, rise) = (self.monitor.interval(), self.monitor.rise());
        let (target, kind) = (self.target, self.kind());
        writeln!(
            out,
            "checking {target} by {kind} every {interval:?}, re-entry after {rise} passed"
        )
    }

    fn kind(&self) -> String {
        let kind = self.spec.kind();
        match self.spec {
            CheckSpec::Connect | CheckSpec::SendExpect { .. } => {
                format!("{} {kind}", if self.args.udp { "UDP" } else { "TCP" })
            }
            _ => kind.to_owned(),
        }
    }

    async fn check_once(&self) -> io::Result<ExitCode> {
        let target = self.target;
        let result = once(target, self.check.as_ref(), self.monitor.timeout()).await;
        let code = match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
        let mut out = io::stdout().lock();
        for line in self.transcript.iter().flat_map(Transcript::lines) {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", Event::Checked(result).on(target))?;
        Ok(code)
    }

    async fn watch(&self) -> io::Result<()> {
        run(self.settings(), |event| self.tell(event)).await
    }

    async fn stand_by(&self) -> io::Result<ExitCode> {
        match watch_partner(&self.settings(), |event| self.tell(event)).await? {
            Partner::Stopped | Partner::Lost => Ok(ExitCode::SUCCESS),
            Partner::NeverSeen => {
                writeln!(io::stdout(), "{} never answered: triggering failover!", self.target)?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.target, Arc::clone(&self.check), self.monitor);
        settings.table.clone_from(&self.table);
        settings.load = self.args.load();
        settings.scale = self.args.scale;
        settings
    }

    fn tell(&self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started => self.introduce(),
            Event::Checked(_) | Event::Weight(_) if !self.args.verbose => Ok(()),
            event => writeln!(io::stdout(), "{}", event.on(self.target)),
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_not_a_number| {
        "expected a number of seconds, or such as 500ms, 2s, 3m".to_owned()
    })?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => Err(format!("unknown unit {unit}: use ms, s or m")),
    }
}

fn weight(text: &str) -> Result<Weight, String> {
    let number: u32 = text.parse().map_err(|_not_a_number| "expected a number".to_owned())?;
    Weight::new(number).map_err(|error| error.to_string())
}

fn mark(text: &str) -> Result<FirewallMark, String> {
    let number = text.parse().ok().and_then(FirewallMark::new);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

fn method(text: &str) -> Result<char, String> {
    match text.strip_prefix('-').unwrap_or(text) {
        "g" => Ok('g'),
        "i" => Ok('i'),
        "m" => Ok('m'),
        _ => Err("expected g (direct routing), i (tunnelling) or m (NAT)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("nanny").chain(line.split_whitespace());
        Args::try_parse_from(words).unwrap().plan()
    }

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_command_line_lvsd_wrote_is_understood() {
        let line = "-c -h 10.0.0.5 -p 25 -r 2525 -s quit -x 220 -q -a 15 -t 6 -w 3 \
                    -V 192.0.2.1 -M m --nodaemon --lvs";
        let understood = plan(line).unwrap();
        assert_eq!(understood.target, "10.0.0.5:2525".parse().unwrap());
        assert_eq!(understood.monitor.rise(), 2);
        assert_eq!(understood.monitor.timeout(), Duration::from_secs(6));
        assert!(understood.monitor.quiesce());
        assert!(understood.table.is_none() && understood.settings().load.is_none());
        let whole = plan(&format!("{line} -I /sbin/ipvsadm -U rup -S 5 -T")).unwrap();
        assert!(whole.table.is_some());
        assert_eq!((whole.settings().load.is_some(), whole.settings().scale), (true, 5));
    }

    #[test]
    fn the_kind_of_check_follows_from_what_is_given() {
        let kind = |line: &str| plan(line).unwrap().kind();
        assert_eq!(kind("-h 10.0.0.5"), "HTTP");
        assert_eq!(kind("-h 10.0.0.5 --expect_string="), "TCP connect");
        assert_eq!(kind("-h ::1 -p 81"), "TCP connect");
        assert_eq!(kind("-h ::1 -p 80 -x *"), "TCP send/expect");
        assert_eq!(kind("-h ::1 -u"), "UDP send/expect");
    }

    #[test]
    fn times_take_units() {
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(
            (time("2"), time("3m")),
            (Ok(Duration::from_secs(2)), Ok(Duration::from_secs(180)))
        );
        assert!(time("").is_err() && time("-1").is_err() && time("2h").is_err());
        assert!(plan("-h ::1 -t 0").is_err());
    }
}

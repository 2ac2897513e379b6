//! The story: what is done to the cluster, and what is promised of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use piranha::control::Event;
use piranha::failover::State;
use piranha::health::Health;
use rustix::process::Signal;

use crate::Result;
use crate::cluster::{Cluster, Mark};
use crate::ftp_client::{self, Fetching, Mode};
use crate::http_client::{self, Load};
use crate::ledger::{self, Ledger, PhaseSummary};
use crate::report::{PhaseShares, Promise, Report, Takeover};
use crate::stall::Watchdog;

/// Bytes a second of an FTP data connection: slow enough that a director dies in the middle.
pub(crate) const FTP_RATE: u64 = 2_000_000;

/// Clients that ask for pages, besides the prober.
const CLIENTS: usize = 6;
/// The time from one request of a client to its next.
const PACE: Duration = Duration::from_millis(20);
/// How long a client waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How far a server's share of the answers may be from its weight's, of 1.
const SHARE_TOLERANCE: f64 = 0.03;
/// What a takeover may take beyond the dead time.
const TAKEOVER_ALLOWANCE: Duration = Duration::from_millis(50);
/// The longest gap of a hand-over.
const HAND_OVER_ALLOWANCE: Duration = Duration::from_millis(20);

/// What the story is told with.
struct Stage<'a> {
    cluster: &'a Cluster,
    ledger: Arc<Ledger>,
    watchdog: Watchdog,
    speed: f64,
    report: Report,
}

/// Plays all acts on a cluster whose processes have been started.
pub(crate) fn tell(cluster: &Cluster, speed: f64) -> Result<Report> {
    let ledger = Arc::new(Ledger::new());
    let mut stage =
        Stage { cluster, ledger, watchdog: Watchdog::start()?, speed, report: Report::default() };
    cluster.wait_until_ready()?;
    let load = stage.send_clients()?;
    stage.calm()?;
    stage.server_dies()?;
    stage.server_returns()?;
    stage.server_drains()?;
    stage.director_dies()?;
    stage.director_returns()?;
    stage.hands_over()?;
    stage.ledger.end_phase();
    load.stop();
    stage.finish();
    Ok(stage.report)
}

impl Stage<'_> {
    fn send_clients(&self) -> Result<Load> {
        let settings = http_client::Settings {
            vip: self.cluster.web_vip(),
            clients: CLIENTS,
            pace: PACE,
            path: "/bytes/2000".to_owned(),
            timeout: CLIENT_TIMEOUT,
        };
        Ok(Load::start(&settings, &self.ledger)?)
    }

    fn calm(&mut self) -> Result<()> {
        let from = self.begin("all is well", "every server serves by its weight, FTP in each mode");
        let modes = [Mode::Passive, Mode::ExtendedPassive, Mode::Active, Mode::ExtendedActive];
        let transfers = modes.map(|mode| self.fetch(mode, 400_000));
        self.pause(Duration::from_millis(2000));
        self.judge_shares("all is well", from);
        for transfer in transfers {
            self.collect(transfer?)?;
        }
        self.no_failure("all is well");
        Ok(())
    }

    /// Connections to a server that is dead are tried elsewhere; only requests it was already
    /// working on are lost.
    fn server_dies(&mut self) -> Result<()> {
        self.begin("a server dies", "requests it was answering are lost, no others");
        let mark = self.cluster.mark();
        self.cluster.signal("s2", Signal::KILL, "a real server dies")?;
        for director in ["lb1", "lb2"] {
            self.cluster.wait_for_health(mark, director, "s2", Health::Down)?;
        }
        let taken_out = Instant::now();
        self.pause(Duration::from_millis(700));
        let answers = self.ledger.answers(taken_out, Instant::now());
        let phase = self.phase("a server dies");
        let failed = phase.clients.failed + phase.prober.failed;
        let in_flight = CLIENTS as u64 + 1;
        self.promise(
            "a dead server costs no more than the requests it was answering",
            failed <= in_flight,
            format!("{failed} failed"),
        );
        self.promise(
            "the others carry on",
            !answers.contains_key("s2") && answers.len() == 2,
            format!("answers from {answers:?}"),
        );
        Ok(())
    }

    fn server_returns(&mut self) -> Result<()> {
        self.begin("it comes back", "re-admitted after three good checks, then up to its weight");
        let mark = self.cluster.mark();
        self.cluster.start_web("s2")?;
        let full = self.weights().get("s2").copied().unwrap_or_default();
        for director in ["lb1", "lb2"] {
            self.wait_for_weight(mark, director, "s2", full)?;
        }
        let from = Instant::now();
        self.pause(Duration::from_millis(1000));
        self.judge_shares("it comes back", from);
        self.no_failure("it comes back");
        Ok(())
    }

    /// A server with weight 0 finishes what it has and gets nothing new.
    fn server_drains(&mut self) -> Result<()> {
        self.begin(
            "a server is drained",
            "weight 0 in lvs.cf and a reload; its connections end by themselves",
        );
        let slow: Vec<_> = (0..6).map(|_| self.ask_slowly()).collect();
        self.pause(Duration::from_millis(150));
        let mark = self.cluster.mark();
        self.cluster.files.set_weight("s3", 0)?;
        for director in ["lb1", "lb2"] {
            self.cluster.signal(director, Signal::HUP, "weight of s3 is 0 now")?;
        }
        self.wait_for_weight(mark, "lb1", "s3", 0)?;
        let quiesced = Instant::now();
        let slow: Vec<_> = slow.into_iter().map(|request| request.join()).collect();
        self.cluster.wait(
            mark,
            "lb1",
            "s3 is drained",
            |event| matches!(event, Event::Drained { server, .. } if server == "s3"),
        )?;
        self.pause(Duration::from_millis(300));
        // What was under way when the weight fell may still have ended after it.
        let settled = quiesced + Duration::from_millis(100);
        let late =
            self.ledger.answers(settled, Instant::now()).get("s3").copied().unwrap_or_default();
        let whole = slow.iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count();
        self.promise("a drained server gets nothing new", late == 0, format!("{late} answers"));
        self.promise(
            "what it was doing is finished",
            whole == slow.len(),
            format!("{whole} of {} slow requests answered", slow.len()),
        );
        self.no_failure("a server is drained");
        self.restore_weight()
    }

    fn restore_weight(&self) -> Result<()> {
        let mark = self.cluster.mark();
        let full = self.weights().get("s3").copied().unwrap_or_default();
        self.cluster.files.set_weight("s3", full)?;
        for director in ["lb1", "lb2"] {
            self.cluster.signal(director, Signal::HUP, "and back")?;
            self.wait_for_weight(mark, director, "s3", full)?;
        }
        Ok(())
    }

    fn director_dies(&mut self) -> Result<()> {
        let dead_time = self.cluster.files.dead_time();
        self.begin(
            "the active director dies",
            "SIGKILL; the backup has the VIP within the dead time",
        );
        let transfer = self.fetch_some(Mode::Passive, 4_000_000)?;
        let mark = self.cluster.mark();
        let from = self.cluster.signal("lb1", Signal::KILL, "the active director dies")?;
        self.cluster.wait_for_state(mark, "lb2", State::Active)?;
        self.pause(Duration::from_millis(1000));
        self.judge_gap("SIGKILL of the active director", from, dead_time + TAKEOVER_ALLOWANCE);
        let resumes = self.collect(transfer)?;
        self.promise(
            "the FTP transfer was cut and went on",
            resumes > 0,
            format!("{resumes} resumes"),
        );
        Ok(())
    }

    fn director_returns(&mut self) -> Result<()> {
        self.begin("the primary returns", "and stays standby: no failback unless asked for");
        let mark = self.cluster.mark();
        self.cluster.start_director("lb1")?;
        self.cluster.wait_for_state(mark, "lb1", State::Standby)?;
        for server in self.cluster.files.server_names() {
            self.cluster.wait_for_health(mark, "lb1", &server, Health::Up)?;
        }
        self.pause(Duration::from_millis(500));
        let moved = self.cluster.transitions(mark, "lb2");
        self.promise("the backup keeps the service", moved == 0, format!("{moved} transitions"));
        self.no_failure("the primary returns");
        Ok(())
    }

    fn hands_over(&mut self) -> Result<()> {
        self.begin("hand-over", "SIGUSR1 gives the primary its service back; connections go on");
        let transfer = self.fetch_some(Mode::ExtendedPassive, 4_000_000)?;
        let mark = self.cluster.mark();
        let from = self.cluster.signal("lb2", Signal::USR1, "hand over to lb1")?;
        self.cluster.wait_for_state(mark, "lb1", State::Active)?;
        self.cluster.wait_for_state(mark, "lb2", State::Standby)?;
        self.pause(Duration::from_millis(700));
        self.judge_gap("hand-over", from, HAND_OVER_ALLOWANCE);
        let resumes = self.collect(transfer)?;
        self.promise("the FTP transfer was not cut", resumes == 0, format!("{resumes} resumes"));
        Ok(())
    }

    fn finish(&mut self) {
        self.report.phases = self.ledger.phases();
        let forgotten = self.ledger.forgotten();
        self.promise(
            "every request is accounted for",
            forgotten == 0,
            format!("{forgotten} forgotten"),
        );
    }

    fn begin(&self, phase: &str, about: &str) -> Instant {
        self.cluster.tell(&format!("--- {phase}"), about);
        self.ledger.begin_phase(phase)
    }

    fn pause(&self, length: Duration) {
        thread::sleep(length.div_f64(self.speed));
    }

    fn fetch(&self, mode: Mode, size: u64) -> Result<Fetching> {
        let server = self.cluster.ftp_vip();
        let request = ftp_client::Request { server, mode, size, patience: Duration::from_secs(5) };
        Ok(Fetching::start(request)?)
    }

    /// Starts a transfer and waits until it is well under way.
    fn fetch_some(&self, mode: Mode, size: u64) -> Result<Fetching> {
        let transfer = self.fetch(mode, size)?;
        let deadline = Instant::now() + CLIENT_TIMEOUT;
        while transfer.bytes() < size / 8 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(transfer)
    }

    /// Waits for a transfer and keeps its report; returns how often it was taken up again.
    fn collect(&mut self, transfer: Fetching) -> Result<u32> {
        let file = transfer.finish()?;
        let resumes = file.resumes;
        self.report.files.push(file);
        Ok(resumes)
    }

    /// A request that takes its server most of a second.
    fn ask_slowly(&self) -> thread::JoinHandle<ledger::Outcome> {
        let vip = self.cluster.web_vip();
        thread::spawn(move || http_client::get(vip, "/slow/800", CLIENT_TIMEOUT))
    }

    fn wait_for_weight(&self, mark: Mark, director: &str, name: &str, full: u32) -> Result<()> {
        self.cluster.wait(mark, director, &format!("{name} has weight {full}"), |event| {
            matches!(event, Event::Weight { server, weight: Some(weight), .. }
                if server == name && weight.get() == full)
        })
    }

    fn weights(&self) -> BTreeMap<String, u32> {
        let servers = self.cluster.files.web().servers.iter();
        servers.map(|server| (server.name.clone(), server.weight.get())).collect()
    }

    fn judge_shares(&mut self, phase: &str, from: Instant) {
        let answers = self.ledger.answers(from, Instant::now());
        let servers = ledger::shares(&answers, &self.weights(), SHARE_TOLERANCE);
        self.report.shares.push(PhaseShares { phase: phase.to_owned(), servers });
    }

    fn judge_gap(&mut self, cause: &str, from: Instant, allowed: Duration) {
        let to = Instant::now();
        let gap = self.ledger.longest_gap(from, to);
        let stalls = gap.map(|gap| self.watchdog.between(gap.from, gap.to)).unwrap_or_default();
        self.report.takeovers.push(Takeover::judge(cause, gap, allowed, stalls));
    }

    fn phase(&self, name: &str) -> PhaseSummary {
        let phases = self.ledger.phases();
        phases.into_iter().rfind(|phase| phase.name == name).unwrap_or_else(PhaseSummary::empty)
    }

    fn no_failure(&mut self, phase: &str) {
        let summary = self.phase(phase);
        let failed = summary.clients.failed + summary.prober.failed;
        let what = format!("no request fails while {phase}");
        self.promise(&what, failed == 0, format!("{failed} failed {:?}", summary.reasons));
    }

    fn promise(&mut self, what: &str, held: bool, seen: impl Into<String>) {
        self.report.promises.push(Promise::new(what, held, seen));
    }
}

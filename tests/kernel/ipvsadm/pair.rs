//! Debian's ipvsadm and ours, each with a table of its own.

use std::fmt;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use piranha::cli::ipvsadm::kernel::Kernel;
use piranha::cli::ipvsadm::{Linux, Session, SystemNames};
use piranha::ipvs::Table;
use piranha::ipvs::kernel::{Daemon, DaemonRole, Timeouts};
use piranha::runtime::kernel::{Client, Namespace};

use crate::lab::{output, sh};

const THEIRS: &str = "/usr/sbin/ipvsadm";

/// A command line and what it reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) words: Vec<String>,
    pub(crate) input: String,
}

impl Step {
    pub(crate) fn new(line: &str) -> Self {
        Self { words: line.split_whitespace().map(str::to_owned).collect(), input: String::new() }
    }

    /// Whether it only reads, so that both can be asked about one table.
    fn reads(&self) -> bool {
        self.words.first().is_none_or(|first| {
            ["-L", "-l", "-S", "--list", "--save"].iter().any(|command| first.starts_with(command))
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipvsadm {}", self.words.join(" "))?;
        if self.input.is_empty() { Ok(()) } else { write!(f, " <<\n{}", self.input) }
    }
}

/// How the help and the version begin, which are each program's own.
const BANNER: &str = "ipvsadm v1.31";

/// What came of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// Without what always differs: the banner, and in a restore where the mistake is.
    fn without_our_own(mut self) -> Self {
        if let Some(banner) = self.out.find(BANNER) {
            self.out.truncate(banner + BANNER.len());
        }
        let lines = self.err.split_inclusive('\n');
        self.err = lines.filter(|line| !line.starts_with("  in line ")).collect();
        self
    }

    /// The order of far-apart addresses is a known difference.
    fn in_any_order(mut self) -> Self {
        let mut lines: Vec<&str> = self.out.split_inclusive('\n').collect();
        lines.sort_unstable();
        self.out = lines.concat();
        self
    }
}

/// All that a network namespace has of IPVS and this test compares.
#[derive(Debug, PartialEq)]
struct State {
    table: Table,
    timeouts: Timeouts,
    daemons: Vec<Daemon>,
}

/// The two namespaces `theirs` and `ours`, gone when this is dropped.
pub(crate) struct Pair {
    pub(crate) theirs: Namespace,
    pub(crate) ours: Namespace,
}

impl Pair {
    /// Both have the device `dum0` with 10.9.9.9 and fd00:9::9.
    pub(crate) fn new() -> Self {
        sh("for name in theirs ours; do
                ip netns add $name; ip -n $name link set lo up
                ip -n $name link add dum0 type dummy; ip -n $name link set dum0 up
                ip -n $name addr add 10.9.9.9/24 dev dum0
                ip -n $name addr add fd00:9::9/64 dev dum0 nodad
            done");
        let open = |name: &str| Namespace::open(format!("/run/netns/{name}")).unwrap();
        let pair = Self { theirs: open("theirs"), ours: open("ours") };
        pair.reset(&[]);
        pair
    }

    /// Makes both namespaces as fresh ones are, but for the services and servers that `lines` make.
    pub(crate) fn reset(&self, lines: &[&str]) {
        for namespace in [&self.theirs, &self.ours] {
            let mut client = Client::with_namespace(namespace.clone()).unwrap();
            client.danger_flush().unwrap();
            for role in [DaemonRole::Master, DaemonRole::Backup] {
                let _ = client.stop_daemon(role);
            }
            let [tcp, fin, udp] = [900, 120, 300].map(Duration::from_secs);
            client.set_timeouts(Timeouts::new(tcp, fin, udp)).unwrap();
            let input = lines.join("\n");
            let made = ours(namespace, &Step { input, ..Step::new("-R") });
            assert_eq!(made.code, 0, "{lines:?}: {}", made.err);
        }
    }

    /// Gives `step` to both; Debian's answer if ours is the same.
    pub(crate) fn answers(&self, step: &Step) -> Result<Answer, String> {
        let where_ours = if step.reads() { &self.theirs } else { &self.ours };
        let theirs = theirs(&self.theirs, step).without_our_own();
        let ours = ours(where_ours, step).without_our_own();
        alike(&step.to_string(), &theirs, &ours)?;
        Ok(theirs)
    }

    /// Both namespaces are the same, and the saved table is, whoever made it and whoever reads it.
    pub(crate) fn agree(&self, after: &str) -> Result<(), String> {
        alike(after, &state(&self.theirs), &state(&self.ours))?;
        let save = Step::new("-S -n");
        let saved = theirs(&self.theirs, &save).in_any_order();
        alike(after, &saved, &theirs(&self.ours, &save).in_any_order())?;
        alike(after, &saved, &ours(&self.theirs, &save).in_any_order())?;
        alike(after, &saved, &ours(&self.ours, &save).in_any_order())
    }

    /// Each tool lists what the other made.
    pub(crate) fn crosswise(&self, lists: &[&str]) -> Result<(), String> {
        lists.iter().try_for_each(|list| {
            let step = Step::new(list);
            alike(list, &theirs(&self.ours, &step), &ours(&self.theirs, &step))
        })
    }
}

fn alike<T: fmt::Debug + PartialEq>(what: &str, theirs: &T, ours: &T) -> Result<(), String> {
    if theirs == ours {
        return Ok(());
    }
    Err(format!("{what}\n--- Debian's\n{theirs:?}\n--- ours\n{ours:?}\n"))
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = output("ip netns del theirs; ip netns del ours");
    }
}

pub(crate) fn theirs(namespace: &Namespace, step: &Step) -> Answer {
    started(namespace, THEIRS, "ipvsadm", step)
}

/// Runs the program at `path` under a name.
pub(crate) fn started(namespace: &Namespace, path: &str, name: &str, step: &Step) -> Answer {
    let run = || {
        let mut command = Command::new(path);
        command.arg0(name).args(&step.words).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(step.input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = namespace.run(run).unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Ours within this process: everything but the few lines of its `main`.
pub(crate) fn ours(namespace: &Namespace, step: &Step) -> Answer {
    let run = || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let names = SystemNames::default();
        let mut open = || Ok(Box::new(Linux::open()?) as Box<dyn Kernel>);
        let mut input = step.input.as_bytes();
        let mut session =
            Session::new("ipvsadm", &names, &mut input, &mut out, &mut err, &mut open);
        let code = session.run_words(&step.words).unwrap();
        Answer {
            code: code.into(),
            out: String::from_utf8(out).unwrap(),
            err: String::from_utf8(err).unwrap(),
        }
    };
    namespace.run(run).unwrap()
}

fn state(namespace: &Namespace) -> State {
    let mut client = Client::with_namespace(namespace.clone()).unwrap();
    let mut daemons = client.daemons().unwrap();
    daemons.sort_by_key(Daemon::role);
    State { table: client.table().unwrap(), timeouts: client.timeouts().unwrap(), daemons }
}

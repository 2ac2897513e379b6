//! A machine that a reader of the book types commands on.

use std::process::{Child, Command, Output, Stdio};

use super::wait_for;
use crate::daemon::{LVS, PULSE, children};

const NANNY: &str = env!("CARGO_BIN_EXE_nanny");
const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");
const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/init/pulse");

/// What installing the packages does, on overlays: the system below is everybody's.
const PREPARE: &str = r#"
[ -z "$PIRANHA_LAB" ] || exec 2>"$PIRANHA_LAB/$NAME"
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for directory in etc var usr/bin usr/sbin; do
    mkdir -p /run/over/$directory/upper /run/over/$directory/work
    over=/run/over/$directory
    mount -t overlay -o lowerdir=/$directory,upperdir=$over/upper,workdir=$over/work overlay /$directory
done
program() { : >"$2" && mount --bind "$1" "$2"; }
program "$PULSE" /usr/sbin/pulse
program "$LVS" /usr/sbin/lvsd
program "$NANNY" /usr/sbin/nanny
program "$PIRANHA" /usr/bin/piranha
mkdir -p /etc/sysconfig/ha /etc/init.d /etc/modules-load.d /var/lib/piranha /var/log/piranha
rm -f /etc/default/pulse /etc/sysconfig/pulse
install -m 0755 "$INIT" /etc/init.d/pulse
# The netfilter that this kernel has.
for tables in iptables ip6tables; do ln -sf $tables-legacy /usr/sbin/$tables; done
hostname "$NAME"
: >/run/prepared
exec sleep infinity
"#;

/// A machine around the network namespace of its name; what runs on it ends with the value.
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    keeper: Child,
    /// Its first process.
    first: u32,
}

impl Machine {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut keeper = Command::new("ip");
        keeper.args(["netns", "exec", name, "unshare", "--mount", "--uts", "--pid", "--fork"]);
        keeper.args(["--kill-child", "sh", "-e", "-c", PREPARE]);
        let daemons = [("PULSE", PULSE), ("LVS", LVS), ("NANNY", NANNY)];
        keeper.envs(daemons).envs([("PIRANHA", PIRANHA), ("INIT", INIT)]);
        keeper.env("NAME", name).stdin(Stdio::null());
        // It complains about signals when its child is killed.
        keeper.stderr(Stdio::null());
        let mut keeper = keeper.spawn().unwrap();
        let mut first = None;
        wait_for("the machine", || {
            assert_eq!(keeper.try_wait().unwrap(), None, "see {name} beside the results");
            first = children(keeper.id()).first().copied();
            first.is_some_and(|first| {
                std::fs::exists(format!("/proc/{first}/root/run/prepared")).unwrap()
            })
        });
        Self { name, keeper, first: first.unwrap() }
    }

    /// Runs a script of the shell, which ends at the first command that fails.
    pub(crate) fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    /// The same, not yet run.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--uts", "--net", "--pid"]);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]);
        // Where the modules of the lab's kernel are.
        if let Ok(modprobe) = std::env::var("MODPROBE") {
            let modules = modprobe.replace("/modprobe", "/modules");
            command.arg(format!("MODPROBE_OPTIONS=-d {modules}"));
        }
        command.args(["sh", "-e", "-c", script]);
        command
    }

    /// The same, which must succeed; gives what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.run(script);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {script}\n{said}{errors}", self.name);
        said
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process of a namespace takes all others with it; `ip` and `unshare` have become
        // the keeper, which ends with it.
        let _ = Command::new("kill").args(["-9", &self.first.to_string()]).status();
        let _ = self.keeper.wait();
    }
}

//! VRRP with Debian's keepalived on the other side, each in each role, through every transition.
//!
//! The higher priority is always on station 1. After each step exactly one of the two has the
//! addresses of both families, the client's neighbour caches lead to it, and it answers.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Files, children, signal, until};
use crate::wire::{Station, VIP4, VIP6, Wire};

/// Who runs on a station.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Ours,
    Keepalived,
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    /// On station 1 and station 2.
    kinds: [Kind; 2],
    version: u8,
    unicast: bool,
    password: Option<&'static str>,
    preempt: bool,
}

struct Mixed {
    wire: Wire,
    files: Files,
    client: Station,
    setting: Setting,
    running: [Option<Daemon>; 2],
}

const OURS_FIRST: [Kind; 2] = [Kind::Ours, Kind::Keepalived];
const OURS_SECOND: [Kind; 2] = [Kind::Keepalived, Kind::Ours];

impl Setting {
    const fn interval(&self) -> Duration {
        // Long enough for a machine that has other things to do: neither side may miss three.
        Duration::from_millis(if self.version == 2 { 1000 } else { 500 })
    }

    fn ours(&self, number: u8, priority: u8, password: Option<PathBuf>) -> String {
        let service = |name: &str, vip: &str, server: &str| {
            format!(
                "virtual {name} {{\n    active = 1\n    address = {vip}\n    port = 8080\n    \
                 check = connect\n    timeout = 200ms\n    rise = 1\n    server s {{\n        \
                 address = {server}\n        port = 9000\n        active = 1\n    }}\n}}\n"
            )
        };
        let role = if number == 1 { "primary" } else { "backup" };
        let mut text = format!(
            "role = {role}\nprimary = 10.77.0.1\nbackup = 10.77.0.2\nbackup_active = 1\n\
             heartbeat_path = fd77::1 fd77::2\nheartbeat_protocol = vrrp{}\nvrrp_id = 51\n\
             vrrp_priority = {priority}\nkeepalive = {}ms\nfailback = {}\nvrrp_unicast = {}\n\
             dataplane = relay\n",
            self.version,
            self.interval().as_millis(),
            u8::from(self.preempt),
            u8::from(self.unicast),
        );
        if let Some(path) = password {
            text += &format!("vrrp_auth = {}\n", path.display());
        }
        text + &service("four", &format!("{VIP4} eth0:1"), "10.77.0.3")
            + &service("six", &format!("{VIP6} eth0"), "fd77::3")
    }

    /// Both families in one sync group, or with version 2 the addresses of IPv6 as excluded ones.
    fn keepalived(&self, number: u8, priority: u8) -> String {
        let four = format!("virtual_ipaddress {{\n {VIP4}/32 dev eth0\n }}\n");
        let six = format!("virtual_ipaddress {{\n {VIP6}/128 dev eth0\n }}\n");
        let global = format!(
            "global_defs {{\n vrrp_version {}\n vrrp_garp_master_repeat 2\n}}\n",
            self.version
        );
        if self.version == 2 {
            let excluded = six.replace("virtual_ipaddress", "virtual_ipaddress_excluded");
            return global
                + &self.instance("four", number, priority, "10.77.0.", &(four + &excluded));
        }
        global
            + "vrrp_sync_group both {\n group {\n four\n six\n }\n}\n"
            + &self.instance("four", number, priority, "10.77.0.", &four)
            + &self.instance("six", number, priority, "fd77::", &six)
    }

    fn instance(&self, name: &str, number: u8, priority: u8, net: &str, body: &str) -> String {
        let interval = self.interval().as_millis();
        let mut text = format!(
            "vrrp_instance {name} {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
             priority {priority}\n advert_int {}.{}\n",
            interval / 1000,
            interval % 1000 / 100,
        );
        if !self.preempt {
            text += " nopreempt\n";
        }
        if let Some(word) = self.password {
            text += &format!(" authentication {{\n auth_type PASS\n auth_pass {word}\n }}\n");
        }
        if self.unicast {
            let other = 3 - number;
            text +=
                &format!(" unicast_src_ip {net}{number}\n unicast_peer {{\n {net}{other}\n }}\n");
        }
        text + body + "}\n"
    }
}

impl Mixed {
    fn new(setting: Setting) -> Self {
        let wire = Wire::new();
        let client = wire.station(3);
        client.serve("10.77.0.3:9000", "up");
        client.serve("[fd77::3]:9000", "up");
        for (kind, number) in setting.kinds.into_iter().zip(1..) {
            let station = wire.station(number);
            until("the link-local address can be used", || {
                let text = station.ip("-6 addr show dev eth0 scope link");
                text.contains("fe80") && !text.contains("tentative")
            });
            if kind == Kind::Keepalived {
                // What our relay answers on the other station.
                station.serve("[::]:8080", "up");
            }
        }
        let mixed = Self { wire, files: Files::new(), client, setting, running: [None, None] };
        mixed.configure(1, 150);
        mixed.configure(2, 100);
        mixed
    }

    fn kind(&self, number: u8) -> Kind {
        self.setting.kinds[usize::from(number - 1)]
    }

    fn configure(&self, number: u8, priority: u8) {
        let text = match self.kind(number) {
            Kind::Keepalived => self.setting.keepalived(number, priority),
            Kind::Ours => {
                let password = self.setting.password.map(|word| self.files.write("word", word));
                if let Some(path) = &password {
                    use std::os::unix::fs::PermissionsExt;
                    let only_owner = std::fs::Permissions::from_mode(0o600);
                    std::fs::set_permissions(path, only_owner).expect("a file of ours");
                }
                self.setting.ours(number, priority, password)
            }
        };
        self.files.write(&number.to_string(), &text);
    }

    fn start(&mut self, number: u8) {
        let station = self.wire.station(number);
        let config = self.files.path(&number.to_string());
        let daemon = match self.kind(number) {
            Kind::Ours => {
                let mut pulse = station.pulse(&config);
                pulse.expect("STARTING PULSE");
                pulse
            }
            Kind::Keepalived => {
                let [main, vrrp] = ["main.pid", "vrrp.pid"].map(|name| self.files.path(name));
                let arguments = [&config, &main, &vrrp].map(|path| path.display().to_string());
                let [config, main, vrrp] = &arguments;
                let options = ["keepalived", "-n", "-l", "-D", "-P", "-f", config, "-p", main];
                let daemon = station.run(&[&options[..], &["-r", vrrp]].concat());
                until("keepalived runs", || !children(daemon.pid()).is_empty());
                daemon
            }
        };
        self.running[usize::from(number - 1)] = Some(daemon);
    }

    fn take(&mut self, number: u8) -> Daemon {
        self.running[usize::from(number - 1)].take().expect("it runs")
    }

    /// Stops it in order.
    fn stop(&mut self, number: u8) {
        let daemon = self.take(number);
        daemon.signal("TERM");
        daemon.end();
    }

    /// Kills everything of it. Its addresses go with the node: keepalived leaves them behind.
    fn kill(&mut self, number: u8) {
        let daemon = self.take(number);
        let station = self.wire.station(number);
        self.wire.plug(number, "down");
        let children = children(daemon.pid());
        daemon.signal("KILL");
        if self.kind(number) == Kind::Keepalived {
            // They may end by themselves at the same moment.
            for child in children {
                let path = format!("/proc/{child}");
                if std::path::Path::new(&path).exists() {
                    signal(child, "KILL");
                }
            }
            // A process that nobody waits for counts as one that runs.
            for name in ["main.pid", "vrrp.pid"] {
                let _ = std::fs::remove_file(self.files.path(name));
            }
            station.inside(|| {
                let flush = format!(
                    "ip addr del {VIP4}/32 dev eth0; ip addr del {VIP6}/128 dev eth0; true"
                );
                let done = std::process::Command::new("sh").args(["-c", &flush]).output();
                assert!(done.is_ok());
            });
        }
        drop(daemon);
        until("the dead one's addresses are gone", || self.is_free_of(number));
        self.wire.plug(number, "up");
    }

    fn reload(&self, number: u8, priority: u8) {
        self.configure(number, priority);
        self.running[usize::from(number - 1)].as_ref().expect("it runs").signal("HUP");
    }

    fn has(&self, number: u8, vip: &str) -> bool {
        self.wire.station(number).has(vip)
    }

    fn is_free_of(&self, number: u8) -> bool {
        !self.has(number, VIP4) && !self.has(number, VIP6)
    }

    fn is_owned_by(&self, number: u8) -> bool {
        self.has(number, VIP4) && self.has(number, VIP6) && self.is_free_of(3 - number)
    }

    fn client_looks_at(&self, number: u8) -> bool {
        let hardware = self.wire.station(number).hardware();
        [VIP4, VIP6].iter().all(|vip| self.client.neighbour(vip).contains(&hardware))
    }

    /// Waits until `number` alone has the addresses, and the client has followed.
    fn expect_owner(&self, number: u8, why: &str) {
        let begun = Instant::now();
        until(&format!("{:?}: {number} owns: {why}", self.setting), || self.is_owned_by(number));
        let owned = begun.elapsed();
        until(&format!("{:?}: the client follows: {why}", self.setting), || {
            self.client.answers() && self.client_looks_at(number)
        });
        println!("{why}: {number} owns after {owned:?}, the client follows {:?}", begun.elapsed());
    }

    /// For longer than a takeover needs, nothing changes.
    fn expect_to_stay_with(&self, number: u8, why: &str) {
        self.expect_owner(number, why);
        let end = Instant::now() + self.setting.interval() * 5;
        while Instant::now() < end {
            assert!(self.is_owned_by(number), "{:?}: {why}", self.setting);
            std::thread::sleep(self.setting.interval() / 10);
        }
    }

    /// Who has the service once the higher priority is back beside the lower, which has it.
    const fn after_return(&self) -> u8 {
        if self.setting.preempt { 1 } else { 2 }
    }
}

/// Each step leaves the service with one of the two.
fn through_every_transition(setting: Setting) {
    let mut pair = Mixed::new(setting);
    let back = pair.after_return();
    pair.start(1);
    pair.expect_owner(1, "alone");
    pair.start(2);
    pair.expect_to_stay_with(1, "the lower starts second");
    pair.stop(1);
    pair.expect_owner(2, "the higher stops");
    pair.start(1);
    pair.expect_to_stay_with(back, "the higher returns");
    pair.stop(back);
    pair.expect_owner(3 - back, "the owner stops");
    pair.start(back);
    pair.expect_to_stay_with(1, "the owner returns");
    pair.kill(1);
    pair.expect_owner(2, "the higher is killed");
    pair.start(1);
    pair.expect_to_stay_with(back, "the killed one returns");
    pair.kill(2);
    pair.expect_owner(1, "the lower is killed");
    pair.start(2);
    pair.expect_to_stay_with(1, "the lower returns");
    pair.reload(1, 50);
    pair.expect_to_stay_with(3 - back, "its priority goes down");
    pair.reload(1, 150);
    pair.expect_to_stay_with(1, "its priority goes up");
    pair.stop(1);
    pair.stop(2);
    until("nobody has the addresses", || pair.is_free_of(1) && pair.is_free_of(2));
    pair.start(2);
    pair.expect_owner(2, "the lower starts first");
    pair.start(1);
    pair.expect_to_stay_with(back, "the higher starts second");
}

/// The node lives, and with it the guard, which resigns for the dead: the partner waits for the skew
/// time and not for three intervals.
#[test]
#[ignore = "needs root: tests/run netns"]
fn the_guard_of_a_killed_router_resigns_for_it_and_keepalived_hears() {
    for (unicast, preempt) in [(false, false), (true, true)] {
        let mut pair =
            Mixed::new(Setting { kinds: OURS_FIRST, version: 3, unicast, password: None, preempt });
        pair.start(1);
        pair.expect_owner(1, "alone");
        pair.start(2);
        // Longer than the guard waits for the next beat, which brings it what to say.
        pair.expect_to_stay_with(1, "the lower starts second");
        pair.take(1).signal("KILL");
        let keepalived = pair.running[1].as_mut().expect("it runs");
        keepalived.expect("priority 0");
        pair.expect_owner(2, "the higher is killed on a living node");
    }
}

macro_rules! transitions {
    ($($name:ident: $kinds:ident, $version:literal, $unicast:literal, $password:expr, $preempt:literal;)+) => {
        $(
            #[test]
            #[ignore = "needs root: tests/run netns"]
            fn $name() {
                through_every_transition(Setting {
                    kinds: $kinds,
                    version: $version,
                    unicast: $unicast,
                    password: $password,
                    preempt: $preempt,
                });
            }
        )+
    };
}

transitions! {
    v3_as_primary_of_keepalived: OURS_FIRST, 3, false, None, false;
    v3_as_primary_of_keepalived_with_preemption: OURS_FIRST, 3, false, None, true;
    v3_as_backup_of_keepalived: OURS_SECOND, 3, false, None, false;
    v3_as_backup_of_keepalived_with_preemption: OURS_SECOND, 3, false, None, true;
    v3_unicast_as_primary_of_keepalived: OURS_FIRST, 3, true, None, false;
    v3_unicast_as_backup_of_keepalived_with_preemption: OURS_SECOND, 3, true, None, true;
    v2_with_a_password_as_primary_of_keepalived_with_preemption:
        OURS_FIRST, 2, false, Some("s3cret"), true;
    v2_with_a_password_as_backup_of_keepalived: OURS_SECOND, 2, false, Some("s3cret"), false;
    v2_unicast_as_backup_of_keepalived_with_preemption: OURS_SECOND, 2, true, None, true;
}

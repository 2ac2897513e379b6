//! The kernel's sync daemons, kept what lvs.cf asks for.
//!
//! Both roles run on both directors, whoever is active: the kernel has a thread for each. A takeover
//! then changes nothing about them, so nothing is missed around it: what the old master has not
//! sent yet (up to two seconds of news) still leaves, and the new one sends from its first packet on.
//! Nothing goes in circles either: a director sends only connections whose packets it forwards
//! itself, and does not hear its own datagrams.
//!
//! One case is different. Where `net.ipv4.vs.backup_only` is 1, the kernel forwards nothing while a
//! backup daemon runs: administrators set it where the directors are real servers of one another,
//! since a standby with the service in its table would send what it is given back to the active
//! one. There the daemons follow the role: the master runs on the active director, the backup on
//! the other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::config::Config;
use crate::control::Event;
use crate::control::status::ConnectionSync;
use crate::failover::VirtualAddress;
use crate::ipvs::kernel::sysctl::{SYNC_REFRESH, Sysctl};
use crate::ipvs::kernel::{Daemon, DaemonRole, KernelError, Reason};
use crate::net::OutOfRange;
use crate::runtime::clock;
use crate::runtime::kernel::{AsyncClient, Namespace};
use crate::time::Instant;

/// The kernel's own group, port and time to live.
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
const PORT: u16 = 8848;
const TTL: u8 = 1;

/// How long the sender gathers news before a datagram leaves that is not full.
const GATHERING: Duration = Duration::from_secs(2);

/// The errors of an interface that is down or has no address: ENETDOWN, ENETUNREACH, EADDRNOTAVAIL.
const NOT_READY: [i32; 3] = [100, 101, 99];

/// The sync daemons of this director.
#[derive(Debug, Default)]
pub(super) struct SyncDaemons {
    /// The master and the backup lvs.cf asks for.
    wanted: Option<[Daemon; 2]>,
    /// Whether those that run are ours to stop when lvs.cf asks for none.
    ours: bool,
    /// Whether settings changed that a running daemon does not tell.
    outdated: bool,
    /// The addresses held; not known before the heartbeat has said anything.
    held: Option<BTreeSet<IpAddr>>,
    /// Whether the daemons follow the role.
    by_role: bool,
    /// What happened in a change of roles and is still to be told.
    untold: Vec<Event>,
    /// Since when the backup takes connections in.
    listening: Option<Instant>,
    /// Those that ran when that was looked at last.
    running: Vec<DaemonRole>,
    /// What was told last of a failure that lasts.
    complaint: Option<String>,
}

impl SyncDaemons {
    /// Takes over what `config` says of them; [`tend`](Self::tend) does it.
    ///
    /// # Errors
    /// The interface cannot be one, or the group is none. Nothing runs then.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), OutOfRange> {
        let before = self.wanted.take();
        self.wanted = match config.syncdaemon {
            true => {
                Some([daemon(DaemonRole::Master, config)?, daemon(DaemonRole::Backup, config)?])
            }
            false => None,
        };
        self.outdated = before.is_some() && self.wanted.is_some() && before != self.wanted;
        self.complaint = None;
        Ok(())
    }

    /// The addresses are up, and before anybody is told, the daemons are those of an active
    /// director: a backup that still ran where it must run alone would forward nothing.
    pub(super) async fn acquired(
        &mut self,
        addresses: &[VirtualAddress],
        client: &mut AsyncClient,
    ) {
        let held = self.held.get_or_insert_default();
        held.extend(addresses.iter().map(|address| address.address));
        if self.by_role {
            self.untold = self.tend(client).await;
        }
    }

    pub(super) fn released(&mut self, addresses: &[VirtualAddress]) {
        let held = self.held.get_or_insert_default();
        held.retain(|held| addresses.iter().all(|address| address.address != *held));
    }

    /// Makes what runs what is wanted, and tells of it. A failure is told once, and tried again
    /// with the next call.
    pub(super) async fn tend(&mut self, client: &mut AsyncClient) -> Vec<Event> {
        if self.wanted.is_none() && !self.ours {
            return Vec::new();
        }
        let mut news = std::mem::take(&mut self.untold);
        match self.arrange(client, &mut news).await {
            Ok(()) => self.complaint = None,
            Err(error) => news.extend(self.complain(&error)),
        }
        news
    }

    /// Stops those that are ours.
    pub(super) async fn tear_down(&mut self, client: &mut AsyncClient) -> Vec<Event> {
        self.wanted = None;
        self.tend(client).await
    }

    /// Whether the backup has run for so long that it knows the connections with any traffic, or
    /// none is wanted.
    pub(super) fn is_warm(&self) -> bool {
        let warm = |since| clock::now() - since >= SYNC_REFRESH + GATHERING;
        self.wanted.is_none() || self.listening.is_some_and(warm)
    }

    /// What runs of what lvs.cf asks for; `None` where it asks for nothing.
    pub(super) fn status(&self) -> Option<ConnectionSync> {
        self.wanted.as_ref()?;
        let runs = |role| self.running.contains(&role);
        let (master, backup) = (runs(DaemonRole::Master), runs(DaemonRole::Backup));
        Some(ConnectionSync::new(master, backup, self.complaint.clone()))
    }

    async fn arrange(
        &mut self,
        client: &mut AsyncClient,
        news: &mut Vec<Event>,
    ) -> Result<(), KernelError> {
        let running = client.daemons().await?;
        self.running = running.iter().map(Daemon::role).collect();
        self.by_role = is_backup_only();
        let roles = roles(self.by_role, self.held.as_ref(), &running);
        let wanted = self.wanted.iter().flatten();
        let wanted: Vec<_> = wanted.filter(|daemon| roles.contains(&daemon.role())).collect();
        for change in changes(&wanted, &running, self.outdated) {
            match change {
                Change::Stop(daemon) => client.stop_daemon(daemon.role()).await?,
                Change::Start(daemon) => client.start_daemon(daemon.clone()).await?,
            }
            news.push(told(change));
        }
        self.running = roles.to_vec();
        self.outdated = false;
        self.ours = !wanted.is_empty();
        let listens = wanted.iter().any(|daemon| daemon.role() == DaemonRole::Backup);
        self.listening = listens.then(|| self.listening.unwrap_or_else(clock::now));
        Ok(())
    }

    fn complain(&mut self, error: &KernelError) -> Option<Event> {
        let mend = match error.reason() {
            Reason::NoInterface => ": see syncd_iface",
            Reason::Os(number) if NOT_READY.contains(number) => {
                ": the interface of syncd_iface must be up and have an address"
            }
            _ => "",
        };
        let text = format!("connections are not synchronised: {error}{mend}; lvs goes on trying");
        let known = self.complaint.replace(text.clone());
        (known.as_ref() != Some(&text)).then_some(Event::Warning { text })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change<'a> {
    Stop(&'a Daemon),
    Start(&'a Daemon),
}

/// Which daemons are to run.
fn roles(
    backup_only: bool,
    held: Option<&BTreeSet<IpAddr>>,
    running: &[Daemon],
) -> &'static [DaemonRole] {
    use DaemonRole::{Backup, Master};
    let runs = |role| running.iter().any(|daemon| daemon.role() == role);
    let active = match held {
        Some(held) => !held.is_empty(),
        // An active director whose `lvs` was started again goes on as it was.
        None => runs(Master) && !runs(Backup),
    };
    match (backup_only, active) {
        (false, _) => &[Master, Backup],
        (true, true) => &[Master],
        (true, false) => &[Backup],
    }
}

/// What leads from `running` to `wanted`, in this order.
fn changes<'a>(
    wanted: &[&'a Daemon],
    running: &'a [Daemon],
    outdated: bool,
) -> impl Iterator<Item = Change<'a>> {
    let serves = |wanted: &Daemon, runs: &Daemon| !outdated && is_as(wanted, runs);
    let stop = running.iter().filter(|runs| !wanted.iter().any(|wanted| serves(wanted, runs)));
    let start = wanted.iter().filter(|wanted| !running.iter().any(|runs| serves(wanted, runs)));
    let changes: Vec<_> =
        stop.map(Change::Stop).chain(start.map(|daemon| Change::Start(daemon))).collect();
    changes.into_iter()
}

/// Whether a daemon that runs is what is wanted. A kernel before 4.3 tells no more than interface
/// and id; the longest datagram depends on the interface unless it is given.
fn is_as(wanted: &Daemon, runs: &Daemon) -> bool {
    fn fits<T: PartialEq>(runs: Option<T>, wanted: T) -> bool {
        runs.is_none_or(|value| value == wanted)
    }
    runs.role() == wanted.role()
        && runs.interface() == wanted.interface()
        && runs.sync_id() == wanted.sync_id()
        && fits(runs.group(), wanted.group().unwrap_or(GROUP))
        && fits(runs.port().map(u16::from), wanted.port().map_or(PORT, u16::from))
        && fits(runs.ttl().map(u8::from), wanted.ttl().map_or(TTL, u8::from))
        && wanted.max_length().is_none_or(|length| fits(runs.max_length(), length))
}

fn daemon(role: DaemonRole, config: &Config) -> Result<Daemon, OutOfRange> {
    let mut daemon = Daemon::new(role, &config.syncd_iface)?.with_sync_id(config.syncd_id);
    if let Some(group) = config.syncd_group {
        daemon = daemon.with_group(group)?;
    }
    let daemon = config.syncd_port.map_or(daemon.clone(), |port| daemon.with_port(port));
    let daemon = config.syncd_ttl.map_or(daemon.clone(), |ttl| daemon.with_ttl(ttl));
    let length = config.syncd_maxlen;
    Ok(length.map_or(daemon.clone(), |length| daemon.with_max_length(length)))
}

fn told(change: Change<'_>) -> Event {
    let (daemon, running) = match change {
        Change::Stop(daemon) => (daemon, false),
        Change::Start(daemon) => (daemon, true),
    };
    Event::SyncDaemon {
        role: daemon.role(),
        interface: daemon.interface().to_owned(),
        id: daemon.sync_id(),
        running,
    }
}

/// Whether the kernel forwards nothing while a backup daemon runs.
fn is_backup_only() -> bool {
    let value = Sysctl::find("backup_only").map(|sysctl| Namespace::current().sysctl(sysctl));
    matches!(value, Some(Ok(Some(value))) if value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn config(more: &str) -> Config {
        let text = format!(
            "primary = 192.0.2.1\nsyncdaemon = 1\nsyncd_iface = eth1\nsyncd_id = 7\n{more}\n\
             virtual v {{\nactive = 1\naddress = 192.0.2.80 eth0:1\n}}\n"
        );
        load(text.as_bytes()).config.unwrap()
    }

    fn wanted(more: &str) -> [Daemon; 2] {
        [DaemonRole::Master, DaemonRole::Backup].map(|role| daemon(role, &config(more)).unwrap())
    }

    /// As a kernel of today tells it.
    fn running(more: &str) -> [Daemon; 2] {
        wanted(more).map(|daemon| {
            let group = daemon.group().unwrap_or(GROUP);
            let port = daemon.port().or(PORT.try_into().ok()).unwrap();
            let ttl = daemon.ttl().or(TTL.try_into().ok()).unwrap();
            let length = daemon.max_length().or(1472.try_into().ok()).unwrap();
            daemon.with_group(group).unwrap().with_port(port).with_ttl(ttl).with_max_length(length)
        })
    }

    fn needed(wanted: &[Daemon], running: &[Daemon]) -> Vec<String> {
        let wanted: Vec<_> = wanted.iter().collect();
        let word = |change: Change<'_>| match change {
            Change::Stop(daemon) => format!("stop {}", daemon.role()),
            Change::Start(daemon) => format!("start {}", daemon.role()),
        };
        changes(&wanted, running, false).map(word).collect()
    }

    #[test]
    fn daemons_that_run_as_wanted_are_left_alone() {
        for settings in ["", "syncd_port = 8850\nsyncd_group = ff02::81\nsyncd_maxlen = 1400"] {
            assert_eq!(needed(&wanted(settings), &running(settings)), [""; 0]);
        }
        // Before Linux 4.3 they tell no more.
        assert_eq!(needed(&wanted(""), &wanted("")), [""; 0]);
    }

    #[test]
    fn a_daemon_with_another_setting_is_replaced_and_no_other() {
        let [master, _] = running("syncd_ttl = 3");
        let [_, backup] = running("");
        let found = needed(&wanted(""), &[master, backup]);
        assert_eq!(found, ["stop master", "start master"]);
        for other in ["syncd_id = 8", "syncd_iface = eth2", "syncd_port = 1", "syncd_maxlen = 2000"]
        {
            assert_eq!(needed(&wanted(other), &running("")).len(), 4, "{other}");
        }
    }

    #[test]
    fn none_is_wanted_and_all_are_stopped() {
        assert_eq!(needed(&[], &running("")), ["stop master", "stop backup"]);
    }

    #[test]
    fn both_run_on_both_directors() {
        use DaemonRole::{Backup, Master};
        let held = BTreeSet::from([IpAddr::from([192, 0, 2, 80])]);
        for held in [None, Some(&BTreeSet::new()), Some(&held)] {
            assert_eq!(roles(false, held, &[]), [Master, Backup]);
        }
    }

    #[test]
    fn where_a_backup_forwards_nothing_the_daemons_follow_the_role() {
        use DaemonRole::{Backup, Master};
        let held = BTreeSet::from([IpAddr::from([192, 0, 2, 80])]);
        let [master, backup] = running("");
        let both = [master.clone(), backup];
        assert_eq!(roles(true, Some(&held), &both), [Master]);
        assert_eq!(roles(true, Some(&BTreeSet::new()), &both), [Backup]);
        assert_eq!(roles(true, None, &[]), [Backup]);
        assert_eq!(roles(true, None, &both), [Backup]);
        assert_eq!(roles(true, None, &[master]), [Master]);
    }

    #[test]
    fn what_is_taken_out_of_the_file_is_noticed_also_where_the_kernel_does_not_tell() {
        let mut daemons = SyncDaemons::default();
        daemons.configure(&config("syncd_maxlen = 2000")).unwrap();
        assert!(!daemons.outdated, "what an earlier life left is judged by what it tells");
        daemons.configure(&config("syncd_maxlen = 2000")).unwrap();
        assert!(!daemons.outdated);
        daemons.configure(&config("")).unwrap();
        assert!(daemons.outdated);
    }
}

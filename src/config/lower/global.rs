use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::fields::Fields;
use super::{Code, Config, Context, Diagnostic, Directive, Span};
use crate::config::model::{DataPlane, Guards, HeartbeatVersion, Legacy, ServiceKind};
use crate::config::value::Value;
use crate::failover::{Role, pulse};
use crate::ipvs::Forwarding;
use crate::net::Family;

/// The port of metrics unless one is given.
const METRICS_PORT: u16 = 9111;

impl Context<'_> {
    /// The configuration without its virtual services, or `None` if there is no telling what it
    /// would be.
    pub(super) fn global(&mut self, fields: &Fields) -> Option<Config> {
        let help = "write `primary = ADDRESS` with the public address of the primary director";
        self.missing(fields, Directive::Primary, Span::default(), help);
        let nat_router = fields.address_device(Directive::NatRouter);
        let nat_family =
            nat_router.as_ref().map_or(Family::Ipv4, |(address, _)| Family::of(*address));
        let mut config = Config {
            nat_nmask: self.prefix(fields, Directive::NatNmask, nat_family),
            nat_router,
            notify: self.notify(fields),
            service: self.service_kind(fields),
            ..plain(fields)
        };
        self.peers(fields, &mut config);
        self.heartbeat_paths(fields, &mut config);
        config.vrrp = self.vrrp_terms(fields);
        self.heartbeat(fields, &config);
        self.failover_heartbeat(fields, &config);
        self.sync(fields, &mut config);
        self.guards(fields, &mut config);
        Some(config)
    }

    /// The prefix of the netmask `directive`, if there is one and it goes with `family`.
    pub(super) fn prefix(
        &mut self,
        fields: &Fields,
        directive: Directive,
        family: Family,
    ) -> Option<u8> {
        let mask = fields.mask(directive)?;
        let span = fields.value_span(directive)?;
        match mask.prefix_for(family) {
            Ok(prefix) => {
                if let Some(remark) = mask.remark(family) {
                    self.report(remark.at(span));
                }
                Some(prefix)
            }
            Err(problem) => {
                self.report(problem.at(span));
                None
            }
        }
    }

    /// Reports something about a directive that is there.
    pub(super) fn report_at(
        &mut self,
        fields: &Fields,
        directive: Directive,
        code: Code,
        message: impl Into<String>,
    ) {
        let span = fields.span(directive).unwrap_or_default();
        self.report(Diagnostic::new(code, span, message));
    }

    fn peers(&mut self, fields: &Fields, config: &mut Config) {
        if fields.host(Directive::Primary).is_some() && config.primary.is_unspecified() {
            let message = "`primary` cannot be an unspecified address";
            self.report_at(fields, Directive::Primary, Code::UnusableAddress, message);
        }
        if config.backup_active && config.backup.is_none() && !unreadable_backup(fields) {
            let message = "there is no `backup`, so `backup_active` counts as 0";
            self.report_at(fields, Directive::BackupActive, Code::NoBackup, message);
            config.backup_active = false;
        }
        if config.backup_private.is_some() && config.primary_private.is_none() {
            let message = "`backup_private` is not used without `primary_private`";
            self.report_at(fields, Directive::BackupPrivate, Code::PrivateIgnored, message);
            config.backup_private = None;
        }
        if config.backup_active {
            self.pair(fields, Directive::Primary, Directive::Backup);
            self.pair(fields, Directive::PrimaryPrivate, Directive::BackupPrivate);
        }
    }

    /// Both ends of a heartbeat path must differ and be of one family.
    fn pair(&mut self, fields: &Fields, ours: Directive, theirs: Directive) {
        let (Some(a), Some(b)) = (fields.host(ours), fields.host(theirs)) else {
            return;
        };
        if a.is_unspecified() || b.is_unspecified() {
            return;
        }
        let (code, message) = if a == b {
            let message = format!("`{ours}` and `{theirs}` are the same address");
            (Code::SamePeers, message)
        } else if Family::of(a) != Family::of(b) {
            let message = format!("`{ours}` and `{theirs}` are not of one address family");
            (Code::FamilyMismatch, message)
        } else {
            return;
        };
        let span = fields.span(theirs).unwrap_or_default();
        let first = fields.span(ours).unwrap_or_default();
        self.report(
            Diagnostic::new(code, span, message).related(first, format!("`{ours}` is here")),
        );
    }

    fn heartbeat_paths(&mut self, fields: &Fields, config: &mut Config) {
        let named = [config.primary_private, config.backup_private, config.backup];
        let mut taken: BTreeSet<_> = named.into_iter().flatten().collect();
        taken.insert(config.primary);
        let historical = 1 + usize::from(config.primary_private.is_some());
        for field in fields.all(Directive::HeartbeatPath) {
            let Some(Value::AddressPair(primary, backup)) = field.value else {
                continue;
            };
            let full = config.heartbeat_paths.len() + historical == pulse::Config::PATHS_MAX;
            match path_problem(primary, backup, full, &mut taken) {
                Some((code, message)) => self.report(Diagnostic::new(code, field.span(), message)),
                None => config.heartbeat_paths.push((primary, backup)),
            }
        }
    }

    fn heartbeat(&mut self, fields: &Fields, config: &Config) {
        if config.vrrp.is_some() {
            return;
        }
        let Config { keepalive, deadtime, .. } = *config;
        let span = fields
            .span(Directive::Deadtime)
            .or_else(|| fields.span(Directive::Keepalive))
            .unwrap_or_default();
        if deadtime <= keepalive {
            let message = format!(
                "the dead time of {deadtime:?} is not above the heartbeat interval of {keepalive:?}"
            );
            self.report(
                Diagnostic::new(Code::DeadTimeTooShort, span, message)
                    .help("set `deadtime` to three times `keepalive`"),
            );
        } else if deadtime < keepalive * 2 {
            let message = format!(
                "a dead time of {deadtime:?} with heartbeats every {keepalive:?} makes one lost packet a takeover"
            );
            self.report(
                Diagnostic::new(Code::DeadTimeTight, span, message)
                    .help("set `deadtime` to three times `keepalive`"),
            );
        }
        if config.heartbeat_version == HeartbeatVersion::V1 {
            let message = "heartbeats of version 1 are not authenticated, with or without a key";
            let directive = Directive::HeartbeatVersion;
            self.report_at(fields, directive, Code::OldHeartbeat, message);
        }
    }
}

/// What is wrong with one more heartbeat path beside those whose addresses are `taken`.
fn path_problem(
    primary: IpAddr,
    backup: IpAddr,
    full: bool,
    taken: &mut BTreeSet<IpAddr>,
) -> Option<(Code, &'static str)> {
    if primary.is_unspecified() || backup.is_unspecified() {
        return Some((
            Code::UnusableAddress,
            "a heartbeat path cannot end at an unspecified address",
        ));
    }
    if primary == backup {
        return Some((Code::SamePeers, "both ends of this heartbeat path are the same address"));
    }
    if Family::of(primary) != Family::of(backup) {
        let message = "the ends of this heartbeat path are not of one address family";
        return Some((Code::FamilyMismatch, message));
    }
    if !(taken.insert(primary) && taken.insert(backup)) {
        return Some((
            Code::SharedPath,
            "an address of this heartbeat path is one of another path",
        ));
    }
    full.then_some((Code::OutOfRange, "a pair has at most eight heartbeat paths"))
}

/// Whether there is a `backup` that could not be read, which is reported where it stands.
fn unreadable_backup(fields: &Fields) -> bool {
    fields.mentions(Directive::Backup) && fields.host(Directive::Backup).is_none()
}

/// The directives that are taken over as they are.
fn plain(fields: &Fields) -> Config {
    let boolean = |directive, default| fields.boolean(directive).unwrap_or(default);
    let seconds = |directive, default| {
        let value = fields.duration(directive);
        value.unwrap_or_else(|| Duration::from_secs(default))
    };
    Config {
        role: role(fields),
        primary: fields.host(Directive::Primary).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        primary_private: host(fields, Directive::PrimaryPrivate),
        backup: host(fields, Directive::Backup),
        backup_private: host(fields, Directive::BackupPrivate),
        backup_active: boolean(Directive::BackupActive, false),
        heartbeat_port: fields.port(Directive::HeartbeatPort).unwrap_or(539),
        heartbeat_version: match fields.integer(Directive::HeartbeatVersion) {
            Some(1) => HeartbeatVersion::V1,
            _ => HeartbeatVersion::V2,
        },
        heartbeat_key: fields.text(Directive::HeartbeatKey).map(PathBuf::from),
        heartbeat_key_accepted: fields.text(Directive::HeartbeatKeyAccepted).map(PathBuf::from),
        heartbeat_paths: Vec::new(),
        vrrp: None,
        keepalive: seconds(Directive::Keepalive, 2),
        deadtime: seconds(Directive::Deadtime, 5),
        failback: boolean(Directive::Failback, false),
        network: network(fields).unwrap_or_default(),
        nat_router: None,
        nat_nmask: None,
        virtual_mac: boolean(Directive::VirtualMac, false),
        dataplane: match fields.choice(Directive::Dataplane) {
            Some("kernel") => DataPlane::Kernel,
            Some("relay") => DataPlane::Relay,
            _ => DataPlane::Auto,
        },
        tcp_timeout: fields.duration_or_none(Directive::TcpTimeout),
        tcpfin_timeout: fields.duration_or_none(Directive::TcpfinTimeout),
        udp_timeout: fields.duration_or_none(Directive::UdpTimeout),
        hard_shutdown: boolean(Directive::HardShutdown, true),
        monitor_links: boolean(Directive::MonitorLinks, false),
        guards: Guards::default(),
        sync_files: Vec::new(),
        syncdaemon: boolean(Directive::Syncdaemon, false),
        syncd_iface: fields.text(Directive::SyncdIface).unwrap_or_else(|| "eth0".to_owned()),
        syncd_id: 0,
        syncd_group: None,
        syncd_port: None,
        syncd_ttl: None,
        syncd_maxlen: None,
        active_cmd: fields.text(Directive::ActiveCmd),
        inactive_cmd: fields.text(Directive::InactiveCmd),
        metrics: metrics(fields),
        notify: Default::default(),
        serial_no: fields.integer(Directive::SerialNo),
        legacy: legacy(fields),
        service: ServiceKind::Lvs,
        virtuals: Vec::new(),
        failovers: Vec::new(),
    }
}

/// Where metrics are offered, each place once; an unspecified address is every address of the node.
fn metrics(fields: &Fields) -> Vec<SocketAddr> {
    let endpoints = fields.endpoints(Directive::Metrics).iter();
    let named = endpoints.map(|&(address, port)| (address, port.unwrap_or(METRICS_PORT)));
    named.map(SocketAddr::from).collect::<BTreeSet<_>>().into_iter().collect()
}

fn legacy(fields: &Fields) -> Legacy {
    Legacy {
        heartbeat: fields.boolean(Directive::Heartbeat),
        sync: fields.boolean(Directive::Sync),
        debug_level: fields.text(Directive::DebugLevel),
        ipvsadm: fields.text(Directive::Ipvsadm),
        rsh_command: fields.text(Directive::RshCommand),
        primary_shared: fields.text(Directive::PrimaryShared),
        backup_shared: fields.text(Directive::BackupShared),
        reservation_conflict_action: fields
            .choice(Directive::ReservationConflictAction)
            .map(str::to_owned),
    }
}

/// An address, for which an unspecified one stands for none.
fn host(fields: &Fields, directive: Directive) -> Option<IpAddr> {
    fields.host(directive).filter(|address| !address.is_unspecified())
}

fn role(fields: &Fields) -> Option<Role> {
    match fields.choice(Directive::Role)? {
        "primary" => Some(Role::Primary),
        _ => Some(Role::Backup),
    }
}

/// `network`, in any scope.
pub(super) fn network(fields: &Fields) -> Option<Forwarding> {
    match fields.choice(Directive::Network)? {
        "direct" => Some(Forwarding::Direct),
        "tunnel" => Some(Forwarding::TUNNEL),
        _ => Some(Forwarding::Nat),
    }
}

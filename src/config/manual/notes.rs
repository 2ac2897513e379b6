use crate::config::{Directive, Scope};

/// What there is to know about a directive beyond its one line: how it goes together with
/// others, and the reason for it or for its default.
#[must_use]
pub fn note(directive: Directive, scope: Scope) -> Option<&'static str> {
    let holds = |of: &Option<Scope>| of.is_none_or(|of| of == scope);
    NOTES.iter().find(|(of, within, _)| *of == directive && holds(within)).map(|(.., note)| *note)
}

/// The notes, for one scope or for all.
const NOTES: &[(Directive, Option<Scope>, &str)] = &[
    (
        Directive::Role,
        None,
        "Of use where both addresses are on one machine, as on loopback. Leave it out where the \
             two nodes share one file.",
    ),
    (
        Directive::Service,
        None,
        "With `lvs` only `virtual` blocks count, with `fos` only `failover` blocks: the active node \
             runs their services itself. A change needs a restart of pulse.",
    ),
    (
        Directive::BackupActive,
        None,
        "Without it no heartbeats are sent or expected, and the node is always active. Counts \
             as 0 where there is no `backup`.",
    ),
    (Directive::BackupPrivate, None, "Not used without `primary_private`."),
    (
        Directive::HeartbeatPort,
        None,
        "The default is a privileged port, as it always was; a node without privilege needs \
             one above 1023.",
    ),
    (
        Directive::HeartbeatVersion,
        None,
        "1 is for the time in which the partner still runs Piranha 0.8.6: it is neither \
             authenticated nor protected against replay.",
    ),
    (
        Directive::HeartbeatKey,
        None,
        "The same file on both nodes, readable for root only. Without it heartbeats are not \
             authenticated, so that an old file works unchanged; every start says so. A reload reads the \
             file again; to begin or end authentication takes a restart of both nodes.",
    ),
    (
        Directive::HeartbeatKeyAccepted,
        None,
        "To change the key without a pause: name the new one here on both nodes and reload; \
             exchange the two names on both and reload; take the old one out.",
    ),
    (
        Directive::MonitorLinks,
        None,
        "The interfaces of the own heartbeat addresses, of every VIP and of `nat_router`. All \
             addresses of a pair move together, so one link that fails moves all. docs/failover.md \
             says what a failing guard brings about.",
    ),
    (
        Directive::TrackInterface,
        None,
        "A VLAN is as good as the interface below it, a bond as its best port.",
    ),
    (
        Directive::SyncFile,
        None,
        "`piranha sync` keeps lvs.cf, the files it includes, its programs and its certificate \
             authorities the same anyway where they are below the directory of lvs.cf. Keys and \
             passwords are left out unless they are named here. docs/synchronising.md has the rest.",
    ),
    (
        Directive::TrackFile,
        None,
        "A file that is not there, is empty or begins with 0 is in order, so that `echo 1` into \
             it sends the service away and removing it ends that. One that cannot be read is not.",
    ),
    (
        Directive::TrackProcess,
        None,
        "The name of the program's file, or that which `ps -o comm` shows. Zombies do not count.",
    ),
    (
        Directive::TrackCommand,
        None,
        "Split at blanks, without a shell, with the full path of the program. It is limited like \
             `send_program`, and fails when it takes longer than `track_interval` and than 5 s: a \
             machine that is merely busy keeps the service.",
    ),
    (
        Directive::Reference,
        None,
        "Asked all the time, so that a takeover waits for nothing. A standby that hears neither \
             its partner nor enough references takes itself for the one that is cut off, and does \
             not take over. Useful where the heartbeats have one path only; not needed without a \
             partner.",
    ),
    (
        Directive::HeartbeatProtocol,
        None,
        "VRRP is for a pair in which the other node runs keepalived, or for a network that \
             wants it: it is not authenticated, cannot refuse a hand-over, and takes longer. All \
             addresses move together.",
    ),
    (
        Directive::VrrpPriority,
        None,
        "The higher one wins among several active nodes, and waits less long for a silent one. \
             255 is for the node whose own addresses the VIPs are. A reload changes it.",
    ),
    (
        Directive::VrrpInterface,
        None,
        "IPv4 is sent from its first address, IPv6 from its link-local one.",
    ),
    (
        Directive::VrrpUnicast,
        None,
        "The partner's address is `primary` or `backup`; for a family of VIPs that they are not \
             of, the first other heartbeat path that is.",
    ),
    (
        Directive::VrrpAuth,
        None,
        "One to eight characters, in a file that only root can read: they keep mistakes out, and \
             nobody who can read the network.",
    ),
    (
        Directive::VrrpAccept,
        None,
        "0 is refused: the data plane gets packets to a VIP because they are taken. Use a packet \
             filter for what should not reach the node itself.",
    ),
    (
        Directive::VirtualMac,
        None,
        "With VRRP 00-00-5E-00-01-ID for IPv4 and 00-00-5E-00-02-ID for IPv6, ID being `vrrp_id`; \
             with the pulse protocol a locally administered address that follows from `primary`, \
             `backup` and `heartbeat_port`. The same on both nodes; a switch that allows one \
             address on a port refuses it.",
    ),
    (
        Directive::Keepalive,
        None,
        "Below a second it needs a unit, such as `100ms`. The same on both nodes. With VRRP \
             version 3 a multiple of 10 ms up to 40.95 s, with version 2 whole seconds.",
    ),
    (
        Directive::Deadtime,
        None,
        "Must be above `keepalive`; three times as long survives two lost packets. Below two \
             times, one lost packet is a takeover.",
    ),
    (
        Directive::Failback,
        None,
        "Off, because a takeover back interrupts a service that works. It is also what 0.8.6 \
             did, against its manual.",
    ),
    (
        Directive::Network,
        Some(Scope::Virtual),
        "0.8.6 had one method for all services. A service of one's own kind needs no second \
             cluster.",
    ),
    (
        Directive::Dataplane,
        None,
        "`auto` says in one line of the log which it took and why. A configuration that needs \
             what the data plane lacks is refused before anything changes.",
    ),
    (
        Directive::Syncdaemon,
        None,
        "The kernel's sync daemons send connections to the other director and take in its own, so \
             that they go on after a takeover. Needs the kernel's IPVS. The datagrams are not \
             authenticated: use a network that is yours.",
    ),
    (
        Directive::SyncdIface,
        None,
        "It must be up and have an address. The same network on both directors, best the one \
             between them.",
    ),
    (
        Directive::SyncdId,
        None,
        "Only the low 8 bits are used. Several pairs on one network need an id each; one with id 0 \
             takes in the connections of all.",
    ),
    (
        Directive::SyncdMaxlen,
        None,
        "By default 1472 is sent, on an interface with a smaller MTU in fragments.",
    ),
    (
        Directive::HardShutdown,
        None,
        "Without effect: a check cannot die on its own here, and one dead check never stops \
             the cluster.",
    ),
    (
        Directive::ActiveCmd,
        None,
        "Split at blanks and run without a shell, as in 0.8.6, in a process apart from the \
             heartbeats: it begins before the addresses come up, nothing waits for it, and two \
             never run at once. If the state changes while one runs, the one of the last state \
             runs next. The event is in the environment, as JSON in PIRANHA_EVENT.",
    ),
    (
        Directive::InactiveCmd,
        None,
        "As active_cmd; at a stop it is waited for, and it runs when pulse dies, too.",
    ),
    (
        Directive::Metrics,
        None,
        "`/metrics` has Prometheus' text, `/healthz` says whether the pair is healthy and `/readyz` \
             whether a failover would succeed: docs/metrics.md. An address that this node does not have \
             is passed over, so that one file will do for both: name one of each. `0.0.0.0` is \
             every address. Nobody is asked who he is, and nothing can be changed there.",
    ),
    (
        Directive::NotifyCommand,
        None,
        "Gets four more arguments: INSTANCE, notify_name, one of MASTER, BACKUP, FAULT and STOP, \
             and 200 on the primary, 100 on the backup, so that scripts written for keepalived go \
             on working. Like active_cmd it is told of the last state only.",
    ),
    (
        Directive::NotifyEventCommand,
        None,
        "Runs for each event that passes notify_filter, one after the other, with the event as \
             JSON in PIRANHA_EVENT.",
    ),
    (
        Directive::NotifyFifo,
        None,
        "Made if it is missing, for root alone or also for the group of notify_user. Lines that \
             find no room, since nobody reads, are dropped.",
    ),
    (
        Directive::NotifyWebhook,
        None,
        "Certificates are verified. Names are looked up when something is posted. A post that \
             is not answered with 200 to 299 is tried again, ever more rarely, and given up after \
             eight times.",
    ),
    (
        Directive::NotifyAuth,
        None,
        "One line, readable for its owner only: user:password is basic authentication, anything \
             without a colon a bearer token.",
    ),
    (
        Directive::NotifySmtp,
        None,
        "The port is 25 unless given. A relay that is away is tried again like a webhook.",
    ),
    (
        Directive::NotifySmtpTls,
        None,
        "starttls refuses a relay that does not offer it; off is for a relay on this machine.",
    ),
    (
        Directive::NotifyUser,
        None,
        "Root by default, as in 0.8.6; a program that anybody may write to does not run as root.",
    ),
    (
        Directive::NotifyFilter,
        None,
        "failover: the state of this node; health: of servers and services; config: reloads; \
             warning: what else an operator should look at; info: the rest, which is much. \
             Commands and pipes with the words of keepalived get what keepalived would tell.",
    ),
    (
        Directive::StartCmd,
        None,
        "Runs when the node turns active, split at blanks and without a shell, for at most a \
             minute; a status other than 0 sends all services to the partner. With `service = fos` \
             only.",
    ),
    (
        Directive::StopCmd,
        None,
        "Runs when the node gives the services up, and at the start of lvs. The partner is kept \
             waiting for it up to 4 s.",
    ),
    (
        Directive::Active,
        Some(Scope::Virtual),
        "Off by default, as it always was: a block that does not say it draws a warning. At \
             least one service must be active.",
    ),
    (
        Directive::Active,
        Some(Scope::Server),
        "Off by default, as it always was: a block that does not say it draws a warning.",
    ),
    (
        Directive::Address,
        Some(Scope::Virtual),
        "Several services may share one VIP; the device of the first one counts. IPv6 \
             addresses are new.",
    ),
    (
        Directive::Port,
        Some(Scope::Virtual),
        "A name is looked up among well-known services. Write it above the `server` blocks: \
             0.8.6 gives those above it port 80.",
    ),
    (
        Directive::Protocol,
        None,
        "TCP, UDP and SCTP on one port are different services. The relay has no SCTP.",
    ),
    (
        Directive::Fwmark,
        None,
        "Needs kernel IPVS and rules of netfilter that set the mark. `address` is still \
             brought up, and `port` is still what checks connect to.",
    ),
    (
        Directive::Scheduler,
        None,
        "One of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh and twos. `pcc` of \
             old files means lc.",
    ),
    (
        Directive::Pmask,
        None,
        "For IPv6 it is a prefix length. Without effect where `persistent` is 0.",
    ),
    (
        Directive::Helper,
        None,
        "FTP names further connections inside its first one; without the helper they do not \
             reach the same server.",
    ),
    (
        Directive::ProxyProtocol,
        None,
        "Servers behind the relay see the relay's address. Every server must expect the \
             header; checks send one too.",
    ),
    (
        Directive::MaxConnections,
        None,
        "Further clients wait in the listener's backlog, 4,096 at most, and are let in as others \
             leave. A reload changes the limit; nobody is thrown out. The kernel has limits for each \
             server instead: `u_threshold`.",
    ),
    (
        Directive::Transparent,
        None,
        "The servers' answers must come back to this machine and be led into it: make it their \
             default gateway, and add `ip rule add iif DEVICE lookup 100` and `ip route add local \
             default dev lo table 100`, with `ip -6` too for IPv6, DEVICE being the one towards the \
             servers. Servers must be of the VIP's address family. Not with the FTP helper. Without \
             the privilege the configuration is refused.",
    ),
    (
        Directive::OnePacket,
        None,
        "For requests that have nothing to do with each other, such as those for names: clients \
             behind one address are spread too. Needs UDP or, with kernel IPVS, `fwmark`. The relay \
             takes answers to a datagram for three seconds.",
    ),
    (
        Directive::SorryServer,
        None,
        "Takes part only while no real server takes connections, with weight 1. 0.8.6 took no \
             port here.",
    ),
    (
        Directive::Quorum,
        None,
        "Counted are the configured weights, or the number (`quorum_of`), of servers that take connections \
             and are no backups, during a slow start too; one without a verdict yet counts as up. A share is of \
             all that are configured with a weight above 0, rounded up. Below it the \
             backups, else the sorry servers, stand in, and the servers that are left stay in the table \
             with weight 0: their connections go on. Where nobody can stand in they serve on. 1 by \
             default: the last server goes on alone.",
    ),
    (
        Directive::QuorumOf,
        None,
        "`quorum = 60%` with `quorum_of = servers` asks for three of five servers, however their weights \
             are spread; with `weight`, which is what keepalived does, for 60% of what all of them together can \
             take.",
    ),
    (
        Directive::Hysteresis,
        None,
        "A service that fell below `quorum` is up again at their sum, or once every server is \
             back. None by default: one server more or less decides, both ways.",
    ),
    (
        Directive::AllDown,
        None,
        "`sorry` leaves it to the sorry servers and, without any, to the servers that are left. \
             `keep_last` keeps the last servers that were up, at least one and `min_servers` of them, \
             in the hope that they answer some. `fail_open` serves with all of them: if every check \
             fails at once, the checks are rather what is wrong. Servers that an administrator took out \
             stay out, and those of weight 0. Backups come first in any case.",
    ),
    (
        Directive::MinServers,
        None,
        "When fewer pass their checks, those that failed last stay in with their full weight. They do \
             not count for `quorum`. For checks that may fail everywhere at once, such as one that \
             looks at a database behind all servers.",
    ),
    (
        Directive::Check,
        None,
        "By default: `program` where `send_program` is set, `send` where `send` or `expect` is \
             set or the protocol is UDP, `http` where an `http_` directive is set, or on TCP port \
             80 where nothing is said, as 0.8.6 did; else `connect`. `docs/checks.md` has every \
             kind and what passes it.",
    ),
    (
        Directive::CheckAuth,
        None,
        "For `http`, `https`, `redis`, `mysql`, `postgresql`, `radius`, and `ldap`, whose user is a \
             distinguished name. Nobody but the owner may read the file.",
    ),
    (
        Directive::CheckTls,
        None,
        "For the kinds named after applications. With `starttls` the server must agree to it; \
             `redis`, `grpc` and `sip` have only `on`.",
    ),
    (Directive::CheckMark, None, "It needs the capability CAP_NET_ADMIN."),
    (
        Directive::CheckThrough,
        None,
        "Finds servers down that do not accept the VIP, whatever their own address answers. Each \
             such server gets a service of its own in the kernel, by a firewall mark from \
             0x70600000 to 0x706fffff: leave these marks to it. Needs the kernel's IPVS.",
    ),
    (
        Directive::CheckUser,
        None,
        "By name or number. The program then has no further groups. Without it it runs as the \
             daemon does, as in 0.8.6, with a warning.",
    ),
    (
        Directive::HttpExpect,
        None,
        "Redirects are not followed. Without it the body is not read; escapes as in `send`.",
    ),
    (Directive::RadiusSecret, None, "Nobody but the owner may read the file."),
    (
        Directive::HttpJson,
        None,
        "The pointer is that of RFC 6901, without blanks: keys and places in arrays, each behind \
             a `/`. The value is a string, or what it denotes in JSON: `3` is met by 3 and by \"3\". \
             Write it in quotes if it has blanks. The body must end within `http_limit`.",
    ),
    (
        Directive::HttpVersion,
        None,
        "2 is agreed on in the TLS handshake with `check = https`, and begins at once with \
             `check = http`: a server of both versions must take that.",
    ),
    (
        Directive::TlsName,
        None,
        "The certificate must be for it. An address is verified too, and not sent.",
    ),
    (
        Directive::TlsPin,
        None,
        "`sha256:` and the hash of the SubjectPublicKeyInfo in hexadecimal, so that a renewal \
             with the same key keeps it. It takes the place of the chain of trust; with `tls_ca` \
             both must hold.",
    ),
    (Directive::TlsKey, None, "Nobody but the owner may read the file."),
    (
        Directive::TlsVerify,
        None,
        "0 takes any certificate, an attacker's too; a pin holds all the same.",
    ),
    (
        Directive::DnsExpect,
        None,
        "Without regard to case. One of the answers must be it: `10 mail.example.org`.",
    ),
    (
        Directive::Send,
        None,
        "Escapes are `\\\\`, `\\r`, `\\n`, `\\t`, `\\'` and `\\\"`. An empty value is none.",
    ),
    (
        Directive::Expect,
        None,
        "Escapes are `\\\\`, `\\r`, `\\n`, `\\t`, `\\'` and `\\\"`. An empty value is none.",
    ),
    (Directive::UseRegex, None, "The expression may match anywhere in the answer."),
    (
        Directive::HttpStatus,
        None,
        "By default everything below 500: a server that answers 5xx is broken, one that lacks \
             a path nobody promised is not. 0.8.6 took any answer.",
    ),
    (
        Directive::Timeout,
        None,
        "In 0.8.6 also how long a check may take; here that is `check_timeout`.",
    ),
    (
        Directive::Reentry,
        None,
        "Counts only for a server that was down: the first verdict after a start needs one \
             success. `rise` takes its place where it is set.",
    ),
    (
        Directive::Rise,
        None,
        "A count where `reentry` is a time; it does not change with the interval.",
    ),
    (Directive::Fall, None, "More than 1 keeps one lost packet from taking a server out."),
    (
        Directive::FastInterval,
        None,
        "For quick decisions at the price of a few checks more: with `timeout = 5`, `fall = 3` and \
             `fast_interval = 500ms` a server that fails its check is out a second later. While it \
             is set, `reentry` is divided by it.",
    ),
    (
        Directive::CheckJitter,
        None,
        "Several directors that check the same servers, or checks and something else that comes \
             at regular times, then do not stay in step. The beat itself does not drift.",
    ),
    (
        Directive::InitialState,
        None,
        "`probe` waits for the first check, as 0.8.6 did. `up` serves at once, and a failed first \
             check takes the server out; `down` wants `rise` successes first. `remembered` goes on \
             with what was known when `lvs` last ran since the machine was booted, as far as that is \
             no older than 10 minutes, and is otherwise `probe`.",
    ),
    (
        Directive::FlapLimit,
        None,
        "A server that is taken out more often within the window needs twice as many successes to \
             come back, with each further time again twice as many, up to 32 times as many; what was \
             long ago is forgotten bit by bit. Off by default: it keeps a sound server out for longer \
             after a bad day, and with a `reentry` of 180 seconds a server cannot flap fast.",
    ),
    (
        Directive::SlowStart,
        None,
        "`historical` raises it as 0.8.6 did, 0 gives it back at once, a duration raises it \
             evenly.",
    ),
    (
        Directive::LoadMonitor,
        None,
        "`agent` asks nanny(8) or any agent of HAProxy's; `uptime` runs `rsh_command \
             SERVER uptime`, `rup` and `ruptime` run those, and any other command gets the address \
             of the server as `%h` or behind its other arguments. Commands are split at blanks, \
             without a shell; the load is the number behind the word load, or else the last \
             number. Where nothing comes back weights stay as they are. Give servers weights of \
             100 and more.",
    ),
    (
        Directive::LoadUser,
        None,
        "For a command, and for `uptime`, `rup` and `ruptime`, which run one; a remote shell takes the keys \
             of this user. By name or number. In any case the command gets no new privileges, and no more than \
             a gigabyte of memory, ten seconds and, as a user of its own, 64 processes.",
    ),
    (
        Directive::LoadFormula,
        None,
        "`smooth`, because `historical` never goes below the configured weight and so does not \
             relieve a server that is weaker than its weight says. docs/agent.md has both.",
    ),
    (
        Directive::AgentInterval,
        Some(Scope::Virtual),
        "A load average changes no faster than the default.",
    ),
    (
        Directive::QuiesceServer,
        None,
        "A failed server that stays in the table keeps its connections; one that is taken out \
             does not, on kernel IPVS.",
    ),
    (Directive::ClientMonitor, None, "Any program but nanny is refused for an active service."),
    (
        Directive::Weight,
        None,
        "0 drains the server: connections that are there go on. At most 2147483647.",
    ),
    (Directive::UThreshold, None, "`l_threshold` cannot be above `u_threshold`."),
    (Directive::LThreshold, None, "`l_threshold` cannot be above `u_threshold`."),
    (
        Directive::PersistenceEngine,
        None,
        "Needs `persistent`, kernel IPVS, and UDP or `fwmark`. Without it clients behind one \
             address all go to one server.",
    ),
    (
        Directive::Network,
        Some(Scope::Server),
        "For a server that stands elsewhere than the others: one behind a tunnel among those on \
             the same network.",
    ),
    (
        Directive::TunnelType,
        Some(Scope::Virtual),
        "ipip, because every kernel has it. gue needs Linux 5.2 and `tunnel_port`, gre Linux 5.3.",
    ),
    (
        Directive::TunnelPort,
        Some(Scope::Virtual),
        "No default: the port is the one real servers were given with `ip fou add`.",
    ),
    (
        Directive::TunnelChecksum,
        Some(Scope::Virtual),
        "None by default, as ipvsadm has it: what travels inside has checksums of its own. gre \
             has no remcsum.",
    ),
    (
        Directive::Backup,
        Some(Scope::Server),
        "It is checked like the others, stays in the table with weight 0, so that connections \
             end in peace, and comes before `sorry_server`. Off by default: every server serves.",
    ),
    (
        Directive::Include,
        None,
        "A name without `/` in front is relative to the file it stands in; `*`, `?` and `[a-z]` \
             stand for letters of the last part, and files come in the order of their names. At most \
             eight deep, 1,000 files and 64 MiB. What stands twice counts as if it stood in one file.",
    ),
    (
        Directive::HeartbeatPath,
        None,
        "Beside the public path and that of `primary_private`; eight in all. The partner is \
             dead when it is silent on every path, so one that shares no cable or switch with the \
             others is worth most.",
    ),
    (
        Directive::SendProgram,
        None,
        "Split at blanks, without a shell; `%h` and `%p` are whole arguments. It passes by \
             ending with status 0 and printing just what `expect` says, where that is set. It \
             cannot gain privileges, has of root's only those for ping and rsh, is limited in memory, \
             files and time, and never runs twice at once for one server. In 0.8.6 a program that \
             printed nothing passed.",
    ),
];

//! The rows of the table, in the order of the manual.

use serde::{Deserialize, Serialize};

use super::{Descriptor, Scope, Since};
use crate::config::Topic;
use crate::config::value::Kind;

/// The kinds of checks; those of applications by the names in `health::Application`.
const CHECKS: &[&str] = &[
    "connect",
    "send",
    "http",
    "https",
    "tls",
    "udp",
    "icmp",
    "dns",
    "grpc",
    "radius",
    "smtp",
    "pop3",
    "imap",
    "ftp",
    "nntp",
    "redis",
    "mysql",
    "postgresql",
    "ldap",
    "sip",
    "program",
];

const QUORUM_OF: &[&str] = &["weight", "servers"];
const ALL_DOWN: &[&str] = &["sorry", "keep_last", "fail_open"];
const INITIAL_STATES: &[&str] = &["probe", "up", "down", "remembered"];
const FORWARDING: &[&str] = &["nat", "direct", "tunnel"];
const TUNNELS: &[&str] = &["ipip", "gue", "gre"];
const CHECKSUMS: &[&str] = &["none", "csum", "remcsum"];

macro_rules! directives {
    ($($variant:ident $name:tt { $($scope:ident $since:ident $kind:expr, $default:tt, $doc:tt;)+ })+) => {
        /// A directive of lvs.cf by its name. What one means may differ from [`Scope`] to
        /// [`Scope`].
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Directive {
            $(
                #[doc = concat!("`", $name, "`:" $(, " ", $doc)+)]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Directive {
            /// Its name in the file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The directive of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        pub(super) const DESCRIPTORS: &[Descriptor] = &[$($(
            Descriptor {
                directive: Directive::$variant,
                scope: Scope::$scope,
                default: $default,
                since: Since::$since,
                doc: $doc,
                kind: $kind,
            },
        )+)+];
    };
}

const COUNT: Kind = Kind::Integer(1, i32::MAX as i64);
const COUNT_OR_NONE: Kind = Kind::Integer(0, i32::MAX as i64);
const ANY_INTEGER: Kind = Kind::Integer(i64::MIN, i64::MAX);

directives! {
    SerialNo "serial_no" {
        Global Historical ANY_INTEGER, "", "Counter of the GUI's edits; no daemon looks at it.";
    }
    Include "include" {
        Global Extension Kind::Path, "", "Further files that are read in this place, by a name with wildcards; may stand several times.";
    }
    Service "service" {
        Global Historical Kind::Choice(&["lvs", "fos"]), "lvs", "Which kind of blocks is used.";
    }
    Role "role" {
        Global Extension Kind::Choice(&["primary", "backup"]), "", "What this node is; without it the node that has the address `primary` is the primary.";
    }
    Primary "primary" {
        Global Historical Kind::Host, "", "Public address of the primary director.";
    }
    PrimaryPrivate "primary_private" {
        Global Historical Kind::Host, "", "Address of the primary on the second heartbeat path.";
    }
    PrimaryShared "primary_shared" {
        Global Historical Kind::Text, "", "Shared disk as the primary sees it (failover services).";
    }
    Backup "backup" {
        Global Historical Kind::Host, "0.0.0.0", "Public address of the backup director.";
        Server Extension Kind::Boolean, "0", "Whether the server waits until no other one of its service is up.";
    }
    BackupActive "backup_active" {
        Global Historical Kind::Boolean, "0", "Whether there is a second director.";
    }
    BackupPrivate "backup_private" {
        Global Historical Kind::Host, "", "Address of the backup on the second heartbeat path.";
    }
    BackupShared "backup_shared" {
        Global Historical Kind::Text, "", "Shared disk as the backup sees it (failover services).";
    }
    ReservationConflictAction "reservation_conflict_action" {
        Global Historical Kind::Choice(&["nothing", "preempt"]), "nothing", "What to do about a shared disk that is reserved (failover services).";
    }
    Heartbeat "heartbeat" {
        Global Historical Kind::Boolean, "0", "Without effect, in 0.8.6 too.";
    }
    HeartbeatPort "heartbeat_port" {
        Global Historical Kind::Port(1), "539", "UDP port of the heartbeats, the same on both directors.";
    }
    HeartbeatVersion "heartbeat_version" {
        Global Extension Kind::Integer(1, 2), "2", "Heartbeat protocol: 1 is that of 0.8.6, 2 can be authenticated.";
    }
    HeartbeatKey "heartbeat_key" {
        Global Extension Kind::Path, "", "File with the key that authenticates heartbeats.";
    }
    HeartbeatKeyAccepted "heartbeat_key_accepted" {
        Global Extension Kind::Path, "", "File with a second key that the partner's heartbeats may be made with, while keys are changed.";
    }
    HeartbeatPath "heartbeat_path" {
        Global Extension Kind::AddressPair, "", "One more heartbeat path: address of the primary, address of the backup; may stand several times.";
    }
    HeartbeatProtocol "heartbeat_protocol" {
        Global Extension Kind::Choice(&["pulse", "vrrp2", "vrrp3"]), "pulse", "What the directors speak with each other: pulse, or VRRP as keepalived and routers do.";
    }
    VrrpId "vrrp_id" {
        Global Extension Kind::Integer(1, 255), "", "Number of the virtual router, the same on all directors; VRRP needs it.";
    }
    VrrpPriority "vrrp_priority" {
        Global Extension Kind::Integer(1, 255), "", "VRRP priority of this node: 150 on the primary and 100 on the backup by default.";
    }
    VrrpInterface "vrrp_interface" {
        Global Extension Kind::Text, "", "Interface that carries VRRP; that of the first VIP by default.";
    }
    VrrpUnicast "vrrp_unicast" {
        Global Extension Kind::Boolean, "0", "Whether VRRP is spoken with the partner alone, by its address, instead of by multicast.";
    }
    VrrpHops "vrrp_hops" {
        Global Extension Kind::Integer(0, 254), "0", "How many routers VRRP may come through, with vrrp_unicast.";
    }
    VrrpAuth "vrrp_auth" {
        Global Extension Kind::Path, "", "File with the password of VRRP version 2.";
    }
    VrrpAccept "vrrp_accept" {
        Global Extension Kind::Boolean, "1", "Whether the active director takes packets to the VIPs itself; it has to.";
    }
    Keepalive "keepalive" {
        Global Historical Kind::Duration(1), "2", "Interval of the heartbeats.";
    }
    Deadtime "deadtime" {
        Global Historical Kind::Duration(1), "5", "Silence after which the partner counts as dead.";
    }
    SyncFile "sync_file" {
        Global Extension Kind::Path, "", "File that both directors have in common, beside lvs.cf and what that names; may stand several times.";
    }
    Failback "failback" {
        Global Extension Kind::Boolean, "0", "Whether the primary takes the service back when it returns.";
    }
    Network "network" {
        Global Historical Kind::Choice(FORWARDING), "nat", "How real servers are reached.";
        Virtual Extension Kind::Choice(FORWARDING), "", "How real servers of this service are reached; the global value by default.";
        Server Extension Kind::Choice(FORWARDING), "", "How this real server is reached; as its service says by default.";
    }
    TunnelType "tunnel_type" {
        Virtual Extension Kind::Choice(TUNNELS), "ipip", "What tunnelled packets travel in, with network = tunnel.";
        Server Extension Kind::Choice(TUNNELS), "", "What tunnelled packets to this server travel in; as its service says by default.";
    }
    TunnelPort "tunnel_port" {
        Virtual Extension Kind::Port(1), "", "UDP port on which real servers take packets out of a gue tunnel, which needs it.";
        Server Extension Kind::Port(1), "", "UDP port on which this server takes packets out of a gue tunnel; as its service says by default.";
    }
    TunnelChecksum "tunnel_checksum" {
        Virtual Extension Kind::Choice(CHECKSUMS), "none", "How the outer packets of gue and gre tunnels are checksummed.";
        Server Extension Kind::Choice(CHECKSUMS), "", "How the outer packets to this server are checksummed; as its service says by default.";
    }
    NatRouter "nat_router" {
        Global Historical Kind::AddressDevice, "", "Floating address that NAT real servers use as gateway, and its device.";
    }
    NatNmask "nat_nmask" {
        Global Historical Kind::Mask, "", "Netmask of nat_router.";
    }
    VirtualMac "virtual_mac" {
        Global Extension Kind::Boolean, "0", "Whether VIPs and nat_router have an Ethernet address that moves with them, on a device made for it (macvlan).";
    }
    Dataplane "dataplane" {
        Global Extension Kind::Choice(&["auto", "kernel", "relay"]), "auto", "What carries the traffic: kernel IPVS, the relay, or the first that is usable.";
    }
    MonitorLinks "monitor_links" {
        Global Historical Kind::Flag, "0", "Whether to give up when an own link goes down.";
    }
    TrackInterface "track_interface" {
        Global Extension Kind::Printable, "", "Network interface that must be up and have a carrier; may stand several times.";
    }
    TrackFile "track_file" {
        Global Extension Kind::Path, "", "File that must not hold a number other than 0; may stand several times.";
    }
    TrackProcess "track_process" {
        Global Extension Kind::Printable, "", "Program that must run, by its name; may stand several times.";
    }
    TrackCommand "track_command" {
        Global Extension Kind::Text, "", "Command that must end with status 0; may stand several times.";
    }
    TrackUser "track_user" {
        Global Extension Kind::Text, "", "User that track_command runs as; that of pulse by default.";
    }
    TrackInterval "track_interval" {
        Global Extension Kind::Duration(10), "1", "How often tracked files, processes and commands are looked at.";
    }
    Reference "reference" {
        Global Extension Kind::Host, "", "Address outside of the pair, such as the gateway, that must answer a ping before a takeover; may stand several times.";
    }
    ReferenceQuorum "reference_quorum" {
        Global Extension Kind::Integer(1, 16), "1", "How many references must answer.";
    }
    Syncdaemon "syncdaemon" {
        Global Historical Kind::Boolean, "0", "Whether connections are synchronised to the other director.";
    }
    SyncdIface "syncd_iface" {
        Global Historical Kind::Text, "eth0", "Interface that carries connection synchronisation.";
    }
    SyncdId "syncd_id" {
        Global Historical Kind::Integer(0, i32::MAX as i64), "0", "Id of connection synchronisation, 0 to 255.";
    }
    SyncdGroup "syncd_group" {
        Global Extension Kind::Host, "", "Multicast group of connection synchronisation; 224.0.0.81 by default.";
    }
    SyncdPort "syncd_port" {
        Global Extension Kind::Port(1), "", "UDP port of connection synchronisation; 8848 by default.";
    }
    SyncdTtl "syncd_ttl" {
        Global Extension Kind::Integer(1, u8::MAX as i64), "", "Time to live of its datagrams, which decides how many routers they pass; 1 by default.";
    }
    SyncdMaxlen "syncd_maxlen" {
        Global Extension Kind::Integer(1024, 65507), "", "Longest datagram of connection synchronisation in bytes, the same on both directors.";
    }
    TcpTimeout "tcp_timeout" {
        Global Historical Kind::Duration(0), "0", "When an idle TCP connection is forgotten; 0 leaves the data plane's value.";
    }
    TcpfinTimeout "tcpfin_timeout" {
        Global Historical Kind::Duration(0), "0", "When a closed TCP connection is forgotten; 0 leaves the data plane's value.";
    }
    UdpTimeout "udp_timeout" {
        Global Historical Kind::Duration(0), "0", "When an idle UDP flow is forgotten; 0 leaves the data plane's value.";
    }
    HardShutdown "hard_shutdown" {
        Global Historical Kind::Boolean, "1", "In 0.8.6, whether one dead monitor stops the cluster.";
    }
    ActiveCmd "active_cmd" {
        Global Historical Kind::Text, "", "Command that runs when this node turns active.";
    }
    InactiveCmd "inactive_cmd" {
        Global Historical Kind::Text, "", "Command that runs when this node turns inactive, and at start.";
    }
    Metrics "metrics" {
        Global Extension Kind::Endpoints, "", "Where metrics and health can be read over HTTP, one address or several; port 9111 unless given.";
    }
    NotifyCommand "notify_command" {
        Global Extension Kind::Text, "", "Program that is told of the state in the arguments of keepalived's notify scripts; may stand several times.";
    }
    NotifyEventCommand "notify_event_command" {
        Global Extension Kind::Text, "", "Program that is told of every event; may stand several times.";
    }
    NotifyFifo "notify_fifo" {
        Global Extension Kind::Path, "", "Named pipe that gets the lines of keepalived's notify FIFO; may stand several times.";
    }
    NotifyWebhook "notify_webhook" {
        Global Extension Kind::WebUrl, "", "URL that events are posted to as JSON; may stand several times.";
    }
    NotifyAuth "notify_auth" {
        Global Extension Kind::Path, "", "File with the user:password, or the token alone, that webhooks are posted with.";
    }
    NotifyMail "notify_mail" {
        Global Extension Kind::Mails, "", "Who gets events by mail.";
        Virtual Extension Kind::Mails, "", "Who gets mail about this service, instead of those who get it otherwise.";
    }
    NotifyFrom "notify_from" {
        Global Extension Kind::Mail, "", "Sender of the mails; needed with notify_mail.";
    }
    NotifySmtp "notify_smtp" {
        Global Extension Kind::Relay, "", "Mail relay that takes them; needed with notify_mail.";
    }
    NotifySmtpTls "notify_smtp_tls" {
        Global Extension Kind::Choice(&["starttls", "tls", "off"]), "starttls", "How mail is encrypted on its way to the relay.";
    }
    NotifySmtpAuth "notify_smtp_auth" {
        Global Extension Kind::Path, "", "File with the user:password for the relay.";
    }
    NotifyCa "notify_ca" {
        Global Extension Kind::Path, "", "File with the certificates that webhooks and the relay are verified by, instead of the system's.";
    }
    NotifyGroup "notify_group" {
        Global Extension Kind::Duration(0), "10", "How long a mail waits for further events, so that many are one mail.";
    }
    NotifyLimit "notify_limit" {
        Global Extension COUNT_OR_NONE, "60", "Most mails in an hour, and most posts to a webhook in a minute; what is beyond waits and goes together. 0 is no limit.";
    }
    Notify "notify" {
        Virtual Extension Kind::Boolean, "1", "Whether anybody is told of this service.";
    }
    NotifyName "notify_name" {
        Global Extension Kind::Printable, "piranha", "Name of the instance in keepalived's arguments and lines, and of the cluster elsewhere.";
    }
    NotifyUser "notify_user" {
        Global Extension Kind::Text, "", "User that active_cmd, inactive_cmd and notify programs run as; the daemon's own by default.";
    }
    NotifyTimeout "notify_timeout" {
        Global Extension Kind::Duration(100), "10", "How long such a program, or one try to reach a receiver, may take.";
    }
    NotifyFilter "notify_filter" {
        Global Extension Kind::Words(Topic::NAMES), "failover health config warning", "Topics that are told of.";
    }
    NotifyRepeat "notify_repeat" {
        Global Extension Kind::Duration(0), "0", "How often a problem that lasts is told of again; 0 is never.";
    }
    RshCommand "rsh_command" {
        Global Historical Kind::Text, "rsh", "Remote shell of the load monitor `uptime`.";
    }
    Ipvsadm "ipvsadm" {
        Global Historical Kind::Text, "/sbin/ipvsadm", "Path of ipvsadm; not used any more.";
    }
    DebugLevel "debug_level" {
        Global Historical Kind::Text, "NONE", "Without effect, in 0.8.6 too.";
    }
    Sync "sync" {
        Global Historical Kind::Boolean, "0", "Without effect, in 0.8.6 too.";
    }
    Active "active" {
        Virtual Historical Kind::Boolean, "0", "Whether the service is offered.";
        Server Historical Kind::Boolean, "0", "Whether the real server is used.";
    }
    Address "address" {
        Virtual Historical Kind::AddressDevice, "", "The VIP, and the device that gets it.";
        Server Historical Kind::Host, "", "Address of the real server.";
    }
    VipNmask "vip_nmask" {
        Virtual Historical Kind::Mask, "", "Netmask of the VIP.";
    }
    Port "port" {
        Virtual Historical Kind::Port(0), "80", "Port of the service; 0 is every port and needs persistence.";
        Server Historical Kind::Port(0), "", "Port on the real server; that of the service by default.";
    }
    Protocol "protocol" {
        Virtual Historical Kind::Choice(&["tcp", "udp", "sctp"]), "tcp", "Protocol of the service; sctp needs the kernel.";
    }
    Fwmark "fwmark" {
        Virtual Historical Kind::Integer(0, u32::MAX as i64), "0", "Firewall mark that makes the service instead of address and port; 0 is none.";
    }
    Scheduler "scheduler" {
        Virtual Historical Kind::Scheduler, "wlc", "How a real server is picked for a new connection.";
    }
    SchedulerFlags "scheduler_flags" {
        Virtual Extension Kind::SchedulerFlags, "", "Flags of sh and mh, by the names of ipvsadm -b: hash the port too, fall back to another server.";
    }
    Persistent "persistent" {
        Virtual Historical Kind::Duration(0), "0", "How long a client keeps its real server; 0 is off.";
    }
    Pmask "pmask" {
        Virtual Historical Kind::Mask, "255.255.255.255", "Clients that share this part of their address count as one.";
    }
    PersistenceEngine "persistence_engine" {
        Virtual Extension Kind::Choice(&["sip"]), "", "What tells clients apart instead of their addresses: sip goes by the call.";
    }
    Helper "helper" {
        Virtual Extension Kind::Choice(&["ftp", "none"]), "", "Help for a protocol with further connections; ftp on TCP port 21 by default.";
    }
    ProxyProtocol "proxy_protocol" {
        Virtual Extension Kind::Choice(&["off", "v1", "v2"]), "off", "Header that tells real servers the client's address; only the relay can.";
    }
    MaxConnections "max_connections" {
        Virtual Extension Kind::Integer(0, u32::MAX as i64), "0", "Clients of a TCP service at the same time, further ones wait; 0 is no limit; only the relay can.";
    }
    Transparent "transparent" {
        Virtual Extension Kind::Boolean, "0", "Whether real servers see the client's address; needs CAP_NET_ADMIN and routes; only the relay can.";
    }
    OnePacket "one_packet" {
        Virtual Extension Kind::Boolean, "0", "Whether each datagram of a UDP service is scheduled for itself.";
    }
    SorryServer "sorry_server" {
        Virtual Historical Kind::Endpoints, "", "Who answers when no real server is up, one or several; the port of the service unless given.";
    }
    Quorum "quorum" {
        Virtual Extension Kind::Quorum, "1", "Least weight (or number, see quorum_of) of servers that take connections, alone or as a share of all with %, with which the service is up.";
    }
    QuorumOf "quorum_of" {
        Virtual Extension Kind::Choice(QUORUM_OF), "weight", "What quorum and hysteresis count: the weight of servers, or the servers themselves.";
    }
    Hysteresis "hysteresis" {
        Virtual Extension COUNT_OR_NONE, "0", "How much weight, or how many servers, above quorum bring the service up again.";
    }
    AllDown "all_down" {
        Virtual Extension Kind::Choice(ALL_DOWN), "sorry", "What a service does below its quorum with no backup up: sorry servers, the last servers stay, or all serve.";
    }
    MinServers "min_servers" {
        Virtual Extension COUNT_OR_NONE, "0", "Servers that are kept in whatever their checks say; 0 keeps none.";
    }
    Check "check" {
        Virtual Extension Kind::Choice(CHECKS), "", "Kind of health check; chosen by the other directives by default.";
    }
    Send "send" {
        Virtual Historical Kind::Payload, "", "What a check sends after connecting.";
    }
    Expect "expect" {
        Virtual Historical Kind::Payload, "", "What the answer to a check begins with; * is any byte.";
    }
    UseRegex "use_regex" {
        Virtual Historical Kind::Boolean, "0", "Whether expect is an extended regular expression.";
    }
    SendProgram "send_program" {
        Virtual Historical Kind::Payload, "", "Program that checks; %h and %p stand for address and port.";
    }
    SendHex "send_hex" {
        Virtual Extension Kind::Hex, "", "What a check sends, as bytes in hexadecimal.";
    }
    ExpectHex "expect_hex" {
        Virtual Extension Kind::Hex, "", "What the answer begins with, in hexadecimal; ?? is any byte.";
    }
    CheckUser "check_user" {
        Virtual Extension Kind::Text, "", "User that send_program runs as; the daemon's own by default.";
    }
    DnsName "dns_name" {
        Virtual Extension Kind::Printable, ".", "Name a DNS check asks for.";
    }
    DnsType "dns_type" {
        Virtual Extension Kind::Printable, "NS", "Type of record a DNS check asks for.";
    }
    DnsExpect "dns_expect" {
        Virtual Extension Kind::Text, "", "Answer that must come, as a zone file writes it; any that is no error by default.";
    }
    CheckTls "check_tls" {
        Virtual Extension Kind::Choice(&["off", "on", "starttls"]), "off", "Whether an application is checked over TLS; for HTTP there is check = https.";
    }
    GrpcService "grpc_service" {
        Virtual Extension Kind::Text, "", "Service that a gRPC server is asked about; the server as a whole by default.";
    }
    RadiusSecret "radius_secret" {
        Virtual Extension Kind::Path, "", "File with the secret that a RADIUS check shares with the servers.";
    }
    HttpVersion "http_version" {
        Virtual Extension Kind::Choice(&["1.1", "2"]), "1.1", "Version of HTTP an HTTP check speaks.";
    }
    HttpPath "http_path" {
        Virtual Extension Kind::Printable, "/", "What an HTTP check asks for.";
    }
    HttpHost "http_host" {
        Virtual Extension Kind::Printable, "", "Host header of an HTTP check; address and port of the server by default.";
    }
    HttpStatus "http_status" {
        Virtual Extension Kind::Status, "200-499", "Status codes that pass an HTTP check.";
    }
    HttpMethod "http_method" {
        Virtual Extension Kind::Printable, "GET", "Method of an HTTP check.";
    }
    HttpHeader "http_header" {
        Virtual Extension Kind::Header, "", "Further header of an HTTP check; may stand several times.";
    }
    HttpBody "http_body" {
        Virtual Extension Kind::Payload, "", "What an HTTP check sends behind the headers.";
    }
    HttpExpect "http_expect" {
        Virtual Extension Kind::Payload, "", "What the body of the answer must have in it; with use_regex an expression.";
    }
    HttpJson "http_json" {
        Virtual Extension Kind::Json, "", "Pointer into the JSON of the answer, and the value there; may stand several times.";
    }
    HttpLimit "http_limit" {
        Virtual Extension Kind::Integer(1, 1 << 20), "65536", "How many bytes of the body are read for http_expect and http_json.";
    }
    TlsName "tls_name" {
        Virtual Extension Kind::Printable, "", "Name the certificate must be for, and SNI; http_host or the server's address by default.";
    }
    TlsCa "tls_ca" {
        Virtual Extension Kind::Path, "", "File with the certificates to trust instead of the system's.";
    }
    TlsPin "tls_pin" {
        Virtual Extension Kind::Pin, "", "Hash of the server's public key; may stand several times.";
    }
    TlsCertificate "tls_certificate" {
        Virtual Extension Kind::Path, "", "File with the certificate a check shows to the server.";
    }
    TlsKey "tls_key" {
        Virtual Extension Kind::Path, "", "File with its private key; that of tls_certificate by default.";
    }
    TlsVerify "tls_verify" {
        Virtual Extension Kind::Boolean, "1", "Whether a check verifies the server's certificate.";
    }
    TlsExpiryWarning "tls_expiry_warning" {
        Virtual Extension Kind::Duration(0), "14d", "How long before its end a certificate is warned about; 0 is never.";
    }
    CheckAuth "check_auth" {
        Virtual Extension Kind::Path, "", "File with the user:password, or the password alone, a check logs in with.";
    }
    CheckPort "check_port" {
        Virtual Extension Kind::Port(1), "", "Port that is checked; that of the server by default.";
    }
    CheckSource "check_source" {
        Virtual Extension Kind::Host, "", "Own address that checks come from; the kernel chooses by default.";
    }
    CheckMark "check_mark" {
        Virtual Extension Kind::Integer(0, u32::MAX as i64), "0", "Firewall mark on what a check sends; 0 is none.";
    }
    CheckThrough "check_through" {
        Virtual Extension Kind::Boolean, "0", "Whether checks take the way of clients, to the VIP through the kernel; with direct routing and tunnels.";
    }
    Timeout "timeout" {
        Virtual Historical Kind::Duration(1), "10", "Interval of the checks.";
    }
    CheckTimeout "check_timeout" {
        Virtual Extension Kind::Duration(1), "", "How long a check may take; as long as its interval by default.";
    }
    Reentry "reentry" {
        Virtual Historical Kind::Duration(0), "180", "How long checks must succeed before a server comes back.";
    }
    Rise "rise" {
        Virtual Extension COUNT, "", "Successes before a server comes back; reentry decides by default.";
    }
    Fall "fall" {
        Virtual Extension COUNT, "1", "Failures before a server is taken out.";
    }
    FastInterval "fast_interval" {
        Virtual Extension Kind::Duration(1), "", "Interval of the checks while a server rises or falls; timeout by default.";
    }
    CheckJitter "check_jitter" {
        Virtual Extension Kind::Integer(0, 50), "0", "By how many percent of the interval, at most, checks stray from their beat.";
    }
    InitialState "initial_state" {
        Virtual Extension Kind::Choice(INITIAL_STATES), "probe", "What a server is taken for before its first check.";
    }
    FlapLimit "flap_limit" {
        Virtual Extension COUNT_OR_NONE, "0", "Times a server may be taken out within flap_window before it needs more successes; 0 is no limit.";
    }
    FlapWindow "flap_window" {
        Virtual Extension Kind::Duration(1), "10m", "Time over which flap_limit counts.";
    }
    SlowStart "slow_start" {
        Virtual Extension Kind::SlowStart, "historical", "How the weight of a returning server rises.";
    }
    LoadMonitor "load_monitor" {
        Virtual Historical Kind::Text, "none", "What measures the load of real servers, for their weights: none, agent, uptime, rup, ruptime, or a command.";
    }
    LoadUser "load_user" {
        Virtual Extension Kind::Text, "", "User that a command of load_monitor runs as; the daemon's own by default.";
    }
    LoadFormula "load_formula" {
        Virtual Extension Kind::Choice(&["smooth", "historical"]), "smooth", "How weights follow the load.";
    }
    AgentPort "agent_port" {
        Virtual Extension Kind::Port(1), "9539", "TCP port of the agents that load_monitor = agent asks.";
        Server Extension Kind::Port(1), "", "Port of the agent on this server; as its service says by default.";
    }
    AgentInterval "agent_interval" {
        Virtual Extension Kind::Duration(100), "10", "How often the load is measured, by an agent or otherwise.";
        Server Extension Kind::Duration(100), "", "How often the load of this server is measured; as its service says by default.";
    }
    QuiesceServer "quiesce_server" {
        Virtual Historical Kind::Boolean, "0", "Whether a failed server stays with weight 0.";
    }
    ClientMonitor "client_monitor" {
        Virtual Historical Kind::Text, "/usr/sbin/nanny", "Monitor program.";
    }
    StartCmd "start_cmd" {
        Virtual Historical Kind::Payload, "", "Command that starts the service (failover services).";
    }
    StopCmd "stop_cmd" {
        Virtual Historical Kind::Payload, "", "Command that stops the service (failover services).";
    }
    Master "master" {
        Virtual Historical Kind::Text, "", "Without effect, in 0.8.6 too.";
    }
    Dirs "dirs" {
        Virtual Historical Kind::List, "", "Without effect, in 0.8.6 too.";
    }
    Weight "weight" {
        Server Historical COUNT_OR_NONE, "1", "Share of new connections; 0 takes none.";
    }
    UThreshold "u_threshold" {
        Server Extension COUNT_OR_NONE, "0", "Connections at which the server takes no more; 0 is no limit.";
    }
    LThreshold "l_threshold" {
        Server Extension COUNT_OR_NONE, "0", "Connections below which it takes some again; 0 is three quarters of u_threshold.";
    }
}

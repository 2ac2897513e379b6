//! The numbers of the kernel's interface: `linux/netlink.h`, `linux/genetlink.h`, `linux/ip_vs.h`.

/// Generic netlink's own family, which resolves the others.
pub(in crate::ipvs::kernel) const CONTROL_FAMILY: u16 = 0x10;
pub(in crate::ipvs::kernel) const CONTROL_GET_FAMILY: u8 = 3;
pub(in crate::ipvs::kernel) const CONTROL_FAMILY_ID: u16 = 1;
pub(in crate::ipvs::kernel) const CONTROL_FAMILY_NAME: u16 = 2;
pub(in crate::ipvs::kernel) const FAMILY_NAME: &str = "IPVS";
pub(in crate::ipvs::kernel) const FAMILY_VERSION: u8 = 1;

pub(in crate::ipvs::kernel) mod message {
    pub(in crate::ipvs::kernel) const ERROR: u16 = 2;
    pub(in crate::ipvs::kernel) const DONE: u16 = 3;
    pub(in crate::ipvs::kernel) const OVERRUN: u16 = 4;
    /// Types below this one are netlink's own.
    pub(in crate::ipvs::kernel) const FIRST_FAMILY: u16 = 0x10;

    pub(in crate::ipvs::kernel) const REQUEST: u16 = 0x1;
    pub(in crate::ipvs::kernel) const ACK: u16 = 0x4;
    pub(in crate::ipvs::kernel) const DUMP_INTERRUPTED: u16 = 0x10;
    pub(in crate::ipvs::kernel) const DUMP: u16 = 0x300;
}

pub(in crate::ipvs::kernel) mod command {
    pub(in crate::ipvs::kernel) const NEW_SERVICE: u8 = 1;
    pub(in crate::ipvs::kernel) const SET_SERVICE: u8 = 2;
    pub(in crate::ipvs::kernel) const DEL_SERVICE: u8 = 3;
    pub(in crate::ipvs::kernel) const GET_SERVICE: u8 = 4;
    pub(in crate::ipvs::kernel) const NEW_DEST: u8 = 5;
    pub(in crate::ipvs::kernel) const SET_DEST: u8 = 6;
    pub(in crate::ipvs::kernel) const DEL_DEST: u8 = 7;
    pub(in crate::ipvs::kernel) const GET_DEST: u8 = 8;
    pub(in crate::ipvs::kernel) const NEW_DAEMON: u8 = 9;
    pub(in crate::ipvs::kernel) const DEL_DAEMON: u8 = 10;
    pub(in crate::ipvs::kernel) const GET_DAEMON: u8 = 11;
    pub(in crate::ipvs::kernel) const SET_CONFIG: u8 = 12;
    pub(in crate::ipvs::kernel) const GET_CONFIG: u8 = 13;
    pub(in crate::ipvs::kernel) const SET_INFO: u8 = 14;
    pub(in crate::ipvs::kernel) const GET_INFO: u8 = 15;
    pub(in crate::ipvs::kernel) const ZERO: u8 = 16;
    pub(in crate::ipvs::kernel) const FLUSH: u8 = 17;
}

/// Top level.
pub(in crate::ipvs::kernel) mod top {
    pub(in crate::ipvs::kernel) const SERVICE: u16 = 1;
    pub(in crate::ipvs::kernel) const DEST: u16 = 2;
    pub(in crate::ipvs::kernel) const DAEMON: u16 = 3;
    pub(in crate::ipvs::kernel) const TIMEOUT_TCP: u16 = 4;
    pub(in crate::ipvs::kernel) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(in crate::ipvs::kernel) const TIMEOUT_UDP: u16 = 6;
}

pub(in crate::ipvs::kernel) mod info {
    pub(in crate::ipvs::kernel) const VERSION: u16 = 1;
    pub(in crate::ipvs::kernel) const TABLE_SIZE: u16 = 2;
}

pub(in crate::ipvs::kernel) mod service {
    pub(in crate::ipvs::kernel) const FAMILY: u16 = 1;
    pub(in crate::ipvs::kernel) const PROTOCOL: u16 = 2;
    pub(in crate::ipvs::kernel) const ADDRESS: u16 = 3;
    pub(in crate::ipvs::kernel) const PORT: u16 = 4;
    pub(in crate::ipvs::kernel) const MARK: u16 = 5;
    pub(in crate::ipvs::kernel) const SCHEDULER: u16 = 6;
    pub(in crate::ipvs::kernel) const FLAGS: u16 = 7;
    pub(in crate::ipvs::kernel) const TIMEOUT: u16 = 8;
    pub(in crate::ipvs::kernel) const NETMASK: u16 = 9;
    pub(in crate::ipvs::kernel) const STATS: u16 = 10;
    pub(in crate::ipvs::kernel) const ENGINE: u16 = 11;
    pub(in crate::ipvs::kernel) const STATS64: u16 = 12;

    pub(in crate::ipvs::kernel) const PERSISTENT: u32 = 0x01;
    pub(in crate::ipvs::kernel) const ONE_PACKET: u32 = 0x04;
}

pub(in crate::ipvs::kernel) mod dest {
    pub(in crate::ipvs::kernel) const ADDRESS: u16 = 1;
    pub(in crate::ipvs::kernel) const PORT: u16 = 2;
    pub(in crate::ipvs::kernel) const METHOD: u16 = 3;
    pub(in crate::ipvs::kernel) const WEIGHT: u16 = 4;
    pub(in crate::ipvs::kernel) const UPPER: u16 = 5;
    pub(in crate::ipvs::kernel) const LOWER: u16 = 6;
    pub(in crate::ipvs::kernel) const ACTIVE: u16 = 7;
    pub(in crate::ipvs::kernel) const INACTIVE: u16 = 8;
    pub(in crate::ipvs::kernel) const PERSISTENT: u16 = 9;
    pub(in crate::ipvs::kernel) const STATS: u16 = 10;
    pub(in crate::ipvs::kernel) const FAMILY: u16 = 11;
    pub(in crate::ipvs::kernel) const STATS64: u16 = 12;
    pub(in crate::ipvs::kernel) const TUNNEL_TYPE: u16 = 13;
    pub(in crate::ipvs::kernel) const TUNNEL_PORT: u16 = 14;
    pub(in crate::ipvs::kernel) const TUNNEL_FLAGS: u16 = 15;

    pub(in crate::ipvs::kernel) const METHOD_MASK: u32 = 7;
    pub(in crate::ipvs::kernel) const MASQUERADE: u32 = 0;
    pub(in crate::ipvs::kernel) const LOCAL: u32 = 1;
    pub(in crate::ipvs::kernel) const TUNNEL: u32 = 2;
    pub(in crate::ipvs::kernel) const ROUTE: u32 = 3;

    pub(in crate::ipvs::kernel) const IPIP: u8 = 0;
    pub(in crate::ipvs::kernel) const GUE: u8 = 1;
    pub(in crate::ipvs::kernel) const GRE: u8 = 2;
    pub(in crate::ipvs::kernel) const CHECKSUM: u16 = 1;
    pub(in crate::ipvs::kernel) const REMOTE_CHECKSUM: u16 = 2;
}

pub(in crate::ipvs::kernel) mod daemon {
    pub(in crate::ipvs::kernel) const STATE: u16 = 1;
    pub(in crate::ipvs::kernel) const INTERFACE: u16 = 2;
    pub(in crate::ipvs::kernel) const SYNC_ID: u16 = 3;
    pub(in crate::ipvs::kernel) const MAX_LENGTH: u16 = 4;
    pub(in crate::ipvs::kernel) const GROUP: u16 = 5;
    pub(in crate::ipvs::kernel) const GROUP6: u16 = 6;
    pub(in crate::ipvs::kernel) const PORT: u16 = 7;
    pub(in crate::ipvs::kernel) const TTL: u16 = 8;

    pub(in crate::ipvs::kernel) const MASTER: u32 = 1;
    pub(in crate::ipvs::kernel) const BACKUP: u32 = 2;
}

pub(in crate::ipvs::kernel) mod stats {
    pub(in crate::ipvs::kernel) const CONNECTIONS: u16 = 1;
    pub(in crate::ipvs::kernel) const PACKETS_IN: u16 = 2;
    pub(in crate::ipvs::kernel) const PACKETS_OUT: u16 = 3;
    pub(in crate::ipvs::kernel) const BYTES_IN: u16 = 4;
    pub(in crate::ipvs::kernel) const BYTES_OUT: u16 = 5;
    pub(in crate::ipvs::kernel) const CONNECTION_RATE: u16 = 6;
    pub(in crate::ipvs::kernel) const PACKET_RATE_IN: u16 = 7;
    pub(in crate::ipvs::kernel) const PACKET_RATE_OUT: u16 = 8;
    pub(in crate::ipvs::kernel) const BYTE_RATE_IN: u16 = 9;
    pub(in crate::ipvs::kernel) const BYTE_RATE_OUT: u16 = 10;
}

/// The socket options. Reading and changing share numbers.
pub(in crate::ipvs::kernel) mod option {
    pub(in crate::ipvs::kernel) const BASE: i32 = 64 + 1024 + 64;

    pub(in crate::ipvs::kernel) const ADD_SERVICE: i32 = BASE + 2;
    pub(in crate::ipvs::kernel) const EDIT_SERVICE: i32 = BASE + 3;
    pub(in crate::ipvs::kernel) const REMOVE_SERVICE: i32 = BASE + 4;
    pub(in crate::ipvs::kernel) const FLUSH: i32 = BASE + 5;
    pub(in crate::ipvs::kernel) const ADD_DESTINATION: i32 = BASE + 7;
    pub(in crate::ipvs::kernel) const REMOVE_DESTINATION: i32 = BASE + 8;
    pub(in crate::ipvs::kernel) const EDIT_DESTINATION: i32 = BASE + 9;
    pub(in crate::ipvs::kernel) const SET_TIMEOUTS: i32 = BASE + 10;
    pub(in crate::ipvs::kernel) const START_DAEMON: i32 = BASE + 11;
    pub(in crate::ipvs::kernel) const STOP_DAEMON: i32 = BASE + 12;
    pub(in crate::ipvs::kernel) const ZERO: i32 = BASE + 15;

    pub(in crate::ipvs::kernel) const GET_INFO: i32 = BASE + 1;
    pub(in crate::ipvs::kernel) const GET_SERVICES: i32 = BASE + 2;
    pub(in crate::ipvs::kernel) const GET_SERVICE: i32 = BASE + 3;
    pub(in crate::ipvs::kernel) const GET_DESTINATIONS: i32 = BASE + 4;
    pub(in crate::ipvs::kernel) const GET_TIMEOUTS: i32 = BASE + 6;
    pub(in crate::ipvs::kernel) const GET_DAEMONS: i32 = BASE + 7;
}

/// Address families, `sys/socket.h`.
pub(in crate::ipvs::kernel) mod family {
    pub(in crate::ipvs::kernel) const INET: u16 = 2;
    pub(in crate::ipvs::kernel) const INET6: u16 = 10;
}

/// Error numbers, the same on every architecture but alpha, mips, parisc and sparc for those
/// above 34; there such an error keeps its number and loses its words.
pub(in crate::ipvs::kernel) mod errno {
    pub(in crate::ipvs::kernel) const EPERM: i32 = 1;
    pub(in crate::ipvs::kernel) const ENOENT: i32 = 2;
    pub(in crate::ipvs::kernel) const ESRCH: i32 = 3;
    pub(in crate::ipvs::kernel) const EINTR: i32 = 4;
    pub(in crate::ipvs::kernel) const EAGAIN: i32 = 11;
    pub(in crate::ipvs::kernel) const ENOMEM: i32 = 12;
    pub(in crate::ipvs::kernel) const EACCES: i32 = 13;
    pub(in crate::ipvs::kernel) const EBUSY: i32 = 16;
    pub(in crate::ipvs::kernel) const EEXIST: i32 = 17;
    pub(in crate::ipvs::kernel) const ENODEV: i32 = 19;
    pub(in crate::ipvs::kernel) const EINVAL: i32 = 22;
    pub(in crate::ipvs::kernel) const ERANGE: i32 = 34;
    pub(in crate::ipvs::kernel) const ENOPROTOOPT: i32 = 92;
    pub(in crate::ipvs::kernel) const EAFNOSUPPORT: i32 = 97;
    pub(in crate::ipvs::kernel) const ENOBUFS: i32 = 105;
}

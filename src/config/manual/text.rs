//! The parts of the page that are not in any table.

use crate::config::Scope;

pub(super) const HEAD: &str = r#".\" Made from the table of directives: see CONTRIBUTING.md.
.TH LVS.CF 5 2026-11-22 Piranha "File formats"
.SH NAME
lvs.cf \- configuration of the Piranha load balancer
.SH SYNOPSIS
.B /etc/sysconfig/ha/lvs.cf
.SH DESCRIPTION
One file says what a pair of directors is: their addresses and heartbeats, the virtual services
they offer, and the real servers behind them.
Both directors have the same file.
Files of Piranha 0.8.6 and before are read as they are.
.PP
The file has one directive on each line,
.IR "name = value" ,
with blanks around the equals sign.
Directives that stand outside of any block concern the whole cluster; those of a service stand in a
block
.IR "virtual name {" ,
and those of a real server in a block
.I "server name {"
inside of it.
An opening brace ends its line, and a closing brace has a line of its own.
The names of blocks are labels for logs and messages.
.PP
A line whose first character other than a blank is # is a comment, and so is whatever follows a #
behind a complete directive.
A value with blanks has quotes around it, double or single.
Everything is case sensitive.
A directive that stands twice in a block has its last value.
.PP
A number is decimal, hexadecimal after 0x, or octal after 0.
A duration is a number of seconds, or a number with one of the units ms, s, m and h.
An address is an IPv4 or IPv6 address; names are not looked up, so that no name server can stop a
takeover.
.PP
A file with an error is not used at all, and nothing changes.
.B piranha config check
shows every error and warning with its place and, where one is known, the mend.
.SH EXAMPLE
.EX
primary = 192.0.2.11
backup = 192.0.2.12
backup_active = 1
keepalive = 500ms
deadtime = 2
network = nat
nat_router = 10.0.0.1 eth1:1

virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80
    scheduler = wlc
    check = http
    http_path = /health
    timeout = 5
    rise = 2
    fall = 2
    server one {
        address = 10.0.0.21
        active = 1
    }
    server two {
        address = 10.0.0.22
        active = 1
        weight = 2
    }
}
.EE
"#;

pub(super) const SCOPES: [(Scope, &str, &str); 3] = [
    (
        Scope::Global,
        "DIRECTIVES OUTSIDE OF ANY BLOCK",
        "They concern the directors and all services.",
    ),
    (
        Scope::Virtual,
        "DIRECTIVES IN A VIRTUAL BLOCK",
        "They concern one service. The directives of checks are here too: all real servers of a \
         service are checked in one way.",
    ),
    (Scope::Server, "DIRECTIVES IN A SERVER BLOCK", "They concern one real server of one service."),
];

pub(super) const DIAGNOSTICS: &str = r".SH DIAGNOSTICS
Codes that begin with E are errors, those with W warnings.
A code keeps its meaning for good.
";

pub(super) const TAIL: &str = r".SH FILES
.TP
.I /etc/sysconfig/ha/lvs.cf
The configuration, where Piranha always had it.
.SH SEE ALSO
.BR nanny (8),
.BR piranha\-config (8),
.BR ipvsadm (8)
";

//! What the program says of itself.

use std::io::{self, Write};

/// Writes the version: the ipvsadm this one stands in for, then its own.
///
/// # Errors
/// Those of `out`.
pub fn write_version(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "ipvsadm v1.31 (piranha {}, IPVS v1.2.1)", env!("CARGO_PKG_VERSION"))
}

/// Writes how `program` is used.
///
/// # Errors
/// Those of `out`.
pub fn write_usage(out: &mut dyn Write, program: &str) -> io::Result<()> {
    write_version(out)?;
    out.write_all(USAGE.replace("{}", program).as_bytes())
}

const USAGE: &str = "\
Usage:
  {} -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M MASK] [--pe ENGINE] [-b FLAGS] [-o]
  {} -D SERVICE
  {} -a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x UPPER] [-y LOWER] [TUNNEL]
  {} -d SERVICE -r SERVER
  {} -L|-l [SERVICE] [VIEW]
  {} -Z [SERVICE]
  {} -C | -S [-n] | -R [--check]
  {} --set TCP TCPFIN UDP
  {} --start-daemon master|backup [DAEMON]
  {} --stop-daemon master|backup
  {} -h | -v

Commands
  -A, --add-service      add a virtual service
  -E, --edit-service     replace the settings of a virtual service
  -D, --delete-service   remove a virtual service and its servers
  -C, --clear            remove every virtual service
  -a, --add-server       add a real server
  -e, --edit-server      replace the settings of a real server
  -d, --delete-server    remove a real server
  -L, -l, --list         list services, or what VIEW says
  -Z, --zero             zero the counters of a service, or all
  -S, --save             print the table as commands
  -R, --restore          read commands from standard input
      --set              set timeouts in seconds; 0 keeps one
      --start-daemon     start connection synchronisation
      --stop-daemon      stop it
  -h, --help             print this
  -v, --version          print the version

SERVICE
  -t, --tcp-service HOST[:PORT]    IPv6 as [ADDRESS]:PORT
  -u, --udp-service HOST[:PORT]
      --sctp-service HOST[:PORT]
  -f, --fwmark-service MARK        and -6, --ipv6 after it for IPv6

Settings of a service
  -s, --scheduler NAME       rr wrr lc wlc (default) lblc lblcr dh sh sed nq fo ovf mh twos
  -p, --persistent [SECONDS] keep a client with its server (default 360)
  -M, --netmask MASK         treat a network as one client: 255.255.255.0 or 24; IPv6: 64
      --pe ENGINE            persistence engine: sip
  -b, --sched-flags LIST     sh-fallback sh-port mh-fallback mh-port flag-1 flag-2 flag-3
  -o, --ops                  schedule each packet (UDP and firewall marks)

Settings of a server
  -r, --real-server HOST[:PORT]
  -g, --gatewaying           direct routing (default)
  -i, --ipip                 tunnelling
  -m, --masquerading         NAT
  -w, --weight NUMBER        0 to 2147483647 (default 1); 0 takes no new connections
  -x, --u-threshold NUMBER   connections at which it takes no more
  -y, --l-threshold NUMBER   connections below which it takes some again
TUNNEL
      --tun-type TYPE        ipip (default), gue or gre
      --tun-port PORT        for gue
      --tun-nocsum, --tun-csum, --tun-remcsum

VIEW
  -c, --connection           connections
      --timeout              timeouts
      --daemon               synchronisation daemons
      --stats, --rate        counters, rates
      --thresholds           connection thresholds
      --persistent-conn      persistent connections
      --tun-info             tunnels
  -X, --exact                all digits of large numbers
  -n, --numeric              numbers instead of names (also with -S)
      --nosort               in the kernel's order; --sort does nothing
      --json                 as JSON

DAEMON
      --syncid NUMBER        0 (default) to 255
      --mcast-interface NAME (default eth0)
      --mcast-group ADDRESS  (default 224.0.0.81)
      --mcast-port PORT      (default 8848)
      --mcast-ttl NUMBER     (default 1)
      --sync-maxlen BYTES    (default 1472)

With every command that changes something
      --dry-run              check, and print what would be done
With -R
      --check                check every line before the first is carried out

Exit status: 0 done; 1 cannot list; 2 mistake in the command line, or no IPVS;
255 refused by the kernel, or an option that does not exist.
";

//! A real director without a partner, on loopback, and a server beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::client::Asked;
use crate::daemon::{Daemon, Files, until, word_server};
use crate::site::{Session, Site};

/// Services of the directors of one test run lie on addresses of their own.
static NEXT: AtomicU8 = AtomicU8::new(1);

pub(crate) struct Director {
    pub(crate) site: Site,
    pub(crate) config: PathBuf,
    pub(crate) pulse: Daemon,
    pub(crate) _files: Files,
}

impl Director {
    /// One service, `web`, with two servers, `s1` and `s2`, that are up.
    pub(crate) fn new() -> Self {
        let at = addresses();
        let server = |name: &'static str, place: u8| {
            let port = word_server(&format!("{}:0", at(place)), name).port();
            let address = at(place);
            format!(
                "    server {name} {{\n        address = {address}\n        port = {port}\n        \
                 active = 1\n    }}\n"
            )
        };
        let text = format!(
            "# a comment that stays\nrole = primary\nprimary = {}\nheartbeat_port = 5391\n\
             keepalive = 50ms\ndeadtime = 300ms\ndataplane = relay\nvirtual web {{\n    \
             active = 1\n    address = {} lo\n    port = 8080\n    scheduler = rr\n    \
             check = connect\n    timeout = 100ms\n    rise = 1\n{}{}}}\n",
            at(0),
            at(1),
            server("s1", 2),
            server("s2", 3)
        );
        let director = Self::of(&text);
        let vera = director.site.log_in("vera");
        until("both servers are up", || {
            let answer = vera.sends(Asked::new("GET", "/api/v1/services/web"));
            director.site.client.ask(&answer).body.matches("\"state\":\"up\"").count() == 3
        });
        director
    }

    /// The primary of no pair, with this configuration.
    pub(crate) fn of(text: &str) -> Self {
        let files = Files::new();
        let config = files.write("lvs.cf", text);
        let mut pulse = Daemon::pulse(&config);
        pulse.expect("active, was acquiring");
        let site = Site::beside(Some(config.with_extension("control")));
        Self { site, config, pulse, _files: files }
    }

    /// A page as this user sees it.
    pub(crate) fn page(&self, session: &Session, path: &str) -> String {
        let asked = Asked::new("GET", path).with("cookie", &session.cookie);
        let answer = self.site.client.ask(&asked);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }
}

/// Two directors of one service, with a server of the GUI beside each; the first one is active.
pub(crate) struct Pair {
    pub(crate) sites: [Site; 2],
    _pulses: [Daemon; 2],
    _files: Files,
}

impl Pair {
    /// A pair with these services, whose addresses are those of `at`.
    pub(crate) fn new(at: &impl Fn(u8) -> String, services: &str) -> Self {
        let files = Files::new();
        let text = format!(
            "primary = {}\nbackup = {}\nbackup_active = 1\nheartbeat_port = 5393\n\
             keepalive = 200ms\ndeadtime = 3\ndataplane = relay\n{services}",
            at(0),
            at(1)
        );
        let start = |name: &str, role: &str| {
            let config = files.write(&format!("{name}.cf"), &format!("role = {role}\n{text}"));
            (Daemon::pulse(&config), Some(config.with_extension("control")))
        };
        let ((mut one, first), (mut other, second)) =
            (start("lb1", "primary"), start("lb2", "backup"));
        one.expect("active, was acquiring");
        other.expect("standby, was starting");
        let sites = [Site::beside(first), Site::beside(second)];
        Self { sites, _pulses: [one, other], _files: files }
    }
}

/// Addresses of loopback that no other test has, by a number up to 15.
pub(crate) fn addresses() -> impl Fn(u8) -> String {
    let pid = std::process::id();
    let (high, low) = (100 + pid % 100, pid / 100 % 250);
    let own = NEXT.fetch_add(16, Ordering::Relaxed);
    move |place| format!("127.{high}.{low}.{}", own.wrapping_add(place))
}

/// A virtual service at port 8080 of `vip`, with servers of these names and addresses.
pub(crate) fn service(name: &str, vip: &str, servers: &[(&str, SocketAddr)]) -> String {
    let server = |(name, address): &(&str, SocketAddr)| {
        let (ip, port) = (address.ip(), address.port());
        format!(
            "    server {name} {{\n        address = {ip}\n        port = {port}\n        \
             active = 1\n    }}\n"
        )
    };
    let servers: String = servers.iter().map(server).collect();
    format!(
        "virtual {name} {{\n    active = 1\n    address = {vip} lo\n    port = 8080\n    \
         scheduler = rr\n    check = connect\n    timeout = 2\n    rise = 1\n{servers}}}\n"
    )
}

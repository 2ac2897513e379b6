//! A real director without a partner, on loopback, and a server beside it.

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
        let pid = std::process::id();
        let (high, low) = (100 + pid % 100, pid / 100 % 250);
        let own = NEXT.fetch_add(16, Ordering::Relaxed);
        let at = |place: u8| format!("127.{high}.{low}.{}", own.wrapping_add(place));
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
        let files = Files::new();
        let config = files.write("lvs.cf", &text);
        let mut pulse = Daemon::pulse(&config);
        pulse.expect("active, was acquiring");
        let site = Site::beside(Some(config.with_extension("control")));
        let director = Self { site, config, pulse, _files: files };
        let vera = director.site.log_in("vera");
        until("both servers are up", || {
            let answer = vera.sends(Asked::new("GET", "/api/v1/services/web"));
            director.site.client.ask(&answer).body.matches("\"state\":\"up\"").count() == 3
        });
        director
    }

    /// A page as this user sees it.
    pub(crate) fn page(&self, session: &Session, path: &str) -> String {
        let asked = Asked::new("GET", path).with("cookie", &session.cookie);
        let answer = self.site.client.ask(&asked);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }
}

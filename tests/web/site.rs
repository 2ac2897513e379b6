//! A server in this process, with its accounts.

use std::path::PathBuf;

use piranha::runtime::web::{Options, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::client::{Answer, Asked, Client};

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) token: String,
    pub(crate) server_names: Vec<String>,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

/// A user who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Session {
    /// `asked`, as a page of the server sends it.
    pub(crate) fn sends(&self, asked: Asked) -> Asked {
        asked
            .with("cookie", &self.cookie)
            .with("x-piranha-csrf", &self.csrf)
            .with("sec-fetch-site", "same-origin")
    }
}

impl Site {
    /// A server without accounts, whose daemons have their sockets in `control`, or are not there.
    pub(crate) fn empty_beside(control: Option<PathBuf>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let mut options = Options::new(at("state"), control.unwrap_or_else(|| at("control")));
        options.listen = ([127, 0, 0, 1], 0).into();
        options.socket = Some(at("web.sock"));
        options.names = vec!["balancer.test".to_owned()];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(Server::bind(&options)).expect("it listens");
        let token = server.setup_token().expect("it can be made").expect("there is no user");
        let client = Client::new(server.address(), &at("state/server.pem"));
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(server.run(stopped));
        let server_names = options.names;
        Self { client, directory, token, server_names, _stop: stop, _runtime: runtime }
    }

    /// The same with an admin `root`, an operator `oscar` and a viewer `vera`.
    pub(crate) fn new() -> Self {
        Self::beside(None)
    }

    pub(crate) fn beside(control: Option<PathBuf>) -> Self {
        let site = Self::empty_beside(control);
        assert_eq!(site.set_up(&site.token, "root").status, 303);
        let root = site.log_in("root");
        for (name, role) in [("oscar", "operator"), ("vera", "viewer")] {
            let put = Asked::new("PUT", &format!("/api/v1/users/{name}"));
            let put = root.sends(put).json(&json!({ "role": role, "password": PASSWORD }));
            assert_eq!(site.client.ask(&put).status, 204);
        }
        site
    }

    pub(crate) fn set_up(&self, token: &str, user: &str) -> Answer {
        let form = format!("token={token}&user={user}&password={}", PASSWORD.replace(' ', "+"));
        let asked = Asked::new("POST", "/setup")
            .with("sec-fetch-site", "same-origin")
            .body("application/x-www-form-urlencoded", form.as_bytes());
        self.client.ask(&asked)
    }

    pub(crate) fn try_log_in(&self, user: &str, password: &str) -> Answer {
        let asked = Asked::new("POST", "/api/v1/session")
            .with("sec-fetch-site", "same-origin")
            .json(&json!({ "user": user, "password": password }));
        self.client.ask(&asked)
    }

    pub(crate) fn log_in(&self, user: &str) -> Session {
        let answer = self.try_log_in(user, PASSWORD);
        assert_eq!(answer.status, 200, "{answer:?}");
        session(&answer)
    }

    /// Asks as this user, and expects success.
    pub(crate) fn get(&self, session: &Session, path: &str) -> Value {
        let answer = self.client.ask(&session.sends(Asked::new("GET", path)));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

pub(crate) fn session(answer: &Answer) -> Session {
    let cookie = answer.field("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let csrf = answer.json()["csrf"].as_str().unwrap_or_default().to_owned();
    Session { cookie, csrf }
}

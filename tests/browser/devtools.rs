//! A browser, by the DevTools protocol: as much of it as the tests need.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::daemon::until;

/// How long a page may take for what a person would wait for, on a machine that does much else.
const WAIT: Duration = Duration::from_secs(60);

/// A browser with one page, or more.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    told: Vec<Value>,
    /// What each request was for.
    requests: BTreeMap<String, String>,
    _profile: tempfile::TempDir,
}

/// One page of a browser.
pub(crate) struct Tab(Option<String>);

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-port=0", "--ignore-certificate-errors", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium is installed");
        let file = profile.path().join("DevToolsActivePort");
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        until("the browser listens", || read().lines().count() >= 2);
        let text = read();
        let (port, path) = text.split_once('\n').expect("two lines");
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
        stream.set_read_timeout(Some(WAIT)).expect("a timeout");
        let url = format!("ws://127.0.0.1:{port}{}", path.trim());
        let (socket, _) = tungstenite::client(url, stream).expect("it speaks WebSocket");
        let (session, requests) = (None, BTreeMap::new());
        let mut browser =
            Self { child, socket, session, last: 0, told: Vec::new(), requests, _profile: profile };
        browser.open();
        browser
    }

    /// Opens one more page, in a window of its own that counts as looked at, and goes on with it.
    pub(crate) fn open(&mut self) -> Tab {
        self.session = None;
        let blank = json!({ "url": "about:blank", "newWindow": true });
        let target = self.call("Target.createTarget", &blank);
        let id = target["targetId"].clone();
        let attach = json!({ "targetId": id, "flatten": true });
        let attached = self.call("Target.attachToTarget", &attach);
        self.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        self.call("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        Tab(self.session.clone())
    }

    /// Goes on with this page.
    pub(crate) fn turn_to(&mut self, tab: &Tab) {
        self.session.clone_from(&tab.0);
    }

    /// Asks the browser, and keeps what else it tells meanwhile.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(request.to_string())).expect("it listens");
        loop {
            let heard = self.hear();
            if heard["id"] == id {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.keep(heard);
        }
    }

    fn hear(&mut self) -> Value {
        let message = self.socket.read().expect("the browser answers");
        serde_json::from_str(message.to_text().unwrap_or_default()).unwrap_or_default()
    }

    fn keep(&mut self, told: Value) {
        if told["method"] == "Network.requestWillBeSent" {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (id, url) = (&told["params"]["requestId"], &told["params"]["request"]["url"]);
            self.requests.insert(text(id), text(url));
        }
        self.told.push(told);
    }

    /// What an expression is worth on the page.
    pub(crate) fn worth(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
        });
        let worth = self.call("Runtime.evaluate", &asked);
        assert!(worth["exceptionDetails"].is_null(), "{expression}: {worth}");
        worth["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + WAIT;
        while self.worth(expression) != true {
            let text = "document.body.innerText.slice(0, 1500)";
            assert!(Instant::now() < deadline, "never: {expression}\n{}", self.worth(text));
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Goes to `url` and waits until everything of it is there.
    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.until(&format!(
            "document.readyState === 'complete' && location.href !== 'about:blank' && \
             (location.href === {url:?} || location.pathname === '/login')"
        ));
    }

    pub(crate) fn screen(&mut self, width: u32, theme: &str) {
        self.screen_of((width, 900), theme);
    }

    pub(crate) fn screen_of(&mut self, (width, height): (u32, u32), theme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// What a browser would show of the page, as PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        self.shot(&json!({ "format": "png" }))
    }

    /// The same of this part of it, so much enlarged.
    pub(crate) fn detail(&mut self, (x, y): (u32, u32), side: u32, scale: u32) -> String {
        let clip = json!({ "x": x, "y": y, "width": side, "height": side, "scale": scale });
        self.shot(&json!({ "format": "png", "clip": clip }))
    }

    fn shot(&mut self, how: &Value) -> String {
        let shot = self.call("Page.captureScreenshot", how);
        shot["data"].as_str().unwrap_or_default().to_owned()
    }

    /// What the browser has counted of the page under this name.
    pub(crate) fn metric(&mut self, name: &str) -> f64 {
        let metrics = self.call("Performance.getMetrics", &json!({}));
        let metrics = metrics["metrics"].as_array().cloned().unwrap_or_default();
        let found = metrics.iter().find(|metric| metric["name"] == name);
        found.and_then(|metric| metric["value"].as_f64()).unwrap_or_default()
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            let text = match key {
                "Enter" => "\r",
                " " => " ",
                _ => "",
            };
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Everything that went wrong since the last time: errors on the console, violations of the
    /// policy, requests that failed or went elsewhere than to `origin`.
    pub(crate) fn troubles(&mut self, origin: &str) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        let trouble = |event: &Value| {
            let about = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => Some(about["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if about["type"] == "error" => Some(about.to_string()),
                "Log.entryAdded" if about["entry"]["level"] == "error" => {
                    Some(about["entry"].to_string())
                }
                "Network.loadingFailed" if about["canceled"] != true => {
                    let url = self.requests.get(about["requestId"].as_str().unwrap_or_default());
                    Some(format!("{url:?}: {}", about["errorText"]))
                }
                "Network.requestWillBeSent" => {
                    let url = about["request"]["url"].as_str().unwrap_or_default();
                    let own = url.starts_with(origin) || url.starts_with("data:");
                    (!own && url != "about:blank").then(|| format!("went to {url}"))
                }
                _ => None,
            }
        };
        told.iter().filter_map(trouble).collect()
    }

    /// Bytes that came over the network since the last call of [`troubles`](Self::troubles).
    pub(crate) fn weight(&self) -> u64 {
        let finished =
            self.told.iter().filter(|event| event["method"] == "Network.loadingFinished");
        let bytes = finished.filter_map(|event| event["params"]["encodedDataLength"].as_f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few bytes")]
        let bytes = bytes.sum::<f64>() as u64;
        bytes
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

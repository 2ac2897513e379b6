//! Events posted as JSON.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Notify, WebUrl};
use crate::health::{Check, Header, HttpSpec, TlsSpec};
use crate::runtime::checks::http::Http;
use crate::runtime::checks::{Dialer, base64, secret};

/// Where a webhook is and how it is posted to.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) url: WebUrl,
    auth: Option<PathBuf>,
    ca: Option<PathBuf>,
    limit: Duration,
}

impl Webhook {
    pub(super) fn new(url: &WebUrl, notify: &Notify) -> Self {
        Self {
            url: url.clone(),
            auth: notify.auth.clone(),
            ca: notify.ca.clone(),
            limit: notify.timeout,
        }
    }

    /// Posts `body`; any status but 200 to 299 is a failure.
    ///
    /// # Errors
    /// Why it was not taken, in words.
    pub(super) async fn post(&self, body: &str) -> Result<(), String> {
        let spec = self.spec(body)?;
        let http = Http::new(&spec, Dialer::default()).map_err(|error| error.to_string())?;
        let http = http.with_authorization(self.authorization()?);
        let WebUrl { host, port, .. } = &self.url;
        let mut last = Err(format!("{host} has no address"));
        for address in super::resolve(host, *port, self.limit).await? {
            last = http.probe(address, self.limit).await.map_err(|failure| failure.to_string());
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn spec(&self, body: &str) -> Result<HttpSpec, String> {
        let content: Header = "Content-Type: application/json".parse()?;
        let tls = self.url.tls.then(|| TlsSpec { ca: self.ca.clone(), ..TlsSpec::default() });
        Ok(HttpSpec {
            method: "POST".to_owned(),
            path: self.url.path.clone(),
            host: Some(self.url.authority()),
            headers: vec![content],
            body: body.as_bytes().to_vec(),
            status: "200-299".parse()?,
            tls,
            ..HttpSpec::default()
        })
    }

    /// Read for each post, so that a new secret needs no reload.
    fn authorization(&self) -> Result<Option<String>, String> {
        let login = self.auth.as_deref().map(secret::read_login).transpose();
        let login = login.map_err(|error| error.to_string())?;
        Ok(login.map(|login| match login.user.as_str() {
            "" => format!("Bearer {}", login.password),
            user => {
                let plain = format!("{user}:{}", login.password);
                format!("Basic {}", base64::encode(plain.as_bytes()))
            }
        }))
    }
}

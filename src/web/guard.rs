//! Whether a request comes from where it says.

use std::net::IpAddr;

/// What a request says of where it comes from, in its header fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source<'a> {
    /// `Host`, or `:authority`.
    pub(crate) host: Option<&'a str>,
    /// `Origin`.
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub(crate) fetch_site: Option<&'a str>,
}

impl Source<'_> {
    /// Whether the request was meant for this server: a page elsewhere whose name was made to
    /// resolve to this address (DNS rebinding) names another host. An address as such cannot be
    /// rebound.
    pub(crate) fn is_meant_for(&self, names: &[String]) -> bool {
        let Some(host) = self.host.map(without_port) else { return false };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok() || names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether a browser sent the request from a page of this very server. What says nothing of
    /// where it comes from, as no browser does since 2020 when something is posted, is not.
    ///
    /// `Sec-Fetch-Site` cannot be set by a page (Fetch Metadata, W3C); where it is missing,
    /// `Origin` decides (RFC 6454).
    pub(crate) fn is_same_origin(&self) -> bool {
        match (self.fetch_site, self.origin, self.host) {
            (Some(site), _, _) => matches!(site, "same-origin" | "none"),
            (None, Some(origin), Some(host)) => {
                origin.strip_prefix("https://").is_some_and(|from| from.eq_ignore_ascii_case(host))
            }
            _ => false,
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Where a login may lead: a path of this server, nothing that a browser takes for another host.
pub(crate) fn is_local_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.len() < 512
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn posted(fetch_site: Option<&str>, origin: Option<&str>) -> bool {
        Source { host: Some("lb1:3637"), origin, fetch_site }.is_same_origin()
    }

    #[test]
    fn only_what_a_page_of_this_server_sends_is_of_the_same_origin() {
        assert!(posted(Some("same-origin"), Some("https://lb1:3637")));
        assert!(posted(Some("none"), None));
        assert!(posted(None, Some("https://lb1:3637")));
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert!(!posted(Some(site), Some("https://lb1:3637")), "{site}");
        }
        for origin in ["https://evil:3637", "http://lb1:3637", "https://lb1", "null", "lb1:3637"] {
            assert!(!posted(None, Some(origin)), "{origin}");
        }
        assert!(!posted(None, None));
    }

    #[test]
    fn a_strange_name_is_refused_and_addresses_and_own_names_are_not() {
        let names = ["lb1".to_owned(), "localhost".to_owned()];
        let meant = |host| Source { host, ..Source::default() }.is_meant_for(&names);
        for host in ["lb1", "LB1:3637", "localhost:1", "127.0.0.1:3637", "[::1]:3637", "[::1]"] {
            assert!(meant(Some(host)), "{host}");
        }
        for host in ["evil.example", "lb1.evil.example:3637", "127.0.0.1.evil.example", "", ":1"] {
            assert!(!meant(Some(host)), "{host}");
        }
        assert!(!meant(None));
    }

    proptest! {
        #[test]
        fn what_a_login_leads_to_has_no_other_host(path in ".{0,40}") {
            if is_local_path(&path) {
                prop_assert!(path.starts_with('/') && !path.starts_with("//"));
                prop_assert!(!path.contains(['\\', '\r', '\n', ' ', '\t']));
            }
        }
    }
}

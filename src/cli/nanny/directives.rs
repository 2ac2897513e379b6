//! A check described by directives of lvs.cf on the command line.
//!
//! They are put into a configuration and read as one, so that they mean and are refused what they
//! are there.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::cli::diagnostic::{Colors, render};
use crate::config::{Config, Descriptor, Scope, load};
use crate::health::{CheckPath, CheckSpec};
use crate::net::Protocol;

/// The check that `directives`, each `NAME=VALUE`, ask for, how it gets there, and the warnings
/// about them.
pub(super) fn read(
    directives: &[String],
    server: SocketAddr,
    protocol: Protocol,
) -> Result<(CheckSpec, CheckPath, String), String> {
    let text = configuration(directives, server, protocol)?;
    let loaded = load(text.as_bytes());
    let messages = render("--set", text.as_bytes(), &loaded.diagnostics, Colors::Off);
    let service = loaded.config.and_then(|config: Config| config.virtuals.into_iter().next());
    match service {
        Some(service) => Ok((service.check, service.check_path, messages)),
        None => Err(messages),
    }
}

fn configuration(
    directives: &[String],
    server: SocketAddr,
    protocol: Protocol,
) -> Result<String, String> {
    let (address, port) = (server.ip(), server.port());
    let protocol = if protocol == Protocol::Udp { "udp" } else { "tcp" };
    let mut text = format!("primary = {address}\nvirtual nanny {{\n");
    for directive in directives {
        let (name, value) = directive
            .split_once('=')
            .ok_or_else(|| format!("`{directive}` is not NAME=VALUE, such as --set check=https"))?;
        let (name, value) = (name.trim(), value.trim());
        if !is_about_checks(name) {
            return Err(format!("`{name}` is not a directive about checks, see lvs.cf(5)"));
        }
        if value.contains(['\n', '\r']) {
            return Err(format!("the value of `{name}` has more than one line"));
        }
        let _ = writeln!(text, "    {name} = {value}");
    }
    let _ = write!(
        text,
        "    active = 1\n    address = {address} lo\n    protocol = {protocol}\n    \
         port = {port}\n    server server {{\n        active = 1\n        \
         address = {address}\n    }}\n}}\n"
    );
    Ok(text)
}

fn is_about_checks(name: &str) -> bool {
    const OTHERS: [&str; 1] = ["check_timeout"];
    const PREFIXES: [&str; 7] = ["check", "dns_", "expect", "http_", "send", "tls_", "use_regex"];
    let known = Descriptor::ALL
        .iter()
        .any(|row| row.scope == Scope::Virtual && row.directive.name() == name);
    known && !OTHERS.contains(&name) && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(directives: &[&str]) -> Result<(CheckSpec, CheckPath, String), String> {
        let directives: Vec<_> = directives.iter().map(ToString::to_string).collect();
        read(&directives, "[2001:db8::1]:8443".parse().unwrap(), Protocol::Tcp)
    }

    #[test]
    fn directives_mean_what_they_mean_in_lvs_cf() {
        let (spec, path, _) =
            understood(&["check=https", "tls_verify = 0", "check_port=9443"]).unwrap();
        assert_eq!((spec.kind(), path.port), ("HTTPS", Some(9443)));
        let (.., warnings) = understood(&["check=https", "tls_verify=0"]).unwrap();
        assert!(warnings.contains("W0321"), "{warnings}");
        let (spec, ..) = understood(&["check = smtp", "check_tls = starttls"]).unwrap();
        assert_eq!(spec.kind(), "smtp");
    }

    #[test]
    fn what_is_wrong_with_a_directive_is_shown() {
        assert!(understood(&["check=htps"]).unwrap_err().contains("did you mean `http"));
        for other in ["weight=1", "check_timeout=1", "nonsense=1", "check", "}=", "check=a\nb"] {
            assert!(understood(&[other]).is_err(), "{other}");
        }
    }
}

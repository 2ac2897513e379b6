//! Checks. In keepalived each server has its own; in lvs.cf a service has one for all.

use std::net::SocketAddr;

use super::read::Node;
use super::{lose, probe};
use crate::config::import::importer::{Importer, duration, milliseconds};
use crate::config::import::ipvsadm::without_check;
use crate::config::import::service::Service;
use crate::net::Protocol;

/// How often keepalived checks where nothing else is said, in milliseconds.
const INTERVAL: u64 = 60_000;

/// The check of a service.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Check(Vec<Vec<String>>);

/// How often a service is checked.
#[derive(Clone, Copy, Default)]
pub(super) struct Timing {
    interval: Option<u64>,
    timeout: Option<u64>,
    retries: Option<u32>,
}

impl Timing {
    /// Reads a setting, if it is one of these.
    pub(super) fn read(&mut self, node: &Node, importer: &mut Importer<'_>) -> bool {
        let value = node.word(1).unwrap_or_default();
        let time = milliseconds(value);
        match node.keyword() {
            "delay_loop" => self.interval = time,
            "connect_timeout" | "misc_timeout" => self.timeout = time,
            "retry" | "nb_get_retry" => self.retries = value.parse().ok(),
            "delay_before_retry" => {
                importer.replaced(node.line, "a check is repeated at its interval");
                return true;
            }
            "warmup" => {
                importer.replaced(node.line, "first checks are spread without it");
                return true;
            }
            _ => return false,
        }
        if time.is_none() {
            importer.lost(node.line, "no number can be read here");
        }
        true
    }

    /// Sets what keepalived has by default, too: its intervals are not those of lvs.cf.
    pub(super) fn set(self, line: usize, service: &mut Service, importer: &mut Importer<'_>) {
        let interval = duration(self.interval.unwrap_or(INTERVAL));
        service.set("timeout", &interval, line, importer);
        let timeout = duration(self.timeout.unwrap_or(5000));
        service.set("check_timeout", &timeout, line, importer);
        let failures = self.retries.unwrap_or(1).saturating_add(1).to_string();
        service.set("fall", &failures, line, importer);
        service.set("rise", "1", line, importer);
    }
}

impl Check {
    pub(super) fn is_one(node: &Node) -> bool {
        let word = node.keyword();
        word.ends_with("_CHECK") || matches!(word, "HTTP_GET" | "SSL_GET")
    }

    /// Takes a server's check for all, or says that it is another one.
    pub(super) fn of_server(
        node: &Node,
        check: &mut Option<Self>,
        server: SocketAddr,
        timing: Timing,
        service: &mut Service,
        importer: &mut Importer<'_>,
    ) {
        let own = Self(flat(node, server));
        match check {
            Some(first) if *first == own => {}
            Some(_) => {
                lose(
                    node,
                    "all servers of a service are checked in one way, and the first server's check is another one",
                    importer,
                );
            }
            None => {
                *check = Some(own);
                express(node, server, timing, service, importer);
            }
        }
    }

    /// What is to be said where no server has a check.
    pub(super) fn finish(check: Option<Self>, service: &mut Service, importer: &mut Importer<'_>) {
        if check.is_some() {
            return;
        }
        without_check(service, importer);
        if service.protocol() == Protocol::Tcp {
            let reason = "keepalived does not check these servers; lvs makes a connection";
            importer.replaced(service.line, reason);
        }
    }
}

/// A check as a list of its words, without what is its server's own address and port.
fn flat(node: &Node, server: SocketAddr) -> Vec<Vec<String>> {
    let mut all = vec![vec![node.keyword().to_owned()]];
    for child in &node.children {
        let own_port = child.keyword() == "connect_port"
            && child.word(1) == Some(server.port().to_string().as_str());
        let command = child.word(1).filter(|_| child.keyword() == "misc_path");
        if let Some(command) = command.and_then(|text| probe::command(text, server).ok()) {
            all.push(vec!["misc_path".to_owned(), command]);
        } else if !own_port {
            all.push(child.words.clone());
            all.extend(flat(child, server));
        }
    }
    all
}

fn express(
    node: &Node,
    server: SocketAddr,
    mut timing: Timing,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    let line = node.line;
    match node.keyword() {
        "MISC_CHECK" => {
            probe::program(node, server, service, importer);
            timing.timeout = timing.interval.or(Some(INTERVAL));
        }
        "DNS_CHECK" => probe::dns(node, service, importer),
        "PING_CHECK" => service.set("check", "icmp", line, importer),
        _ if service.protocol() != Protocol::Tcp => {
            importer.lost(line, "lvs makes this check of a TCP service only");
        }
        "TCP_CHECK" => service.set("check", "connect", line, importer),
        "HTTP_GET" => http(node, "http", service, importer),
        "SSL_GET" => {
            http(node, "https", service, importer);
            service.set("tls_verify", "0", line, importer);
            importer.replaced(line, "keepalived verifies no certificate: see `tls_verify`");
        }
        "SMTP_CHECK" => {
            importer.replaced(line, "greeting and EHLO are checked, and the dialogue ends there");
            service.set("check", "smtp", line, importer);
        }
        _ => {
            importer.lost(line, "there is no such check");
            without_check(service, importer);
        }
    }
    let mut own = Timing::default();
    let own_port = server.port().to_string();
    for child in &node.children {
        match child.keyword() {
            word if is_about(node.keyword(), word) => {}
            "misc_dynamic" => importer.lost(child.line, "a status other than 0 is a failure"),
            "enable_sni" => importer.replaced(child.line, "a check always says the name it wants"),
            "connect_port" if child.word(1) == Some(own_port.as_str()) => {}
            word @ ("connect_port" | "bindto" | "fwmark") => {
                let directive = match word {
                    "connect_port" => "check_port",
                    "bindto" => "check_source",
                    _ => "check_mark",
                };
                let value = child.word(1).unwrap_or_default();
                service.set(directive, value, child.line, importer);
            }
            _ if own.read(child, importer) => {}
            _ => lose(child, "lvs.cf has nothing like it for a check", importer),
        }
    }
    timing.timeout = own.timeout.or(timing.timeout);
    timing.retries = own.retries.or(timing.retries);
    timing.interval = own.interval.or(timing.interval);
    timing.set(line, service, importer);
}

/// Whether a setting is one of this kind of check, which has read it.
fn is_about(check: &str, setting: &str) -> bool {
    match check {
        "HTTP_GET" | "SSL_GET" => matches!(setting, "url" | "virtualhost"),
        "MISC_CHECK" => matches!(setting, "misc_path" | "user"),
        "DNS_CHECK" => matches!(setting, "type" | "name"),
        _ => false,
    }
}

fn http(node: &Node, kind: &str, service: &mut Service, importer: &mut Importer<'_>) {
    service.set("check", kind, node.line, importer);
    let mut urls = node.children.iter().filter(|child| child.keyword() == "url");
    let virtual_host = node.children.iter().find(|child| child.keyword() == "virtualhost");
    if let Some(child) = virtual_host {
        service.set("http_host", child.word(1).unwrap_or_default(), child.line, importer);
    }
    let mut judged = false;
    for child in urls.next().map(|url| url.children.as_slice()).unwrap_or_default() {
        let value = child.word(1).unwrap_or_default();
        match child.keyword() {
            "path" => service.set("http_path", value, child.line, importer),
            "virtualhost" => service.set("http_host", value, child.line, importer),
            "status_code" => {
                judged = true;
                service.set("http_status", &child.rest().join(","), child.line, importer);
            }
            "regex" => {
                service.set("http_expect", value, child.line, importer);
                service.set("use_regex", "1", child.line, importer);
            }
            "digest" => {
                judged = true;
                importer.lost(child.line, "contents are not compared: the status is");
            }
            _ => lose(child, "lvs.cf has nothing like it for an HTTP check", importer),
        }
    }
    if !judged {
        service.set("http_status", "200-299", node.line, importer);
    }
    for url in urls {
        lose(url, "an HTTP check asks for one path", importer);
    }
}

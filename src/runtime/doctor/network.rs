//! Interfaces, packet filters, and who answers for the addresses of the service.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::machine::note_setting;
use crate::config::Config;
use crate::control::doctor::{Chain, Claim, Facts, Interface, parse_iptables, parse_nft};
use crate::runtime::addresses::{ask, route::Route};
use crate::wire::ethernet::MacAddr;
use crate::wire::rtnetlink::Link;

/// How long answers of neighbours are waited for.
const PATIENCE: Duration = Duration::from_millis(700);

/// Addresses that are asked for at most: one frame each.
const ASKED: usize = 64;

/// How long a program that lists rules may take.
const LISTING: Duration = Duration::from_secs(3);

pub(super) async fn look(config: &Config, facts: &mut Facts) {
    match interfaces() {
        Ok((links, interfaces)) => {
            facts.interfaces = interfaces;
            note_settings(facts);
            claims(config, &links, facts).await;
        }
        Err(error) => facts.unseen.push(("network interfaces".to_owned(), error.to_string())),
    }
    facts.chains = chains(&mut facts.unseen).await;
}

fn interfaces() -> io::Result<(Vec<Link>, Vec<Interface>)> {
    let mut route = Route::open()?;
    let (links, addresses) = (route.links()?, route.addresses()?);
    let interface = |link: &Link| {
        let own = addresses.iter().filter(|address| address.index() == link.index());
        let own = own.map(|address| (address.address(), address.prefix())).collect();
        let mut interface = Interface::new(link.name(), own);
        (interface.is_up, interface.is_running) = (link.is_up(), link.is_running());
        interface
    };
    let interfaces = links.iter().map(interface).collect();
    Ok((links, interfaces))
}

fn note_settings(facts: &mut Facts) {
    let names: Vec<_> = facts.interfaces.iter().map(|interface| interface.name.clone()).collect();
    for name in names.iter().filter(|name| !name.contains(['.', '/'])) {
        for setting in ["rp_filter", "send_redirects", "arp_ignore", "arp_announce"] {
            note_setting(&format!("net.ipv4.conf.{name}.{setting}"), facts);
        }
    }
}

/// Asks on the links of the VIPs who has them, and on those of the own addresses who else has.
async fn claims(config: &Config, links: &[Link], facts: &mut Facts) {
    let link = |device: &str| {
        let name = device.split(':').next().unwrap_or(device);
        links.iter().find(|link| link.name() == name && link.hardware().is_some())
    };
    let vips = config.active_virtuals().filter_map(|v| Some((link(&v.device)?, v.address)));
    let mut wanted: Vec<_> = vips.collect();
    for interface in &facts.interfaces {
        let ends = interface.addresses.iter().map(|(address, _)| *address);
        let ends = ends.filter(|&own| own == config.primary || config.backup == Some(own));
        wanted.extend(ends.filter_map(|own| Some((link(&interface.name)?, own))));
    }
    let mut known = BTreeSet::new();
    wanted.retain(|(link, address)| known.insert((link.index(), *address)));
    wanted.truncate(ASKED);
    if wanted.is_empty() {
        return;
    }
    match ask(&wanted, PATIENCE).await {
        Ok(answers) => facts.claims = told(answers, links),
        Err(error) => {
            facts.unseen.push(("who answers for the VIPs".to_owned(), error.to_string()));
        }
    }
}

/// What this machine itself says is no claim.
fn told(answers: BTreeSet<(IpAddr, MacAddr)>, links: &[Link]) -> Vec<Claim> {
    let neighbours = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    let own: BTreeSet<_> = links.iter().filter_map(Link::hardware).collect();
    let foreign = answers.into_iter().filter(|(_, station)| !own.contains(station));
    let claim = |(address, station): (IpAddr, MacAddr)| {
        let known_as = neighbours.lines().filter_map(|line| neighbour(line, station));
        Claim::new(address, station, known_as.filter(|known| *known != address).collect())
    };
    foreign.map(claim).collect()
}

/// The address in a line of `/proc/net/arp` about `station`.
fn neighbour(line: &str, station: MacAddr) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace();
    let address = fields.next()?.parse().ok()?;
    (fields.nth(2)? == station.to_string()).then_some(address)
}

/// The chains of nftables, and those of the older iptables, which nft does not list.
async fn chains(unseen: &mut Vec<(String, String)>) -> Vec<Chain> {
    let mut chains = Vec::new();
    match list("nft", &["list", "ruleset"]).await {
        Ok(text) => chains.extend(parse_nft(&text)),
        Err(Some(why)) => unseen.push(("packet filters (nft)".to_owned(), why)),
        Err(None) => {}
    }
    if std::path::Path::new("/proc/net/ip_tables_names").exists() {
        match list("iptables-legacy-save", &["-t", "filter"]).await {
            Ok(text) => chains.extend(parse_iptables(&text)),
            Err(Some(why)) => unseen.push(("packet filters (iptables)".to_owned(), why)),
            Err(None) => {}
        }
    }
    chains
}

/// What a program prints; `Err(None)` where it is not installed.
async fn list(program: &str, arguments: &[&str]) -> Result<String, Option<String>> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    let output = tokio::time::timeout(LISTING, command.kill_on_drop(true).output()).await;
    match output {
        Err(_late) => Err(Some(format!("{program} took longer than {LISTING:?}"))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(None),
        Ok(Err(error)) => Err(Some(error.to_string())),
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(Some(text.lines().next().unwrap_or("it failed").to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_known_by_its_hardware_address() {
        let line = "192.0.2.11       0x1         0x2         02:00:00:00:00:07     *        eth0";
        let station = MacAddr([2, 0, 0, 0, 0, 7]);
        assert_eq!(neighbour(line, station), Some("192.0.2.11".parse().unwrap()));
        assert_eq!(neighbour(line, MacAddr([2, 0, 0, 0, 0, 8])), None);
        let heading =
            "IP address       HW type     Flags       HW address            Mask     Device";
        assert_eq!(neighbour(heading, station), None);
    }
}

//! The kernel: modules, settings, timeouts, the clock.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::control::doctor::Facts;
use crate::runtime::kernel::Client;
use crate::runtime::sys;

/// Settings that do not belong to an interface.
const SETTINGS: [&str; 8] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv6.ip_nonlocal_bind",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.vs.conntrack",
];

pub(super) fn look(facts: &mut Facts) {
    facts.modules = modules();
    facts.ipvs = Some(ipvs(&facts.modules));
    for name in SETTINGS {
        note_setting(name, facts);
    }
    if Path::new("/proc/net/ip_vs").exists() {
        match Client::new().and_then(|mut client| client.timeouts()) {
            Ok(kept) => {
                facts.timeouts =
                    Some([kept.tcp, kept.tcp_fin, kept.udp].map(|kept| kept.as_secs()));
            }
            Err(error) => facts.unseen.push(("the timeouts of IPVS".to_owned(), error.to_string())),
        }
    }
    facts.synchronised = sys::is_clock_synchronised().ok();
}

/// Reads one setting; what this kernel does not have is left out.
pub(super) fn note_setting(name: &str, facts: &mut Facts) {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    if let Ok(value) = fs::read_to_string(path) {
        facts.settings.insert(name.to_owned(), value.trim().to_owned());
    }
}

fn ipvs(modules: &BTreeSet<String>) -> Result<(), String> {
    if Path::new("/proc/net/ip_vs").exists() || modules.contains("ip_vs") {
        return Ok(());
    }
    Err("the module ip_vs is neither loaded nor below /lib/modules".to_owned())
}

/// The modules of IPVS that are there in any way.
fn modules() -> BTreeSet<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let lists = ["modules.builtin", "modules.dep"]
        .map(|name| Path::new("/lib/modules").join(release.trim()).join(name));
    let mut modules = BTreeSet::new();
    for list in lists {
        let text = fs::read_to_string(list).unwrap_or_default();
        modules.extend(text.lines().filter_map(|line| of_ipvs(line.split(':').next()?)));
    }
    let loaded = fs::read_to_string("/proc/modules").unwrap_or_default();
    modules.extend(loaded.lines().filter_map(|line| of_ipvs(line.split(' ').next()?)));
    modules
}

/// The name of a module of IPVS by its path or name.
fn of_ipvs(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = file.split(".ko").next()?.replace('-', "_");
    name.starts_with("ip_vs").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_by_its_path_however_it_is_packed() {
        let name = |path| of_ipvs(path).unwrap_or_default();
        assert_eq!(name("kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz"), "ip_vs_wlc");
        assert_eq!(name("ip_vs"), "ip_vs");
        assert_eq!(name("kernel/net/ipv4/ip_tunnel.ko"), "");
    }
}

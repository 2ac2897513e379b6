//! Modules and settings of the kernel.

use std::collections::BTreeSet;

use super::{Facts, Finding, FindingCode, Grade};
use crate::config::{Config, DataPlane};
use crate::ipvs::Forwarding;
use crate::net::Family;

pub(super) fn judge(config: &Config, facts: &Facts, findings: &mut Vec<Finding>) {
    findings.extend(ipvs(config, facts));
    if uses_kernel(config, facts) {
        findings.extend(schedulers(config, facts));
        findings.extend(forwarding(config, facts));
        findings.extend(redirects(config, facts));
        findings.extend(timeouts(config, facts));
    }
    findings.extend(reverse_path(facts));
}

/// Whether the kernel carries the traffic, or would.
pub(super) fn uses_kernel(config: &Config, facts: &Facts) -> bool {
    match config.dataplane {
        DataPlane::Relay => false,
        DataPlane::Kernel => true,
        DataPlane::Auto => matches!(facts.ipvs, Some(Ok(()))),
    }
}

fn ipvs(config: &Config, facts: &Facts) -> Option<Finding> {
    let Some(Err(why)) = &facts.ipvs else { return None };
    let (grade, message) = match config.dataplane {
        DataPlane::Relay => return None,
        DataPlane::Kernel => {
            (Grade::Critical, "dataplane = kernel, and the kernel's IPVS is not there")
        }
        DataPlane::Auto => {
            (Grade::Ok, "the kernel's IPVS is not there: the relay carries the traffic")
        }
    };
    Some(Finding::new(FindingCode::NoIpvs, grade, message, why, "modprobe ip_vs"))
}

fn schedulers(config: &Config, facts: &Facts) -> Vec<Finding> {
    if facts.modules.is_empty() {
        return Vec::new();
    }
    let used: BTreeSet<_> = config.active_virtuals().map(|v| v.scheduler.to_string()).collect();
    let module = |name: &String| format!("ip_vs_{name}");
    let missing = used.iter().map(module).filter(|module| !facts.modules.contains(module));
    let finding = |module: String| {
        Finding::new(
            FindingCode::NoScheduler,
            Grade::Critical,
            format!("the kernel has no module {module}, which a service needs"),
            "neither loaded, nor built in, nor below /lib/modules",
            "install the kernel's extra modules, or choose another scheduler",
        )
    };
    missing.map(finding).collect()
}

fn forwarding(config: &Config, facts: &Facts) -> Vec<Finding> {
    let wanted =
        [(Family::Ipv4, "net.ipv4.ip_forward"), (Family::Ipv6, "net.ipv6.conf.all.forwarding")];
    let nat = |family| {
        let mut services = config.active_virtuals();
        services.any(|v| v.forwarding == Forwarding::Nat && Family::of(v.address) == family)
    };
    let off = wanted.into_iter().filter(|&(family, name)| nat(family) && is_zero(facts, name));
    let finding = |(_, name): (Family, &str)| {
        Finding::new(
            FindingCode::NoForwarding,
            Grade::Critical,
            "this machine forwards no packets: the answers of NAT servers end here",
            format!("{name} = 0"),
            format!("sysctl -w {name}=1"),
        )
    };
    off.map(finding).collect()
}

/// With the servers of NAT on the clients' link a redirect tells clients the way past the director.
fn redirects(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut devices = BTreeSet::new();
    for v in config.active_virtuals().filter(|v| v.forwarding == Forwarding::Nat) {
        let device = super::addresses::link(&v.device);
        let Some(interface) = facts.interfaces.iter().find(|one| one.name == device) else {
            continue;
        };
        let mut servers = v.active_servers().map(|server| server.address.ip());
        if servers.any(|server| server.is_ipv4() && super::addresses::is_on(interface, server)) {
            devices.insert(device);
        }
    }
    let name = |device: &str| format!("net.ipv4.conf.{device}.send_redirects");
    let redirects = |device: &&&str| is_one(facts, &name(device));
    let finding = |device: &&str| {
        let name = name(device);
        Finding::new(
            FindingCode::SendRedirects,
            Grade::Warning,
            format!("NAT servers are on the link of the VIP, and {device} sends redirects"),
            format!("{name} = 1"),
            format!("sysctl -w net.ipv4.conf.all.send_redirects=0 {name}=0"),
        )
    };
    devices.iter().filter(redirects).map(finding).collect()
}

fn timeouts(config: &Config, facts: &Facts) -> Option<Finding> {
    let kept = facts.timeouts?;
    let wanted = [config.tcp_timeout, config.tcpfin_timeout, config.udp_timeout];
    let wanted = wanted.map(|timeout| timeout.map_or(0, |timeout| timeout.as_secs()));
    let differs = wanted.iter().zip(&kept).any(|(wanted, kept)| *wanted != 0 && wanted != kept);
    // Before it was started nobody has set them.
    if !differs || facts.state.is_none() {
        return None;
    }
    let set: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    Some(Finding::new(
        FindingCode::Timeouts,
        Grade::Warning,
        "IPVS keeps connections for other times than lvs.cf says: somebody has set them",
        format!("tcp {} s, tcpfin {} s, udp {} s", kept[0], kept[1], kept[2]),
        format!("ipvsadm --set {}", set.join(" ")),
    ))
}

/// Two interfaces on one network: what comes in on the one that has no route back is dropped.
fn reverse_path(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, one) in facts.interfaces.iter().enumerate() {
        for other in &facts.interfaces[place + 1..] {
            let shared = other.addresses.iter().find(|(address, _)| {
                address.is_ipv4()
                    && !address.is_loopback()
                    && super::addresses::is_on(one, *address)
            });
            let strict = [&one.name, &other.name].into_iter().find(|name| is_strict(facts, name));
            if let (Some((address, _)), Some(name)) = (shared, strict) {
                findings.push(Finding::new(
                    FindingCode::ReversePath,
                    Grade::Warning,
                    format!("{} and {} are on one network, and {name} drops what has its way back on the other", one.name, other.name),
                    format!("{address} on {}; net.ipv4.conf.{name}.rp_filter = 1", other.name),
                    format!("sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.{name}.rp_filter=2"),
                ));
            }
        }
    }
    findings
}

/// The kernel goes by the larger of the setting for all and that of the interface.
fn is_strict(facts: &Facts, name: &str) -> bool {
    let value = |name: &str| facts.settings.get(&format!("net.ipv4.conf.{name}.rp_filter"));
    value("all").max(value(name)).is_some_and(|value| value == "1")
}

pub(super) fn is_zero(facts: &Facts, name: &str) -> bool {
    facts.settings.get(name).is_some_and(|value| value == "0")
}

fn is_one(facts: &Facts, name: &str) -> bool {
    facts.settings.get(name).is_some_and(|value| value == "1")
}

//! Interfaces, addresses, and who else says that it has them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Claim, Facts, Finding, FindingCode, Grade, Interface};
use crate::config::{Config, Virtual};
use crate::failover::State;
use crate::ipvs::Forwarding;

pub(super) fn judge(config: &Config, facts: &Facts, findings: &mut Vec<Finding>) {
    if !facts.interfaces.is_empty() {
        findings.extend(
            devices(config)
                .into_iter()
                .filter_map(|(device, why)| link_state(facts, &device, &why)),
        );
        findings.extend(own_address(config, facts));
        findings.extend(check_sources(config, facts));
        findings.extend(duplicates(facts));
    }
    findings.extend(claims(config, facts));
}

/// The interface of a device with a label: `eth0` of `eth0:1`.
pub(super) fn link(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

/// Whether `address` is on a network of `interface`.
pub(super) fn is_on(interface: &Interface, address: IpAddr) -> bool {
    interface.addresses.iter().any(|&(own, prefix)| match (own, address) {
        (IpAddr::V4(own), IpAddr::V4(other)) => {
            let shift = 32_u32.saturating_sub(prefix.into());
            prefix > 0 && own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(own), IpAddr::V6(other)) => {
            let shift = 128_u32.saturating_sub(prefix.into());
            prefix > 0 && own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
        }
        _ => false,
    })
}

/// The interfaces that lvs.cf names, each with what for.
fn devices(config: &Config) -> BTreeMap<String, String> {
    let mut devices = BTreeMap::new();
    let mut add = |device: &str, why: String| {
        devices.entry(link(device).to_owned()).or_insert(why);
    };
    for v in config.active_virtuals().chain(config.active_failovers().map(|f| &f.service)) {
        add(&v.device, format!("the VIP of {}", v.name));
    }
    if let Some((_, device)) = &config.nat_router {
        add(device, "nat_router".to_owned());
    }
    if config.syncdaemon {
        add(&config.syncd_iface, "syncd_iface".to_owned());
    }
    if let Some(vrrp) = &config.vrrp {
        add(&vrrp.interface, "vrrp_interface".to_owned());
    }
    config.guards.interfaces.iter().for_each(|one| add(one, "track_interface".to_owned()));
    devices
}

fn link_state(facts: &Facts, device: &str, why: &str) -> Option<Finding> {
    let Some(interface) = facts.interfaces.iter().find(|one| one.name == device) else {
        let names: Vec<_> = facts.interfaces.iter().map(|one| one.name.as_str()).collect();
        return Some(Finding::new(
            FindingCode::NoInterface,
            Grade::Critical,
            format!("there is no interface {device}, which lvs.cf names for {why}"),
            format!("there are: {}", names.join(", ")),
            "give the name of one that is there in lvs.cf",
        ));
    };
    if interface.is_up && interface.is_running {
        return None;
    }
    let (evidence, mend) = if interface.is_up {
        ("no carrier", format!("see the cable and the switch: ethtool {device}"))
    } else {
        ("switched off", format!("ip link set {device} up"))
    };
    let message = format!("{device} is down, which lvs.cf names for {why}");
    Some(Finding::new(FindingCode::LinkDown, Grade::Critical, message, evidence, mend))
}

fn is_own(facts: &Facts, address: IpAddr) -> bool {
    let mut all = facts.interfaces.iter().flat_map(|interface| &interface.addresses);
    address.is_loopback() || all.any(|(own, _)| *own == address)
}

/// Without `role` the node that has `primary` is the primary; heartbeats come from it in any case.
fn own_address(config: &Config, facts: &Facts) -> Option<Finding> {
    let ends: Vec<_> = std::iter::once(config.primary).chain(config.backup).collect();
    if ends.iter().any(|&end| is_own(facts, end)) {
        return None;
    }
    let ends: Vec<_> = ends.iter().map(ToString::to_string).collect();
    Some(Finding::new(
        FindingCode::NoOwnAddress,
        Grade::Critical,
        "this machine has neither the address of the primary nor that of the backup",
        format!("not here: {}", ends.join(", ")),
        "give this machine one of them, or mend primary and backup in lvs.cf",
    ))
}

fn check_sources(config: &Config, facts: &Facts) -> Vec<Finding> {
    let sources = config.active_virtuals().filter_map(|v| Some((v.check_path.source?, &v.name)));
    let sources: BTreeMap<_, _> = sources.filter(|&(source, _)| !is_own(facts, source)).collect();
    let foreign = sources.iter().filter(|(source, _)| !binds_foreign(facts, **source));
    let finding = |(source, service): (&IpAddr, &&String)| {
        Finding::new(
            FindingCode::CheckSource,
            Grade::Critical,
            format!("checks of {service} come from {source}, which this machine has not"),
            format!("no interface has {source}, and {} = 0", nonlocal(*source)),
            format!("give it to an interface, or sysctl -w {}=1", nonlocal(*source)),
        )
    };
    foreign.map(finding).collect()
}

fn binds_foreign(facts: &Facts, address: IpAddr) -> bool {
    facts.settings.get(nonlocal(address)).is_some_and(|value| value == "1")
}

const fn nonlocal(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "net.ipv4.ip_nonlocal_bind" } else { "net.ipv6.ip_nonlocal_bind" }
}

fn duplicates(facts: &Facts) -> Vec<Finding> {
    let mut seen: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    for interface in &facts.interfaces {
        for (address, _) in interface.addresses.iter().filter(|(one, _)| !is_link_local(*one)) {
            seen.entry(*address).or_default().insert(&interface.name);
        }
    }
    let twice = seen.into_iter().filter(|(_, names)| names.len() > 1);
    let finding = |(address, names): (IpAddr, BTreeSet<&str>)| {
        let last = names.last().copied().unwrap_or_default();
        Finding::new(
            FindingCode::DuplicateAddress,
            Grade::Warning,
            format!("{address} is on several interfaces of this machine"),
            names.iter().copied().collect::<Vec<_>>().join(", "),
            format!("ip address del {address} dev {last}"),
        )
    };
    twice.map(finding).collect()
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn claims(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut others: BTreeMap<IpAddr, Vec<&Claim>> = BTreeMap::new();
    let mut findings = Vec::new();
    for claim in &facts.claims {
        match answering_server(config, claim) {
            Some((v, server)) => findings.push(server_answers(v, &server, claim)),
            None => others.entry(claim.address).or_default().push(claim),
        }
    }
    for (address, claims) in others {
        let held = is_own(facts, address);
        // On a standby the active partner is the one that answers.
        let expected = usize::from(!held && facts.state == Some(State::Standby));
        if claims.len() > expected {
            findings.push(conflict(address, held, &claims));
        }
    }
    findings
}

/// The service of the VIP, and the server of it, that a claim comes from.
fn answering_server<'a>(config: &'a Config, claim: &Claim) -> Option<(&'a Virtual, String)> {
    let services = config.active_virtuals().filter(|v| v.address == claim.address);
    let mut direct = services.filter(|v| v.forwarding != Forwarding::Nat);
    direct.find_map(|v| {
        let server = v.servers.iter().find(|one| claim.known_as.contains(&one.address.ip()))?;
        Some((v, format!("{}/{}", v.name, server.name)))
    })
}

fn server_answers(v: &Virtual, server: &str, claim: &Claim) -> Finding {
    let mend = "on that server: sysctl -w net.ipv4.conf.all.arp_ignore=1 \
                net.ipv4.conf.all.arp_announce=2, and the VIP on lo";
    Finding::new(
        FindingCode::ServerAnswers,
        Grade::Critical,
        format!(
            "the real server {server} answers for the VIP {}: clients go past the director",
            v.address
        ),
        format!("{} says that it has {}", claim.station, claim.address),
        mend,
    )
}

fn conflict(address: IpAddr, held: bool, claims: &[&Claim]) -> Finding {
    let stations: Vec<_> = claims.iter().map(|claim| claim.station.to_string()).collect();
    let message = if held {
        format!("another station answers for {address}, which is held here")
    } else {
        format!(
            "somebody else answers for {address}, and pulse does not say that it is the partner"
        )
    };
    Finding::new(
        FindingCode::AddressConflict,
        Grade::Critical,
        message,
        format!("answers from {}", stations.join(", ")),
        format!("find it (ip neigh, the switch's table) and take {address} from it"),
    )
}

//! Files, users, room, the clock, certificates, and which programs run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Certificate, Facts, FileFact, Finding, FindingCode, Grade, Space};

/// Less room than this is as good as none.
const SCARCE: u64 = 16 << 20;

/// A step back of the clock that is worth a word.
const STEP: Duration = Duration::from_secs(2);

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.extend(facts.files.iter().filter_map(file));
    findings.extend(facts.users.iter().filter(|(_, there)| !**there).map(|(name, _)| user(name)));
    findings.extend(facts.spaces.iter().filter_map(space));
    findings.extend(clock(facts));
    findings.extend(facts.certificates.iter().filter_map(certificate));
    findings.extend(versions(facts));
    findings.extend(["pulse", "lvs"].iter().filter_map(|daemon| running(facts, daemon)));
    findings.extend(facts.unseen.iter().map(unseen));
}

fn file(fact: &FileFact) -> Option<Finding> {
    let (path, purpose) = (fact.path.display(), &fact.purpose);
    let seen = match &fact.seen {
        Ok(seen) => seen,
        Err(why) => {
            return Some(Finding::new(
                FindingCode::NoFile,
                Grade::Critical,
                format!("{path} cannot be used, which {purpose} names"),
                why,
                format!("ls -l {path}"),
            ));
        }
    };
    let (forbidden, mend) = if fact.is_secret {
        (0o077, format!("chmod 600 {path}"))
    } else {
        (0o022, format!("chmod go-w {path}"))
    };
    let who = if fact.is_secret { "read the secret in" } else { "change" };
    (seen.mode & forbidden != 0).then(|| {
        Finding::new(
            FindingCode::Permissions,
            Grade::Critical,
            format!("others may {who} {path} ({purpose})"),
            format!("mode {:04o}, owner {}", seen.mode & 0o7777, seen.owner),
            mend,
        )
    })
}

fn user(name: &str) -> Finding {
    Finding::new(
        FindingCode::NoUser,
        Grade::Critical,
        format!("there is no user {name}, as whom lvs.cf has programs run"),
        "not in /etc/passwd",
        format!("useradd --system {name}"),
    )
}

fn space(space: &Space) -> Option<Finding> {
    let path = space.path.display();
    let (message, evidence) = if space.is_read_only {
        (format!("nothing can be written to {path}"), "mounted read-only".to_owned())
    } else if space.free < SCARCE {
        (format!("there is no room left in {path}"), format!("{} kB free", space.free >> 10))
    } else {
        return None;
    };
    Some(Finding::new(
        FindingCode::NoSpace,
        Grade::Warning,
        message,
        evidence,
        format!("df -h {path}"),
    ))
}

fn clock(facts: &Facts) -> Vec<Finding> {
    let warn = |message: &str, evidence: String| {
        let mend = "timedatectl set-ntp true, or install chrony";
        Finding::new(FindingCode::Clock, Grade::Warning, message, evidence, mend)
    };
    let mut findings = Vec::new();
    if facts.synchronised == Some(false) {
        let evidence = "the kernel says: unsynchronised".to_owned();
        findings.push(warn("the clock of this machine is not kept right", evidence));
    }
    if let Some(step) = facts.set_back.filter(|step| *step > STEP) {
        let evidence =
            format!("an event happened {} s before the one that came first", step.as_secs());
        findings.push(warn("the clock of this machine was set back", evidence));
    }
    findings
}

fn certificate(seen: &Certificate) -> Option<Finding> {
    if seen.days >= seen.warning && seen.days > 0 {
        return None;
    }
    let grade = if seen.days == 0 { Grade::Critical } else { Grade::Warning };
    Some(Finding::new(
        FindingCode::CertificateExpires,
        grade,
        format!("the certificate of {} expires soon", seen.server),
        format!("in {} days", seen.days),
        "renew it on the server",
    ))
}

fn versions(facts: &Facts) -> Option<Finding> {
    let different: BTreeSet<_> = facts.versions.values().collect();
    if different.len() < 2 {
        return None;
    }
    let each: Vec<_> = facts.versions.iter().map(|(name, v)| format!("{name} {v}")).collect();
    Some(Finding::new(
        FindingCode::Versions,
        Grade::Warning,
        "programs of different versions run on this node",
        each.join(", "),
        "systemctl restart pulse, on the standby first",
    ))
}

fn running(facts: &Facts, daemon: &str) -> Option<Finding> {
    let is_running = facts.versions.contains_key(daemon);
    (!is_running).then(|| {
        Finding::new(
            FindingCode::NotRunning,
            Grade::Warning,
            format!("{daemon} does not answer: it does not run, or may not be asked"),
            format!("nobody answers on {daemon}.sock"),
            "systemctl start pulse",
        )
    })
}

fn unseen((what, why): &(String, String)) -> Finding {
    let mend = "run it as root: sudo piranha doctor";
    Finding::new(FindingCode::NotSeen, Grade::Unknown, format!("not looked at: {what}"), why, mend)
}

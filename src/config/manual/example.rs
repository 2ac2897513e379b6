use crate::config::value::Kind;
use crate::config::{Descriptor, Directive, Scope};

impl Descriptor {
    /// A line that sets it, as it may stand in a file.
    #[must_use]
    pub fn example(&self) -> String {
        format!("{} = {}", self.directive, self.example_value())
    }

    fn example_value(&self) -> &'static str {
        if let Some(value) = special(self.directive, self.scope) {
            return value;
        }
        match self.kind {
            Kind::Boolean | Kind::Flag => "1",
            Kind::Integer(..) => "3",
            Kind::Duration(_) => "10",
            Kind::Port(_) => "8080",
            Kind::Host => "192.0.2.11",
            Kind::AddressDevice => "192.0.2.80 eth0:1",
            Kind::Endpoints => "192.0.2.90:8080 192.0.2.91",
            Kind::AddressPair => "10.20.0.11 10.20.0.12",
            Kind::Mask => "255.255.255.0",
            Kind::Choice(words) => words.last().copied().unwrap_or_default(),
            Kind::Scheduler => "wrr",
            Kind::SchedulerFlags => "sh-port",
            Kind::WebUrl => "https://hooks.example.org/lvs",
            Kind::Relay => "mail.example.org:587",
            Kind::Mails => "ann@example.org, bob@example.org",
            Kind::Mail => "lvs@example.org",
            Kind::Words(words) => words.first().copied().unwrap_or_default(),
            Kind::Header => "\"X-Check: director\"",
            Kind::Json => "/status ok",
            Kind::Hex => "\"81 ?? 00\"",
            Kind::Pin => "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            Kind::Text => "\"some text\"",
            Kind::Path => "/etc/sysconfig/ha/lvs.key",
            Kind::Printable => "/health",
            Kind::Payload => "\"some text\"",
            Kind::List => "[ /srv/a /srv/b ]",
            Kind::Status => "200-399",
            Kind::SlowStart => "30s",
            Kind::Quorum => "50%",
        }
    }
}

/// Values that say more than any value of the kind.
fn special(directive: Directive, scope: Scope) -> Option<&'static str> {
    Some(match (directive, scope) {
        (Directive::Address, Scope::Server) => "192.0.2.21",
        (Directive::Service, _) => "lvs",
        (Directive::Include, _) => "/etc/sysconfig/ha/lvs.d/*.cf",
        (Directive::Backup, Scope::Server) => "1",
        (Directive::Backup, _) => "192.0.2.12",
        (Directive::PrimaryPrivate, _) => "10.0.0.11",
        (Directive::BackupPrivate, _) => "10.0.0.12",
        (Directive::PrimaryShared | Directive::BackupShared, _) => "/dev/sdb1",
        (Directive::NatRouter, _) => "10.0.0.1 eth1:1",
        (Directive::HeartbeatPort, _) => "539",
        (Directive::HeartbeatVersion, _) => "1",
        (Directive::HeartbeatKeyAccepted, _) => "/etc/sysconfig/ha/lvs.key.new",
        (Directive::TrackInterface, _) => "eth1",
        (Directive::SyncFile, _) => "/etc/sysconfig/ha/lvs.key",
        (Directive::TrackFile, _) => "/run/drain",
        (Directive::TrackProcess, _) => "haproxy",
        (Directive::TrackCommand, _) => "\"/usr/local/sbin/uplink-ok eth1\"",
        (Directive::TrackUser, _) => "nobody",
        (Directive::Reference, _) => "192.0.2.1",
        (Directive::ReferenceQuorum, _) => "1",
        (Directive::HeartbeatProtocol, _) => "vrrp3",
        (Directive::VrrpId, _) => "51",
        (Directive::VrrpInterface, _) => "eth0",
        (Directive::VrrpHops, _) => "1",
        (Directive::VrrpAuth, _) => "/etc/sysconfig/ha/vrrp.password",
        (Directive::VrrpAccept, _) => "1",
        (Directive::VirtualMac, _) => "1",
        (Directive::Keepalive, _) => "500ms",
        (Directive::Deadtime, _) => "2",
        (Directive::Network, _) => "direct",
        (Directive::TunnelType, _) => "gue",
        (Directive::TunnelPort, _) => "6080",
        (Directive::TunnelChecksum, _) => "csum",
        (Directive::SyncdIface, _) => "eth1",
        (Directive::SyncdGroup, _) => "239.0.0.81",
        (Directive::SyncdPort, _) => "8850",
        (Directive::SyncdTtl, _) => "2",
        (Directive::SyncdMaxlen, _) => "8972",
        (Directive::TcpTimeout, _) => "15m",
        (Directive::TcpfinTimeout, _) => "2m",
        (Directive::UdpTimeout, _) => "5m",
        (Directive::ActiveCmd | Directive::InactiveCmd, _) => "\"/usr/local/sbin/notify lvs\"",
        (Directive::Metrics, _) => "10.0.0.11 10.0.0.12:9111",
        (Directive::NotifyCommand, _) => "/etc/sysconfig/ha/notify.sh",
        (Directive::NotifyEventCommand, _) => "\"/usr/local/bin/lvs-event --json\"",
        (Directive::NotifyFifo, _) => "/run/piranha/notify",
        (Directive::NotifyName, _) => "web-pair",
        (Directive::NotifyAuth, _) => "/etc/sysconfig/ha/webhook.auth",
        (Directive::NotifySmtpTls, _) => "tls",
        (Directive::NotifySmtpAuth, _) => "/etc/sysconfig/ha/mail.auth",
        (Directive::NotifyCa, _) => "/etc/ssl/own-ca.pem",
        (Directive::NotifyGroup, _) => "1m",
        (Directive::NotifyLimit, _) => "20",
        (Directive::Notify, _) => "0",
        (Directive::NotifyUser, _) => "nobody",
        (Directive::NotifyFilter, _) => "failover, health",
        (Directive::NotifyRepeat, _) => "1h",
        (Directive::RshCommand, _) => "ssh",
        (Directive::Ipvsadm, _) => "/sbin/ipvsadm",
        (Directive::DebugLevel, _) => "NONE",
        (Directive::HardShutdown, _) => "0",
        (Directive::Fwmark, _) => "80",
        (Directive::Persistent, _) => "300",
        (Directive::Helper, _) => "ftp",
        (Directive::Check, _) => "https",
        (Directive::SendHex, _) => "\"01 02 ff\"",
        (Directive::CheckUser, _) => "nobody",
        (Directive::CheckAuth, _) => "/etc/sysconfig/ha/shop.auth",
        (Directive::DnsName | Directive::TlsName, _) => "www.example.com",
        (Directive::DnsType, _) => "A",
        (Directive::DnsExpect, _) => "192.0.2.80",
        (Directive::RadiusSecret, _) => "/etc/sysconfig/ha/radius.secret",
        (Directive::GrpcService, _) => "shop.Orders",
        (Directive::HttpMethod, _) => "HEAD",
        (Directive::HttpBody, _) => r#""{\"probe\": true}""#,
        (Directive::HttpExpect, _) => "\"ready\"",
        (Directive::TlsCa, _) => "/etc/ssl/shop-ca.pem",
        (Directive::TlsCertificate, _) => "/etc/sysconfig/ha/probe.pem",
        (Directive::TlsKey, _) => "/etc/sysconfig/ha/probe.key",
        (Directive::TlsVerify, _) => "0",
        (Directive::TlsExpiryWarning, _) => "30d",
        (Directive::Send, _) => r#""GET / HTTP/1.0\r\n\r\n""#,
        (Directive::Expect, _) => "\"HTTP\"",
        (Directive::SendProgram, _) => "\"/usr/local/bin/check %h %p\"",
        (Directive::HttpHost, _) => "www.example.com",
        (Directive::Reentry, _) => "15",
        (Directive::LoadMonitor, _) => "agent",
        (Directive::LoadUser, _) => "nobody",
        (Directive::LoadFormula, _) => "historical",
        (Directive::AgentPort, _) => "5309",
        (Directive::AgentInterval, _) => "2s",
        (Directive::ClientMonitor, _) => "/usr/sbin/nanny",
        (Directive::StartCmd, _) => "\"/etc/init.d/httpd start\"",
        (Directive::StopCmd, _) => "\"/etc/init.d/httpd stop\"",
        (Directive::UThreshold, _) => "1000",
        (Directive::LThreshold, _) => "800",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Code, load};

    #[test]
    fn every_example_is_a_line_the_directive_takes() {
        for row in Descriptor::ALL {
            let line = row.example();
            let file = match row.scope {
                Scope::Global => line.clone(),
                Scope::Virtual => format!("virtual x {{\n{line}\n}}"),
                Scope::Server => format!("virtual x {{\nserver y {{\n{line}\n}}\n}}"),
            };
            let about_the_value = |code: Code| ("E0004".."E0300").contains(&code.as_str());
            let found = load(file.as_bytes()).diagnostics;
            assert!(!found.iter().any(|d| about_the_value(d.code)), "{line}: {found:?}");
        }
    }
}

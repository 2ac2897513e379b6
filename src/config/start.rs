use std::net::{IpAddr, SocketAddr};

use super::draft::{Block, Draft, Service};
use super::{Directive, Document, EditError, Scope};
use crate::net::Family;

/// What a first configuration is made from. Whatever is missing is an example.
#[allow(clippy::exhaustive_structs, reason = "made by whoever begins")]
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Public address of the primary director.
    pub primary: Option<IpAddr>,
    /// Public address of the backup director; without it the primary is alone.
    pub backup: Option<IpAddr>,
    /// The VIP and port of the first service.
    pub vip: Option<SocketAddr>,
    /// The device that gets the VIP, `eth0:1` unless given.
    pub device: Option<String>,
    /// The real servers of the first service.
    pub servers: Vec<SocketAddr>,
}

impl Start {
    /// A configuration with a comment on every choice it makes.
    ///
    /// # Errors
    /// [`EditError`] for a device that cannot be one.
    pub fn document(&self) -> Result<Document, EditError> {
        let mut draft = Draft::new();
        self.cluster(&mut draft.global)?;
        draft.services.push(self.service()?);
        Ok(draft.into_document())
    }

    fn cluster(&self, global: &mut Block) -> Result<(), EditError> {
        global.comment("lvs.cf: the same file on both directors. See lvs.cf(5), and");
        global.comment("piranha config check.");
        let example = IpAddr::from([192, 0, 2, 11]);
        global.set(Directive::Primary, &self.primary.unwrap_or(example).to_string())?;
        if let Some(backup) = self.backup {
            global.set(Directive::Backup, &backup.to_string())?;
            global.set(Directive::BackupActive, "1")?;
            global.comment("A takeover comes after this much silence of the partner.");
            global.set(Directive::Keepalive, "500ms")?;
            global.set(Directive::Deadtime, "2")?;
            global.comment("Heartbeats are authenticated with a key that both nodes have:");
            global.comment("heartbeat_key = /etc/sysconfig/ha/lvs.key");
        } else {
            global.comment("For a second director: backup = ADDRESS, and backup_active = 1.");
        }
        global.comment("How real servers are reached: nat, direct or tunnel.");
        global.set(Directive::Network, "nat")
    }

    fn service(&self) -> Result<Service, EditError> {
        let vip = self.vip.unwrap_or_else(|| SocketAddr::from(([192, 0, 2, 80], 80)));
        let device = self.device.as_deref().unwrap_or("eth0:1");
        let mut service = Service::new(if vip.port() == 80 { "web" } else { "service" }.to_owned());
        let block = &mut service.block;
        block.set(Directive::Active, "1")?;
        block.set(Directive::Address, &format!("{} {device}", vip.ip()))?;
        block.set(Directive::Port, &vip.port().to_string())?;
        block.set(Directive::Scheduler, "wlc")?;
        block.comment("A check every 5 seconds; two failures take a server out, two successes");
        block.comment("bring it back.");
        block.set(Directive::Check, if vip.port() == 80 { "http" } else { "connect" })?;
        block.set(Directive::Timeout, "5")?;
        block.set(Directive::Fall, "2")?;
        block.set(Directive::Rise, "2")?;
        for (index, server) in self.real_servers(vip).into_iter().enumerate() {
            service.server(format!("s{}", index + 1), real_server(server)?);
        }
        Ok(service)
    }

    fn real_servers(&self, vip: SocketAddr) -> Vec<SocketAddr> {
        if !self.servers.is_empty() {
            return self.servers.clone();
        }
        let example: [IpAddr; 2] = match Family::of(vip.ip()) {
            Family::Ipv4 => [[10, 0, 0, 21].into(), [10, 0, 0, 22].into()],
            Family::Ipv6 => [0x21, 0x22].map(|n| [0xfd00, 0, 0, 0, 0, 0, 0, n].into()),
        };
        example.map(|address| SocketAddr::new(address, vip.port())).to_vec()
    }
}

fn real_server(address: SocketAddr) -> Result<Block, EditError> {
    let mut block = Block::new(Scope::Server);
    block.set(Directive::Address, &address.ip().to_string())?;
    block.set(Directive::Port, &address.port().to_string())?;
    block.set(Directive::Active, "1")?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn a_start_loads_without_a_remark() {
        let six = Start {
            primary: Some("2001:db8::11".parse().unwrap()),
            backup: Some("2001:db8::12".parse().unwrap()),
            vip: Some("[2001:db8::80]:443".parse().unwrap()),
            device: Some("bond0".to_owned()),
            servers: vec!["[fd00::1]:8443".parse().unwrap()],
        };
        let own_servers = Start { servers: Vec::new(), ..six.clone() };
        for start in [Start::default(), six, own_servers] {
            let document = start.document().unwrap();
            let loaded = load(document.as_bytes());
            assert_eq!(loaded.diagnostics, [], "{document}");
            let config = loaded.config.expect("no errors");
            assert_eq!(config.backup_active, start.backup.is_some());
        }
        let device = Some("a/b".to_owned());
        assert!(Start { device, ..Start::default() }.document().is_err());
    }
}

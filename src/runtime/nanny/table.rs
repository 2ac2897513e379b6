use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::ipvs::ServiceKey;
use crate::net::{Family, Protocol, Weight};

/// Keeps one server in the IPVS table of the kernel by running ipvsadm, as nanny 0.8.6 did. The
/// service must be there.
#[derive(Clone, Debug)]
pub struct Table {
    program: PathBuf,
    service: Vec<String>,
    server: SocketAddr,
    method: char,
    held: Option<Weight>,
}

impl Table {
    /// The server of `service`, which `program` is told of; it is taken not to be there yet.
    /// `method` is the letter of the forwarding method: `g`, `i` or `m`.
    #[must_use]
    pub fn new(program: PathBuf, service: ServiceKey, server: SocketAddr, method: char) -> Self {
        Self { program, service: arguments(service), server, method, held: None }
    }

    /// Makes the table hold `wanted`: `None` nothing. Runs ipvsadm if that is another weight.
    ///
    /// # Errors
    /// If ipvsadm cannot be started or fails.
    pub(super) async fn set(&mut self, wanted: Option<Weight>) -> io::Result<()> {
        if let Some(change) = self.change(wanted) {
            self.run(&change).await?;
            self.held = wanted;
        }
        Ok(())
    }

    /// Takes the server out, but for one that is quiesced, which is left, as 0.8.6 does.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub(super) async fn leave(&mut self) -> io::Result<()> {
        match self.held {
            Some(Weight::ZERO) | None => Ok(()),
            Some(_) => self.set(None).await,
        }
    }

    /// What to tell ipvsadm.
    fn change(&self, wanted: Option<Weight>) -> Option<Vec<String>> {
        let verb = match (self.held, wanted) {
            (held, wanted) if held == wanted => return None,
            (None, _) => "-a",
            (_, Some(_)) => "-e",
            (_, None) => "-d",
        };
        let server = ["-r".to_owned(), self.server.to_string()];
        let mut change = vec![verb.to_owned()];
        change.extend(self.service.iter().cloned().chain(server));
        if let Some(weight) = wanted {
            change.extend([format!("-{}", self.method), "-w".to_owned(), weight.to_string()]);
        }
        Some(change)
    }

    async fn run(&self, arguments: &[String]) -> io::Result<()> {
        let program = self.program.display();
        let failed = |reason: String| {
            io::Error::other(format!("{program} {}: command failed! {reason}", arguments.join(" ")))
        };
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let status = command.status().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
    }
}

/// How ipvsadm is told of a service. A mark has no protocol.
fn arguments(service: ServiceKey) -> Vec<String> {
    match service {
        ServiceKey::Address { protocol, address } => {
            let protocol = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            vec![protocol.to_owned(), address.to_string()]
        }
        ServiceKey::Mark { mark, family } => {
            let six = (family == Family::Ipv6).then(|| "-6".to_owned());
            ["-f".to_owned(), mark.to_string()].into_iter().chain(six).collect()
        }
    }
}

/// The service that a nanny works for: a mark, or a virtual address and port.
#[must_use]
pub fn service(
    mark: Option<crate::net::FirewallMark>,
    virtual_address: Option<IpAddr>,
    protocol: Protocol,
    port: u16,
    server: IpAddr,
) -> Option<ServiceKey> {
    match (mark, virtual_address) {
        (Some(mark), address) => {
            Some(ServiceKey::mark(mark, Family::of(address.unwrap_or(server))))
        }
        (None, Some(address)) => {
            let address = SocketAddr::new(address, port);
            Some(ServiceKey::Address { protocol, address })
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::FirewallMark;

    fn line(table: &Table, wanted: Option<u32>) -> Option<String> {
        let wanted = wanted.map(|number| Weight::new(number).unwrap());
        table.change(wanted).map(|change| change.join(" "))
    }

    #[test]
    fn ipvsadm_is_told_of_each_change_and_of_nothing_else() {
        let service = ServiceKey::tcp("192.0.2.80:25".parse().unwrap());
        let server = "10.0.0.5:2525".parse().unwrap();
        let mut table = Table::new("ipvsadm".into(), service, server, 'm');
        assert_eq!(line(&table, None), None);
        let added = line(&table, Some(3)).unwrap();
        assert_eq!(added, "-a -t 192.0.2.80:25 -r 10.0.0.5:2525 -m -w 3");
        table.held = Some(Weight::new(3).unwrap());
        assert_eq!(line(&table, Some(3)), None);
        let quiesced = line(&table, Some(0)).unwrap();
        assert_eq!(quiesced, "-e -t 192.0.2.80:25 -r 10.0.0.5:2525 -m -w 0");
        assert_eq!(line(&table, None).unwrap(), "-d -t 192.0.2.80:25 -r 10.0.0.5:2525");
    }

    #[test]
    fn a_mark_stands_for_the_service() {
        let server: SocketAddr = "[2001:db8::5]:53".parse().unwrap();
        let marked = service(FirewallMark::new(7), None, Protocol::Udp, 53, server.ip()).unwrap();
        let table = Table::new("ipvsadm".into(), marked, server, 'g');
        assert_eq!(line(&table, Some(1)).unwrap(), "-a -f 7 -6 -r [2001:db8::5]:53 -g -w 1");
        let vip = Some("192.0.2.80".parse().unwrap());
        let plain = service(None, vip, Protocol::Udp, 53, server.ip()).unwrap();
        assert_eq!(arguments(plain), ["-u", "192.0.2.80:53"]);
        assert_eq!(service(None, None, Protocol::Tcp, 53, server.ip()), None);
    }
}

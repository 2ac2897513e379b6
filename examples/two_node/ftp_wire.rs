//! The parts of FTP that client and server both need: where a data connection goes, written in
//! the forms of PORT and PASV (RFC 959) and of EPRT and EPSV (RFC 2428).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The longest command or reply line accepted, on either side.
pub(crate) const LINE_LIMIT: usize = 512;

/// `h1,h2,h3,h4,p1,p2`, the form of PORT and of the 227 reply. IPv4 only: `None` for IPv6.
pub(crate) fn write_host_port(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    Some(format!("{a},{b},{c},{d},{high},{low}"))
}

/// Reads `h1,h2,h3,h4,p1,p2`.
pub(crate) fn read_host_port(text: &str) -> Option<SocketAddr> {
    let mut numbers = [0; 6];
    let mut fields = text.split(',');
    for number in &mut numbers {
        *number = fields.next()?.trim().parse::<u8>().ok()?;
    }
    if fields.next().is_some() {
        return None;
    }
    let [a, b, c, d, high, low] = numbers;
    let port = u16::from_be_bytes([high, low]);
    Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port))
}

/// Finds the address in a 227 reply. RFC 959 does not say where in the line it stands, so it is
/// the first six numbers separated by commas, as RFC 1123 (4.1.2.6) advises.
pub(crate) fn read_passive_reply(line: &str) -> Option<SocketAddr> {
    line.get(4..)?.split(|c: char| !c.is_ascii_digit() && c != ',').find_map(read_host_port)
}

/// `|1|127.0.0.1|2048|` or `|2|::1|2048|`, the argument of EPRT.
pub(crate) fn write_extended(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { 1 } else { 2 };
    format!("|{family}|{}|{}|", address.ip(), address.port())
}

/// Reads the argument of EPRT. The delimiter is whatever character comes first.
pub(crate) fn read_extended(text: &str) -> Option<SocketAddr> {
    let delimiter = text.chars().next()?;
    let fields: Vec<&str> = text.split(delimiter).collect();
    let ["", family, address, port, ""] = fields[..] else {
        return None;
    };
    let address: IpAddr = address.parse().ok()?;
    let expected = if address.is_ipv4() { "1" } else { "2" };
    (family == expected).then_some(SocketAddr::new(address, port.parse().ok()?))
}

/// Finds the port in a 229 reply, `229 Entering Extended Passive Mode (|||2048|)`.
pub(crate) fn read_extended_passive_reply(line: &str) -> Option<u16> {
    let inside = line.split_once('(')?.1.split_once(')')?.0;
    let delimiter = inside.chars().next()?;
    let fields: Vec<&str> = inside.split(delimiter).collect();
    let ["", "", "", port, ""] = fields[..] else {
        return None;
    };
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_what_it_wrote() {
        for text in ["127.0.0.1:2048", "10.255.0.7:65535", "[::1]:21"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(read_extended(&write_extended(address)), Some(address));
            let Some(old) = write_host_port(address) else {
                assert!(address.is_ipv6());
                continue;
            };
            assert_eq!(read_host_port(&old), Some(address));
            let reply = format!("227 Entering Passive Mode ({old}).");
            assert_eq!(read_passive_reply(&reply), Some(address));
        }
    }

    #[test]
    fn the_address_is_found_wherever_a_227_reply_puts_it() {
        let address = "127.0.0.1:256".parse().ok();
        assert_eq!(read_passive_reply("227 =127,0,0,1,1,0"), address);
        assert_eq!(read_passive_reply("227 Ok, go to 127,0,0,1,1,0 now"), address);
    }

    #[test]
    fn the_port_of_a_229_reply_is_read() {
        let reply = "229 Entering Extended Passive Mode (|||2048|)";
        assert_eq!(read_extended_passive_reply(reply), Some(2048));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "256,0,0,1,1,1", "a,b,c,d,e,f"] {
            assert_eq!(read_host_port(text), None, "{text}");
        }
        for text in ["", "|", "|1|::1|20|", "|1|127.0.0.1|65536|", "|1|127.0.0.1|20", "|||20|"] {
            assert_eq!(read_extended(text), None, "{text}");
        }
        for text in ["229", "229 ()", "229 (|||x|)", "229 (||20|)", "229 |||20|"] {
            assert_eq!(read_extended_passive_reply(text), None, "{text}");
        }
        assert_eq!(read_passive_reply("227"), None);
    }
}

//! Services and servers as a table for other programs (RFC 4180).

use crate::control::Timestamp;
use crate::control::status::{ServerStatus, ServiceStatus, Traffic};

const COLUMNS: &[&str] = &[
    "observed_at",
    "node",
    "service",
    "key",
    "scheduler",
    "service_state",
    "server",
    "address",
    "state",
    "state_for_ms",
    "weight",
    "configured_weight",
    "backup",
    "active",
    "inactive",
    "connections_per_s",
    "bytes_in_per_s",
    "bytes_out_per_s",
    "checked_ms",
    "operator",
    "operator_reason",
    "reason",
];

/// A line of names, then one for each server; one for a service that has none. What is not known is
/// empty.
pub(crate) fn services(node: &str, at: Timestamp, services: &[ServiceStatus]) -> String {
    let mut out = line(COLUMNS.iter().map(|&name| name.to_owned()));
    for service in services {
        let head = || {
            let ServiceStatus { name, key, scheduler, state, .. } = service;
            let (at, node) = (at.to_string(), node.to_owned());
            [at, node, name.clone(), key.to_string(), scheduler.clone(), state.to_string()]
        };
        let servers = service.servers.as_deref().unwrap_or_default();
        for server in servers {
            out += &line(head().into_iter().chain(of_server(server)));
        }
        if servers.is_empty() {
            let nothing = COLUMNS.len() - head().len();
            out += &line(head().into_iter().chain(std::iter::repeat_n(String::new(), nothing)));
        }
    }
    out
}

fn of_server(server: &ServerStatus) -> Vec<String> {
    let said = server.operator.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut fields = vec![
        server.name.clone(),
        server.address.to_string(),
        server.state.to_string(),
        server.since.0.as_millis().to_string(),
        server.weight.map(|weight| weight.to_string()).unwrap_or_default(),
        server.configured_weight.to_string(),
        server.backup.to_string(),
    ];
    fields.extend(of_traffic(server.traffic));
    fields.extend([
        server.checked.map(|age| age.0.as_millis().to_string()).unwrap_or_default(),
        said.map(|said| said.word.to_string()).unwrap_or_default(),
        said.map(|said| text(&said.reason)).unwrap_or_default(),
        text(&server.reason),
    ]);
    fields
}

fn of_traffic(traffic: Option<Traffic>) -> [String; 5] {
    let rates = traffic.and_then(|traffic| traffic.rates);
    let numbers = [
        traffic.map(|traffic| u64::from(traffic.load.active)),
        traffic.map(|traffic| u64::from(traffic.load.inactive)),
        rates.map(|rates| rates.connections),
        rates.map(|rates| rates.bytes_in),
        rates.map(|rates| rates.bytes_out),
    ];
    numbers.map(|number| number.map(|number| number.to_string()).unwrap_or_default())
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let fields: Vec<_> = fields.map(|text| field(&text)).collect();
    fields.join(",") + "\r\n"
}

/// A field, quoted where it has to be. A spreadsheet would run what begins like a formula: an
/// apostrophe ahead of it makes it the text it is.
fn field(text: &str) -> String {
    let is_formula =
        text.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
            || text.starts_with(['\t', '\r', '\n']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n', ';', '\t']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Override, Word};
    use crate::ipvs::ServiceKey;

    fn service(name: &str) -> ServiceStatus {
        let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
        ServiceStatus::new(name, key, "wlc")
    }

    #[test]
    fn every_line_has_all_columns_and_a_service_without_servers_has_one() {
        let mut web = service("web");
        let server = |port: u16| ServerStatus::new("s", ([192, 0, 2, 9], port).into());
        web.servers = Some(vec![server(80), server(81)]);
        let table = services("lb1", Timestamp(0), &[web, service("empty")]);
        let lines: Vec<_> = table.split("\r\n").collect();
        assert_eq!((lines.len(), lines[4]), (5, ""), "{table}");
        for line in &lines[..4] {
            assert_eq!(line.split(',').count(), COLUMNS.len(), "{line}");
        }
        assert!(lines[1].contains(",lb1,web,") && lines[1].contains("192.0.2.9:80"), "{table}");
        assert!(lines[3].contains(",empty,"), "{table}");
    }

    #[test]
    fn what_a_spreadsheet_would_run_or_take_for_several_fields_is_one_text() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "'＝1"),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("2026-11-23", "2026-11-23"),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn what_an_operator_says_is_told_with_its_reason() {
        let mut server = ServerStatus::new("s", ([192, 0, 2, 9], 80).into());
        let mut said = Override::new("web", "s", Word::Disable, "ann", Timestamp(0));
        said.reason = Some("=cmd, now".to_owned());
        server.operator = Some(said);
        let mut web = service("web");
        web.servers = Some(vec![server]);
        let table = services("lb1", Timestamp(0), &[web]);
        assert!(table.contains(",disable,\"'=cmd, now\","), "{table}");
    }
}

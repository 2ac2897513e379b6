use serde::{Deserialize, Serialize};

/// A question to a name server, over UDP or TCP as the service is.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DnsSpec {
    /// The name that is asked for, `.` by default.
    pub name: String,
    /// What is asked for: `A`, `AAAA`, `CNAME`, `MX`, `NS`, `PTR`, `SOA`, `SRV`, `TXT` and so on;
    /// `NS` by default.
    pub record: String,
    /// An answer that must be among those that come, as a zone file writes it: `192.0.2.1`,
    /// `10 mail.example.org.`. By default any answer passes that is no error; an empty one too.
    pub expect: Option<String>,
}

impl Default for DnsSpec {
    fn default() -> Self {
        Self { name: ".".to_owned(), record: "NS".to_owned(), expect: None }
    }
}

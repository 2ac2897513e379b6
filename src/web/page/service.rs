//! Services and their servers.

use askama::Template;

use super::flow::{Flow, short};
use super::frame::Frame;
use super::glyph::{Glyph, UNKNOWN};
use super::number::{bytes, count};
use crate::control::Timestamp;
use crate::control::status::{
    Balancing, ServerState, ServerStatus, ServiceState, ServiceStatus, Traffic,
};
use crate::web::form::{Form, encode};
use crate::web::history::{History, Stretch};

/// A service as a row.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRow {
    pub(crate) name: String,
    /// Its name in a URL.
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) scheduler: String,
    pub(crate) glyph: Glyph,
    pub(crate) up: u32,
    pub(crate) total: u32,
    pub(crate) sorry: String,
    pub(crate) numbers: Numbers,
    pub(crate) spark: String,
    /// The value at the upper edge of the line.
    pub(crate) spark_most: f32,
    pub(crate) said: usize,
    pub(crate) servers: Vec<ServerRow>,
    /// Whether any of them takes connections.
    pub(crate) takes: bool,
    pub(crate) is_open: bool,
    pub(crate) is_problem: bool,
}

/// A server as a row.
#[derive(Clone, Debug)]
pub(crate) struct ServerRow {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) glyph: Glyph,
    pub(crate) since: String,
    pub(crate) reason: String,
    pub(crate) weight: String,
    pub(crate) configured: String,
    /// What an operator says of it, with author and reason.
    pub(crate) said: String,
    pub(crate) numbers: Numbers,
    pub(crate) checked: String,
    pub(crate) backup: bool,
    pub(crate) takes: bool,
    /// Whether no other server of the service takes connections.
    pub(crate) is_last: bool,
}

/// What goes through it, as text and as numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) cps: String,
    pub(crate) active: String,
    pub(crate) inactive: String,
    pub(crate) incoming: String,
    pub(crate) outgoing: String,
    pub(crate) connections: u32,
}

impl Numbers {
    fn new(traffic: Option<Traffic>) -> Self {
        let Some(traffic) = traffic else { return Self::default() };
        let rate = |of: &dyn Fn(crate::ipvs::Rates) -> u64, as_text: fn(u64) -> String| {
            traffic.rates.map_or(String::new(), |rates| as_text(of(rates)))
        };
        Self {
            cps: rate(&|rates| rates.connections, count),
            active: count(traffic.load.active.into()),
            inactive: count(traffic.load.inactive.into()),
            incoming: rate(&|rates| rates.bytes_in, bytes),
            outgoing: rate(&|rates| rates.bytes_out, bytes),
            connections: traffic.load.active,
        }
    }
}

impl ServiceRow {
    /// The row of `service`; of one that is only remembered, nothing is said to be so now.
    pub(crate) fn new(service: &ServiceStatus, is_known: bool, history: Option<&Stretch>) -> Self {
        let takes =
            |server: &ServerStatus| matches!(server.state, ServerState::Up | ServerState::Falling);
        let servers = service.servers.as_deref().unwrap_or_default();
        let taking = servers.iter().filter(|server| takes(server)).count();
        let rows = servers.iter().map(|server| (server, takes(server))).map(|(server, takes)| {
            ServerRow::new(&service.name, server, takes, takes && taking == 1)
        });
        let sorry: Vec<_> = service.sorry_servers.iter().map(ToString::to_string).collect();
        Self {
            name: service.name.clone(),
            path: encode(&service.name),
            key: service.key.to_string(),
            scheduler: service.scheduler.clone(),
            glyph: if is_known { Glyph::from(service.state) } else { UNKNOWN },
            up: service.counts.up,
            total: service.counts.total,
            sorry: sorry.join(", "),
            numbers: Numbers::new(service.traffic),
            spark: history.map(spark).unwrap_or_default(),
            spark_most: history.map_or(1.0, most),
            said: servers.iter().filter(|server| server.operator.is_some()).count(),
            servers: rows.collect(),
            takes: taking > 0,
            is_open: false,
            is_problem: !is_known
                || !matches!(service.state, ServiceState::Up | ServiceState::Elsewhere),
        }
    }
}

impl ServiceRow {
    /// Its name as far as the picture has room for it.
    fn short_name(&self) -> String {
        short(&self.name, 26)
    }

    /// Its key as far as the picture has room for it.
    fn short_key(&self) -> String {
        short(&self.key, 27)
    }
}

impl ServerRow {
    fn new(service: &str, server: &ServerStatus, takes: bool, is_last: bool) -> Self {
        let said = server.operator.as_ref().map(|said| {
            let reason = said.reason.as_ref().map(|reason| format!(": {reason}"));
            let until = said.until.map(|until| format!(", until {until}"));
            let (reason, until) = (reason.unwrap_or_default(), until.unwrap_or_default());
            format!("{} by {}{until}{reason}", said.word, said.author)
        });
        Self {
            service: service.to_owned(),
            name: server.name.clone(),
            address: server.address.to_string(),
            glyph: Glyph::from(server.state),
            since: server.since.to_string(),
            reason: server.reason.clone().unwrap_or_default(),
            weight: server.weight.map_or("–".to_owned(), |weight| weight.to_string()),
            configured: server.configured_weight.to_string(),
            said: said.unwrap_or_default(),
            numbers: Numbers::new(server.traffic),
            checked: server.checked.map_or("never".to_owned(), |age| format!("{age} ago")),
            backup: server.backup,
            takes,
            is_last,
        }
    }

    /// Whether the weight in force is not that of lvs.cf.
    pub(crate) fn is_weighed(&self) -> bool {
        self.weight != self.configured && self.weight != "–"
    }
}

/// The points of a line of sixty seconds, 60 wide and 16 high.
fn spark(stretch: &Stretch) -> String {
    let values: Vec<_> = stretch.values.iter().map(|value| value.unwrap_or(0.0)).collect();
    let most = most(stretch);
    let points = values
        .iter()
        .enumerate()
        .map(|(place, value)| format!("{place},{:.1}", 15.0 - value / most * 14.0));
    points.collect::<Vec<_>>().join(" ")
}

fn most(stretch: &Stretch) -> f32 {
    stretch.values.iter().flatten().copied().fold(1.0, f32::max)
}

/// The rows of what is known, with the last minute of each.
pub(crate) fn rows(lvs: Option<&Balancing>, is_known: bool, history: &History) -> Vec<ServiceRow> {
    let services = lvs.map_or(&[][..], |lvs| &lvs.services);
    let at = history.latest();
    services.iter().map(|service| row(service, is_known, (history, at))).collect()
}

fn row(
    service: &ServiceStatus,
    is_known: bool,
    (history, at): (&History, Timestamp),
) -> ServiceRow {
    let minute = std::time::Duration::from_secs(60);
    let stretch = history.stretch(&service.name, "cps", minute, at);
    ServiceRow::new(service, is_known, stretch.as_ref())
}

/// All services.
#[derive(Debug, Template)]
#[template(path = "services.html")]
pub(crate) struct Services {
    frame: Frame,
    rows: Vec<ServiceRow>,
    total: usize,
    query: String,
    problems: bool,
    sort: String,
    open: String,
}

impl Services {
    /// The rows that `asked` lets through (`q`, `problems`), in its order (`sort`), with the
    /// servers of the service `open`.
    pub(crate) fn new(frame: Frame, mut rows: Vec<ServiceRow>, asked: &Form) -> Self {
        let total = rows.len();
        let (query, problems) =
            (asked.text("q").trim().to_lowercase(), asked.text("problems") == "1");
        let (sort, open) = (asked.text("sort").to_owned(), asked.text("open").to_owned());
        let found = |row: &ServiceRow| {
            [&row.name, &row.key, &row.glyph.word.to_owned()]
                .into_iter()
                .chain(row.servers.iter().flat_map(|server| [&server.name, &server.address]))
                .any(|text| text.to_lowercase().contains(&query))
        };
        rows.retain(|row| found(row) && (!problems || row.is_problem));
        match sort.as_str() {
            "name" => rows.sort_by(|one, other| one.name.cmp(&other.name)),
            "state" => rows.sort_by_key(|row| (!row.is_problem, row.glyph.word)),
            "active" => rows.sort_by_key(|row| std::cmp::Reverse(row.numbers.connections)),
            _ => {}
        }
        for row in &mut rows {
            row.is_open = row.name == open;
        }
        Self { frame, rows, total, query, problems, sort, open }
    }

    /// The columns that a user may leave out, and what they are called.
    const fn columns(&self) -> [(&'static str, &'static str); 6] {
        [
            ("up", "Servers up"),
            ("active", "Active"),
            ("cps", "Conn/s"),
            ("in", "In/s"),
            ("out", "Out/s"),
            ("spark", "Last minute"),
        ]
    }

    /// Where the same page has the servers of `row` open, or closed where they are.
    fn toggled(&self, row: &ServiceRow) -> String {
        let open = if row.is_open { "" } else { &row.path };
        format!("{}open={open}", self.address())
    }

    /// Where the same page is in another order.
    fn sorted(&self, sort: &str) -> String {
        let Self { query, open, .. } = self;
        let problems = u8::from(self.problems);
        let (query, open) = (encode(query), encode(open));
        format!("/services?q={query}&problems={problems}&open={open}&sort={sort}")
    }

    fn address(&self) -> String {
        let problems = u8::from(self.problems);
        format!(
            "/services?q={}&problems={problems}&sort={}&",
            encode(&self.query),
            encode(&self.sort)
        )
    }
}

/// A service and its servers.
#[derive(Debug, Template)]
#[template(path = "service.html")]
pub(crate) struct Service {
    frame: Frame,
    row: ServiceRow,
    /// The way of its connections.
    flow: Flow,
}

impl Service {
    /// The page of `service`, of which nothing is known now unless `is_known`.
    pub(crate) fn new(
        frame: Frame,
        service: &ServiceStatus,
        is_known: bool,
        history: &History,
    ) -> Self {
        let row = row(service, is_known, (history, history.latest()));
        Self { frame, row, flow: Flow::new(service, is_known) }
    }
}

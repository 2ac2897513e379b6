//! Services, and below those that are expanded their servers.

use super::canvas::{Canvas, Cell, Column, numbers, plain, words};
use super::{servers, unknown};
use crate::cli::piranha::show::{service_reason, service_tone};
use crate::cli::piranha::table::{Tone, short};
use crate::cli::piranha::top::glyph::Looks;
use crate::cli::piranha::top::model::Model;
use crate::cli::piranha::top::rows::Row;
use crate::control::status::{Balancing, Reading, ServiceStatus, Status};

/// The cells of a curve.
const CURVE: usize = 10;

const COLUMNS: [Column; 8] = [
    words("SERVICE"),
    words("ADDRESS"),
    words("STATE"),
    numbers("UP"),
    numbers("CONN"),
    numbers("CONN/S"),
    words("TREND"),
    words("WHY"),
];

pub(super) fn draw(model: &Model, status: &Status, canvas: &mut Canvas<'_>) {
    match &status.lvs {
        Reading::Known(lvs) => table(model, lvs, canvas.room(), canvas),
        Reading::Unknown { reason } => unknown(reason, canvas),
    }
}

/// The rows of the view in at most `height` lines.
pub(super) fn table(model: &Model, lvs: &Balancing, height: usize, canvas: &mut Canvas<'_>) {
    let rows = model.rows();
    if rows.is_empty() {
        let none =
            if lvs.services.is_empty() { "no services are offered" } else { "none of these" };
        return canvas.line(&[plain(none)]);
    }
    let looks = canvas.looks();
    let meant = Some(model.cursor(&rows));
    canvas.table(&COLUMNS, height, (rows.len(), meant), |place| row(model, &rows[place], looks));
}

fn row(model: &Model, row: &Row<'_>, looks: Looks) -> Vec<Cell> {
    match row.server {
        Some(server) => server_row(server, looks),
        None => service_row(model, row.service, looks),
    }
}

fn service_row(model: &Model, service: &ServiceStatus, looks: Looks) -> Vec<Cell> {
    let shape = looks.service(service.state);
    let state = format!("{shape} {}", service.state.to_string().to_uppercase());
    let traffic = service.traffic;
    let curve = model.trends.service(&service.name);
    vec![
        plain(&service.name),
        plain(service.key.to_string()),
        (state, service_tone(service.state)),
        plain(format!("{}/{}", service.counts.up, service.counts.total)),
        plain(traffic.map_or(String::new(), |t| short(u64::from(t.load.active)))),
        plain(traffic.and_then(|t| t.rates).map_or(String::new(), |r| short(r.connections))),
        plain(curve.map(|trend| looks.curve(trend, CURVE)).unwrap_or_default()),
        plain(service_reason(service)),
    ]
}

fn server_row(server: &crate::control::status::ServerStatus, looks: Looks) -> Vec<Cell> {
    let (state, tone) = servers::state(server, looks);
    let traffic = server.traffic;
    vec![
        plain(format!("  {}", server.name)),
        plain(server.address.to_string()),
        (state, tone),
        (String::new(), Tone::Plain),
        plain(traffic.map_or(String::new(), |t| short(u64::from(t.load.active)))),
        plain(traffic.and_then(|t| t.rates).map_or(String::new(), |r| short(r.connections))),
        plain(String::new()),
        plain(crate::cli::piranha::show::reason(server)),
    ]
}

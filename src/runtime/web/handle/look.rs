//! What there is to see: nodes, services, servers, events, history.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Context, partner, told};
use crate::control::Timestamp;
use crate::control::protocol::Servers;
use crate::control::status::{Balancing, Reading, ServiceStatus, Status};
use crate::runtime::control::now;
use crate::runtime::web::reply::Reply;
use crate::web::csv;
use crate::web::history::SERIES;
use crate::web::problem::Problem;

pub(super) async fn nodes(context: &Context) -> Answer {
    let status = context.app.status(Servers::None).await;
    let own = node(&status);
    let partner = status.pulse.known().and_then(|pulse| pulse.partner.as_ref());
    told(context, &json!({ "nodes": [own], "partner": partner }))
}

pub(super) async fn one_node(context: &Context) -> Answer {
    let status = context.app.status(Servers::None).await;
    if context.parameters.get("name") != status.node {
        return Err(Problem::not_found());
    }
    told(context, &node(&status))
}

fn node(status: &Status) -> Value {
    json!({ "name": status.node, "pulse": status.pulse })
}

pub(super) async fn services(context: &Context) -> Answer {
    let lvs = balancing(context).await?;
    told(context, &json!({ "services": lvs.services }))
}

pub(super) async fn services_csv(context: &Context) -> Answer {
    let lvs = balancing(context).await?;
    let node = &context.app.node;
    let table = csv::services(node, now(), &lvs.services);
    let mut reply = Reply::new("text/csv; charset=utf-8; header=present", table);
    let name = format!("attachment; filename=\"piranha-services-{node}.csv\"");
    reply.set("content-disposition", &name);
    Ok(reply)
}

pub(super) async fn service(context: &Context) -> Answer {
    let lvs = balancing(context).await?;
    told(context, named(&lvs, context)?)
}

pub(super) async fn server(context: &Context) -> Answer {
    let lvs = balancing(context).await?;
    let wanted = context.parameters.get("server");
    let mut servers = named(&lvs, context)?.servers.iter().flatten();
    let server =
        servers.find(|server| server.name == wanted || server.address.to_string() == wanted);
    told(context, server.ok_or_else(Problem::not_found)?)
}

fn named<'a>(lvs: &'a Balancing, context: &Context) -> Result<&'a ServiceStatus, Problem> {
    let wanted = context.parameters.get("service");
    lvs.services.iter().find(|service| service.name == wanted).ok_or_else(Problem::not_found)
}

async fn balancing(context: &Context) -> Result<Balancing, Problem> {
    match context.app.status(Servers::All).await.lvs {
        Reading::Known(lvs) => Ok(lvs),
        Reading::Unknown { reason } => Err(Problem::unreachable(reason)),
    }
}

pub(super) async fn events(context: &Context) -> Answer {
    let after = number(context, "after")?.unwrap_or(0);
    let partner = partner::known(context).await;
    let unknown = if partner.is_some() { None } else { partner::unknown(context).await };
    let chronicle = context.app.watch.chronicle();
    let events: Vec<_> = chronicle.after(after).collect();
    let known = json!({
        "events": events,
        "last": chronicle.last(),
        "partner": partner,
        "partner_unknown": unknown,
    });
    told(context, &known)
}

pub(super) fn history(context: &Context) -> Answer {
    let (service, series) = (context.query.text("service"), context.query.text("series"));
    let range = Duration::from_secs(number(context, "range")?.unwrap_or(900));
    let at: Timestamp = now();
    let unknown = || {
        let title = format!("no history: `series` is one of {}", SERIES.join(", "));
        Problem::new(404, "not_found", title, "see /api/v1/services for the services there are")
    };
    let found = context.app.watch.history().stretch(service, series, range, at);
    let stretch = found.ok_or_else(unknown)?;
    let (from, step, values) = (stretch.from.to_string(), stretch.step, stretch.values);
    told(context, &json!({ "from": from, "step_ms": step, "values": values }))
}

/// A number in the query.
fn number(context: &Context, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = context.query.get(name) else { return Ok(None) };
    let number = text.parse().map(Some);
    number.map_err(|_no_number| Problem::bad_request(format!("`{name}` is no number")))
}

//! Pages and what they need.

use std::sync::Arc;

use askama::Template;
use http::StatusCode;

use super::{Answer, Context, partner, session};
use crate::control::status::Balancing;
use crate::runtime::web::app::{App, stored};
use crate::runtime::web::reply::Reply;
use crate::runtime::web::watch::Snapshot;
use crate::web::asset;
use crate::web::headers::FOREVER;
use crate::web::page::{
    Accounts, Audit, Cluster, Events, Failure, Frame, Help, Kiosk, Overview, Service, Services,
    SessionRow, TokenRow, UserRow, rows,
};
use crate::web::problem::Problem;

pub(super) async fn overview(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Overview", "overview").await?;
    let events = context.app.watch.chronicle().latest(10).cloned().collect();
    let rows = service_rows(context, &snapshot);
    render(&Overview::new(frame, &snapshot.status, rows, events), None)
}

pub(super) async fn kiosk(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Kiosk", "overview").await?;
    let events = context.app.watch.chronicle().latest(5).cloned().collect();
    let rows = service_rows(context, &snapshot);
    let overview = Overview::new(frame, &snapshot.status, rows, events);
    render(&Kiosk::from(overview), None)
}

pub(super) async fn services(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Services", "services").await?;
    let rows = service_rows(context, &snapshot);
    render(&Services::new(frame, rows, &context.query), None)
}

pub(super) async fn service(context: &Context) -> Answer {
    let name = context.parameters.get("service");
    let (snapshot, frame) = framed(context, name, "services").await?;
    let known = snapshot.status.lvs.known();
    let services = known.or(snapshot.remembered.as_ref()).map_or(&[][..], |lvs| &lvs.services);
    let service = services.iter().find(|service| service.name == name);
    let service = service.ok_or_else(Problem::not_found)?;
    let page = Service::new(frame, service, known.is_some(), &context.app.watch.history());
    render(&page, None)
}

pub(super) async fn cluster(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Cluster", "cluster").await?;
    render(&Cluster::new(frame, &snapshot.status), None)
}

pub(super) async fn events(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Events", "events").await?;
    let heard = partner::heard(context, &snapshot.status).await;
    let events = context.app.watch.chronicle().latest(500).cloned().collect();
    render(&Events::new(frame, (events, heard), &context.query), None)
}

pub(super) async fn audit(context: &Context) -> Answer {
    let (_, frame) = framed(context, "Audit trail", "audit").await?;
    render(&Audit { frame, entries: context.app.audit(500).await? }, None)
}

pub(super) async fn help(context: &Context) -> Answer {
    let (_, frame) = framed(context, "Help", "help").await?;
    render(&Help { frame }, None)
}

pub(super) async fn accounts(context: &Context) -> Answer {
    let (_, frame) = framed(context, "Accounts", "accounts").await?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let sessions = session::sessions(context)?;
    let sessions = sessions.iter().map(|seen| SessionRow {
        id: text(&seen["id"]),
        user: text(&seen["user"]),
        address: text(&seen["address"]),
        agent: text(&seen["agent"]),
        since: text(&seen["since"]),
        own: seen["own"] == true,
    });
    let mut page = Accounts { sessions: sessions.collect(), frame, users: vec![], tokens: vec![] };
    if page.frame.is_admin() {
        let accounts = context.app.store.read().map_err(stored)?;
        page.users.extend(accounts.users.iter().map(|user| UserRow {
            name: user.name.clone(),
            role: user.role,
            changed: user.changed.to_string(),
        }));
        page.tokens.extend(accounts.tokens.iter().map(|token| TokenRow {
            name: token.name.clone(),
            role: token.role,
            author: token.author.clone(),
            expires: token.expires.map_or("never".to_owned(), |expires| expires.to_string()),
        }));
    }
    render(&page, None)
}

/// What is known now, and the frame of the page `title` over it.
pub(super) async fn framed(
    context: &Context,
    title: &str,
    place: &'static str,
) -> Result<(Arc<Snapshot>, Frame), Problem> {
    let stopping = || Problem::unreachable("the server stops");
    let snapshot = context.app.watch.latest().await.ok_or_else(stopping)?;
    let caller = context.caller()?;
    let csrf = caller.session.as_ref().map(crate::web::secret::Secret::csrf).unwrap_or_default();
    let frame = Frame::new((title, place), &snapshot.status, (&caller.name, caller.role), csrf);
    Ok((snapshot, frame))
}

fn service_rows(context: &Context, snapshot: &Snapshot) -> Vec<crate::web::page::ServiceRow> {
    let known: Option<&Balancing> = snapshot.status.lvs.known();
    let shown = known.or(snapshot.remembered.as_ref());
    rows(shown, known.is_some(), &context.app.watch.history())
}

/// The page, as an answer with the status of the problem it tells of.
pub(super) fn render(page: &impl Template, problem: Option<&Problem>) -> Answer {
    let reply = Reply::html(page.render().map_err(Problem::system)?);
    let status = problem.and_then(|problem| StatusCode::from_u16(problem.status).ok());
    Ok(reply.status(status.unwrap_or(StatusCode::OK)))
}

/// What a browser shows instead of a page.
pub(in crate::runtime::web) fn error_page(app: &App, problem: &Problem) -> Reply {
    let page = Failure { node: &app.node, title: &problem.title, mend: &problem.mend };
    render(&page, Some(problem)).unwrap_or_else(|_| Reply::problem(problem))
}

pub(super) fn asset(context: &Context) -> Answer {
    let asset = asset::named(context.parameters.get("name")).ok_or_else(Problem::not_found)?;
    Ok(Reply::new(asset.media, asset.text.as_str()).header("cache-control", FOREVER))
}

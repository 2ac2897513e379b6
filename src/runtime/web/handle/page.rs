//! Pages and what they need.

use askama::Template;
use http::StatusCode;

use super::{Answer, Context};
use crate::control::protocol::Servers;
use crate::control::status::Status;
use crate::runtime::web::app::App;
use crate::runtime::web::reply::Reply;
use crate::web::asset;
use crate::web::headers::FOREVER;
use crate::web::page::{Failure, Frame, Overview};
use crate::web::problem::Problem;

pub(super) async fn overview(context: &Context) -> Answer {
    let status = context.app.status(Servers::Notable).await;
    let frame = frame(context, ("Overview", "overview"), &status)?;
    render(&Overview::new(frame, &status), None)
}

fn frame(
    context: &Context,
    title: (&str, &'static str),
    status: &Status,
) -> Result<Frame, Problem> {
    let caller = context.caller()?;
    let csrf = caller.session.as_ref().map(|secret| secret.csrf()).unwrap_or_default();
    Ok(Frame::new(title, status, (&caller.name, caller.role), csrf))
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

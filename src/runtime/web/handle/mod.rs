//! What the server does, by endpoint.

mod account;
mod config;
mod connections;
mod draft;
mod entry;
mod look;
mod operate;
mod page;
mod partner;
mod revision;
mod session;
mod stream;
mod system;

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::app::{Caller, Note, Shared};
use super::reply::Reply;
use crate::control::protocol::{Daemon, Servers};
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::{Endpoint, Parameters, openapi};

pub(super) use connections::Last;
pub(super) use page::error_page;

/// What came of a request.
pub(super) type Answer = Result<Reply, Problem>;

/// A request that may be served.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) app: Shared,
    pub(super) caller: Option<Caller>,
    /// Where it comes from, for the audit trail.
    pub(super) source: String,
    pub(super) address: IpAddr,
    pub(super) parameters: Parameters,
    pub(super) query: Form,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) request: u64,
}

impl Context {
    /// Who asks. The gate lets nobody else to what needs a role.
    fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::no_session)
    }

    /// The body as JSON; without one, as an empty object.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| Problem::bad_request(error.to_string()))
    }

    /// Notes what became of an action, and passes that on.
    fn noted<T>(&self, action: &Action<'_>, result: Result<T, Problem>) -> Result<T, Problem> {
        let actor = self.caller.as_ref().map_or(action.actor, |caller| &caller.name);
        self.app.note(Note {
            actor,
            source: &self.source,
            action: action.name,
            target: action.target,
            reason: action.reason,
            change: action.change.clone(),
            result: result.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "done"),
            request: self.request,
        });
        result
    }
}

/// Something that goes into the audit trail.
#[derive(Debug, Default)]
struct Action<'a> {
    name: &'a str,
    /// Who claims to do it, where that is not known.
    actor: &'a str,
    target: Option<&'a str>,
    reason: Option<&'a str>,
    change: Value,
}

/// Does what a request asks for.
#[expect(clippy::too_many_lines, reason = "one line for each endpoint")]
pub(super) async fn serve(endpoint: Endpoint, context: Context) -> Answer {
    match endpoint {
        Endpoint::Overview => page::overview(&context).await,
        Endpoint::KioskPage => page::kiosk(&context).await,
        Endpoint::ServicesPage => page::services(&context).await,
        Endpoint::ServicePage => page::service(&context).await,
        Endpoint::ConnectionsPage => connections::page(&context).await,
        Endpoint::ListingPage => connections::listing_page(&context).await,
        Endpoint::ClusterPage => page::cluster(&context).await,
        Endpoint::EventsPage => page::events(&context).await,
        Endpoint::AccountsPage => page::accounts(&context).await,
        Endpoint::SystemPage => system::page(&context).await,
        Endpoint::AuditPage => page::audit(&context).await,
        Endpoint::ConfigPage => revision::config_page(&context).await,
        Endpoint::HistoryPage => revision::history_page(&context).await,
        Endpoint::FilesPage => partner::page(&context).await,
        Endpoint::Help => page::help(&context).await,
        Endpoint::LoginPage => entry::login_page(&context),
        Endpoint::Login => entry::login(&context).await,
        Endpoint::SetupPage => entry::setup_page(&context),
        Endpoint::Setup => entry::setup(&context).await,
        Endpoint::Logout => entry::logout(&context),
        Endpoint::Asset => page::asset(&context),
        Endpoint::Healthz => Ok(Reply::new("text/plain", "ok\n")),
        Endpoint::Readyz => readyz(&context).await,
        Endpoint::OpenApi => Reply::json(&openapi()),
        Endpoint::Status => status(&context).await,
        Endpoint::Readiness => told(&context, &context.app.status(Servers::None).await.verdict),
        Endpoint::Nodes => look::nodes(&context).await,
        Endpoint::Node => look::one_node(&context).await,
        Endpoint::Services => look::services(&context).await,
        Endpoint::ServicesCsv => look::services_csv(&context).await,
        Endpoint::Service => look::service(&context).await,
        Endpoint::Server => look::server(&context).await,
        Endpoint::Connections => connections::told_of_service(&context).await,
        Endpoint::Listing => connections::listing(&context).await,
        Endpoint::Events => look::events(&context).await,
        Endpoint::Stream => stream::open(&context),
        Endpoint::History => look::history(&context),
        Endpoint::Overrides => overrides(&context).await,
        Endpoint::PutOverrides => operate::put_many(&context).await,
        Endpoint::PutOverride => operate::put(&context).await,
        Endpoint::DeleteOverride => operate::clear(&context).await,
        Endpoint::Failover => operate::failover(&context).await,
        Endpoint::Maintenance => operate::maintenance(&context).await,
        Endpoint::Config => config::raw(&context).await,
        Endpoint::Validate => config::validate(&context).await,
        Endpoint::Diff => config::diff(&context).await,
        Endpoint::Explain => config::explain(&context),
        Endpoint::Directives => config::directives(),
        Endpoint::Review => revision::review(&context).await,
        Endpoint::Outline => draft::outline(&context).await,
        Endpoint::Edit => draft::edit(&context).await,
        Endpoint::Import => draft::import(&context).await,
        Endpoint::Apply => revision::apply(&context).await,
        Endpoint::ConfirmConfig => revision::confirm(&context).await,
        Endpoint::UndoConfig => revision::undo(&context).await,
        Endpoint::Revisions => revision::list(&context).await,
        Endpoint::Revision => revision::one(&context).await,
        Endpoint::Compare => revision::compare(&context).await,
        Endpoint::Files => partner::files(&context).await,
        Endpoint::SyncFiles => partner::synchronise(&context).await,
        Endpoint::ResolveFile => partner::resolve(&context).await,
        Endpoint::RunCheck => operate::check(&context).await,
        Endpoint::Reload => operate::reload(&context).await,
        Endpoint::BeginSession => session::begin(&context).await,
        Endpoint::EndSession => session::end(&context),
        Endpoint::Confirm => session::confirm(&context).await,
        Endpoint::OwnPassword => session::change_password(&context).await,
        Endpoint::Sessions => session::list(&context),
        Endpoint::RevokeSession => session::revoke(&context),
        Endpoint::Users => account::users(&context),
        Endpoint::PutUser => account::put_user(&context).await,
        Endpoint::DeleteUser => account::delete_user(&context),
        Endpoint::Tokens => account::tokens(&context),
        Endpoint::CreateToken => account::create_token(&context),
        Endpoint::RevokeToken => account::revoke_token(&context),
        Endpoint::SupportBundle => system::bundle(&context).await,
        Endpoint::TestAlerts => system::test_alerts(&context).await,
        Endpoint::Audit => audit(&context).await,
    }
}

/// `value`, with the node it is about and when that was told.
fn told(context: &Context, value: &impl Serialize) -> Answer {
    let mut value = serde_json::to_value(value).map_err(Problem::system)?;
    if let Some(object) = value.as_object_mut() {
        object.entry("node").or_insert_with(|| context.app.node.as_str().into());
        let now = crate::runtime::control::now().to_string();
        object.insert("observed_at".to_owned(), now.into());
    }
    Reply::json(&value)
}

async fn status(context: &Context) -> Answer {
    let servers = match context.query.get("servers") {
        None | Some("all") => Servers::All,
        Some("notable") => Servers::Notable,
        Some("none") => Servers::None,
        Some(_) => return Err(Problem::bad_request("`servers` is none, notable or all")),
    };
    told(context, &context.app.status(servers).await)
}

async fn overrides(context: &Context) -> Answer {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let balancing = lvs.balancing(Servers::None, None).await.map_err(super::app::refused)?;
    told(context, &json!({ "overrides": balancing.overrides }))
}

/// The audit trail of both nodes.
async fn audit(context: &Context) -> Answer {
    let entries = context.app.audit(500).await?;
    // Without a partner there is nobody who lacks them.
    let partner = partner::known(context).await;
    let unsent = partner.as_ref().map(|_| context.app.courier.unsent());
    told(context, &json!({ "entries": entries, "partner": partner, "unsent": unsent }))
}

/// Whether the daemons can be asked; nothing else, since anybody may ask.
async fn readyz(context: &Context) -> Answer {
    let (pulse, lvs) =
        tokio::join!(context.app.client(Daemon::Pulse), context.app.client(Daemon::Lvs));
    if pulse.is_ok() && lvs.is_ok() {
        return Ok(Reply::new("text/plain", "ready\n"));
    }
    let reply = Reply::new("text/plain", "the daemons cannot be asked\n");
    Ok(reply.status(http::StatusCode::SERVICE_UNAVAILABLE))
}

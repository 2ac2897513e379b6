//! The one way in: nothing is served that did not pass here.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::app::{App, Caller, Note, Shared};
use super::handle::{self, Context};
use super::reply::{Body, Reply};
use crate::web::form::{Form, cookie, encode};
use crate::web::guard::Source;
use crate::web::headers::EVERYWHERE;
use crate::web::problem::Problem;
use crate::web::secret::Secret;
use crate::web::{Access, Found, Kind, Parameters, Role, Route, find};

/// A body that takes longer than this is given up.
const BODY: Duration = Duration::from_secs(30);

/// Where pages listen.
const STREAM: &str = "/api/v1/stream";

/// What API tokens begin with, so that a secret scanner knows one.
pub(super) const TOKEN: &str = "piranha_";

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) enum Visitor {
    /// Somebody on the network, with the place among strangers until it is known who.
    Network { address: IpAddr, stranger: Mutex<Option<OwnedSemaphorePermit>>, known: Notify },
    /// Somebody on this machine, whom the kernel named.
    Socket { user: String, role: Role },
}

impl Visitor {
    /// Where it comes from, for the audit trail.
    pub(super) fn source(&self) -> String {
        match self {
            Self::Network { address, .. } => address.to_canonical().to_string(),
            Self::Socket { .. } => "socket".to_owned(),
        }
    }

    /// For the throttle.
    pub(super) const fn address(&self) -> IpAddr {
        match self {
            Self::Network { address, .. } => *address,
            Self::Socket { .. } => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        }
    }

    fn is_known(&self) {
        if let Self::Network { stranger, known, .. } = self {
            let place = stranger.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if place.is_some() {
                known.notify_one();
            }
        }
    }
}

/// Answers a request, whatever it is.
pub(super) async fn answer(
    app: Shared,
    visitor: &Visitor,
    request: Request<Incoming>,
) -> Response<Body> {
    let number = app.number();
    let without_body = request.method() == http::Method::HEAD;
    let path = request.uri().path().to_owned();
    let by_gzip = text(request.headers(), "accept-encoding")
        .is_some_and(|field| field.split(',').any(|one| one.trim() == "gzip"));
    let mut reply = match judge(&app, visitor, request, number).await {
        Ok(reply) => reply,
        Err(problem) if path.starts_with("/api/") => Reply::problem(&problem),
        Err(problem) => handle::error_page(&app, &problem),
    };
    for (name, value) in EVERYWHERE {
        reply = reply.header(name, value);
    }
    if app.identity.is_given() {
        reply = reply.header("strict-transport-security", "max-age=31536000");
    }
    reply.set("x-request-id", &number.to_string());
    if by_gzip {
        reply = reply.compressed();
    }
    reply.into_response(without_body)
}

async fn judge(
    app: &Shared,
    visitor: &Visitor,
    request: Request<Incoming>,
    number: u64,
) -> Result<Reply, Problem> {
    let (head, body) = request.into_parts();
    let host = host(&head)?;
    let source = Source {
        host: host.as_deref(),
        origin: text(&head.headers, "origin"),
        fetch_site: text(&head.headers, "sec-fetch-site"),
    };
    if matches!(visitor, Visitor::Network { .. }) && !source.is_meant_for(&app.names) {
        let mend = "use its address, its name, or one given with --name";
        return Err(Problem::new(421, "other_host", "this server has another name", mend));
    }
    let caller = identify(app, visitor, &head)?;
    let (route, parameters) = match admit(app, &head, caller.as_ref())? {
        Admitted::To(route, parameters) => (route, parameters),
        Admitted::Elsewhere(location) => return Ok(Reply::see_other(&location)),
    };
    if caller.is_some() {
        visitor.is_known();
    }
    let refuse = |problem: Problem| {
        if let (Some(caller), true) = (&caller, route.method.changes()) {
            note_refusal(app, visitor, caller, route, &problem, number);
        }
        problem
    };
    may(route, caller.as_ref()).map_err(&refuse)?;
    let by_browser = matches!(visitor, Visitor::Network { .. })
        && caller.as_ref().is_none_or(|caller| caller.session.is_some());
    if route.method.changes() && by_browser && !source.is_same_origin() {
        return Err(refuse(Problem::cross_site()));
    }
    let body =
        if route.method.changes() { read(route, &head.headers, body).await? } else { Bytes::new() };
    if route.method.changes() && !has_csrf(route, caller.as_ref(), &head.headers, &body) {
        return Err(refuse(Problem::cross_site()));
    }
    let context = Context {
        app: std::sync::Arc::clone(app),
        caller,
        source: visitor.source(),
        address: visitor.address(),
        parameters,
        query: Form::parse(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        body,
        request: number,
    };
    handle::serve(route.endpoint, context).await
}

/// Who asks, as far as that can be believed.
fn identify(
    app: &App,
    visitor: &Visitor,
    head: &http::request::Parts,
) -> Result<Option<Caller>, Problem> {
    let headers = &head.headers;
    if let Visitor::Socket { user, role } = visitor {
        let name = format!("{user} (socket)");
        return Ok(Some(Caller { name, role: *role, session: None, fresh: true }));
    }
    if headers.contains_key(AUTHORIZATION) {
        let secret = text(headers, "authorization")
            .and_then(|field| field.strip_prefix("Bearer "))
            .and_then(|token| Secret::parse(token.strip_prefix(TOKEN)?));
        return secret.map_or(Ok(None), |secret| app.holder(&secret));
    }
    match session(app, headers) {
        Some(secret) => {
            // What an open page does by itself is no sign of life of its user.
            let by_itself = head.uri.path() == STREAM || headers.contains_key("x-piranha-passive");
            app.caller(secret, by_itself)
        }
        None => Ok(None),
    }
}

/// The secret in the cookie of this server.
pub(super) fn session(app: &App, headers: &HeaderMap) -> Option<Secret> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut values = fields.filter_map(|field| cookie(field, &app.cookie));
    values.next().and_then(Secret::parse)
}

enum Admitted {
    To(&'static Route, Parameters),
    Elsewhere(String),
}

/// What a request is for, for who may know that.
fn admit(
    app: &App,
    head: &http::request::Parts,
    caller: Option<&Caller>,
) -> Result<Admitted, Problem> {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let found = find(method, path);
    if let Found::Route(route, parameters) = &found
        && (caller.is_some() || route.access == Access::Public)
    {
        return Ok(Admitted::To(route, parameters.clone()));
    }
    if caller.is_none() {
        // Whoever is not known learns nothing of what there is.
        let browses = matches!(method, "GET" | "HEAD") && !path.starts_with("/api/");
        if !browses {
            return Err(Problem::no_session());
        }
        if app.is_new()? {
            return Ok(Admitted::Elsewhere("/setup".to_owned()));
        }
        let next = head.uri.path_and_query().map_or("/", |asked| asked.as_str());
        return Ok(Admitted::Elsewhere(format!("/login?next={}", encode(next))));
    }
    Err(match found {
        Found::OtherMethod(methods) => {
            let names: Vec<_> = methods.iter().map(|method| method.name()).collect();
            let mend = format!("use {}", names.join(", "));
            Problem::new(405, "other_method", "this is not asked for so", mend)
        }
        _ => Problem::not_found(),
    })
}

/// Whether this caller may.
fn may(route: &Route, caller: Option<&Caller>) -> Result<(), Problem> {
    match (route.access, caller) {
        (Access::Public, _) => Ok(()),
        (Access::Role(_), None) => Err(Problem::no_session()),
        (Access::Role(role), Some(caller)) if caller.role < role => Err(Problem::not_allowed()),
        (Access::Role(_), Some(caller)) if route.fresh && !caller.fresh => {
            Err(Problem::stale_password())
        }
        _ => Ok(()),
    }
}

/// Whether what comes with a cookie also has the word that only our pages know.
fn has_csrf(route: &Route, caller: Option<&Caller>, headers: &HeaderMap, body: &Bytes) -> bool {
    let secret = caller.and_then(|caller| caller.session.as_ref());
    let Some(secret) = secret.filter(|_| route.access != Access::Public) else { return true };
    if route.kind == Kind::Form {
        return secret.is_csrf(form(body).text("csrf"));
    }
    text(headers, "x-piranha-csrf").is_some_and(|said| secret.is_csrf(said))
}

async fn read(route: &Route, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Problem> {
    let limited = Limited::new(body, route.limit).collect();
    let read = match tokio::time::timeout(BODY, limited).await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Problem::too_large(route.limit));
        }
        Ok(Err(error)) => return Err(Problem::bad_request(error.to_string())),
        Err(_late) => return Err(Problem::new(408, "slow", "the body did not come", "try again")),
    };
    let expected = if route.kind == Kind::Form {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let media = headers.get(CONTENT_TYPE).and_then(|field| field.to_str().ok()).unwrap_or_default();
    if !read.is_empty() && media.split(';').next().map(str::trim) != Some(expected) {
        let title = format!("the body is not {expected}");
        return Err(Problem::new(415, "media_type", title, "send it as that"));
    }
    Ok(read)
}

/// The fields of a form.
pub(super) fn form(body: &Bytes) -> Form {
    Form::parse(&String::from_utf8_lossy(body))
}

/// Which host was asked. What says two different things is refused.
fn host(head: &http::request::Parts) -> Result<Option<String>, Problem> {
    let mut said: Vec<&str> = head.uri.authority().iter().map(|name| name.as_str()).collect();
    for field in head.headers.get_all(HOST) {
        said.push(field.to_str().map_err(|_no_text| Problem::bad_request("the host is no text"))?);
    }
    if said.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Problem::bad_request("the request names two hosts"));
    }
    Ok(said.first().map(|name| (*name).to_owned()))
}

/// A header field that is there once.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) => field.to_str().ok(),
        // Two origins are none that could be trusted, which is not the same as no origin.
        (Some(_), Some(_)) => Some(""),
        _ => None,
    }
}

fn note_refusal(
    app: &App,
    visitor: &Visitor,
    caller: &Caller,
    route: &Route,
    problem: &Problem,
    request: u64,
) {
    app.note(Note {
        actor: &caller.name,
        source: &visitor.source(),
        action: &format!("{} {}", route.method.name(), route.path),
        target: None,
        reason: None,
        change: serde_json::Value::Null,
        result: &problem.code,
        request,
    });
}

/// Sends whoever speaks plain HTTP to HTTPS, and does nothing else.
pub(super) fn redirect(app: &App, request: &Request<Incoming>) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|field| field.to_str().ok());
    let source = Source { host, ..Source::default() };
    let reply = match host.filter(|_| source.is_meant_for(&app.names)) {
        Some(host) => {
            let mut reply = Reply::done().status(StatusCode::PERMANENT_REDIRECT);
            let path = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
            reply.set("location", &format!("https://{host}{path}"));
            reply
        }
        None => Reply::problem(&Problem::bad_request("this server speaks HTTPS")),
    };
    reply.header("connection", "close").into_response(false)
}

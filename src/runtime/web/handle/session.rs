//! Logging in and out, and who is.

use http::header::USER_AGENT;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Answer, Context};
use crate::runtime::clock;
use crate::runtime::web::app::{both_clocks, stored};
use crate::runtime::web::reply::Reply;
use crate::runtime::web::{gate, password, random};
use crate::web::Role;
use crate::web::account::{User, check_password};
use crate::web::problem::Problem;
use crate::web::secret::Secret;
use crate::web::session::Session;

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

#[derive(Deserialize)]
struct Change {
    password: String,
    new: String,
}

pub(super) async fn begin(context: &Context) -> Answer {
    let Credentials { user, password } = context.json()?;
    let (secret, role) = log_in(context, &user, password).await?;
    let reply = Reply::json(&json!({ "user": user, "role": role, "csrf": secret.csrf() }))?;
    Ok(with_cookie(context, reply, Some(&secret)))
}

pub(super) fn end(context: &Context) -> Answer {
    let caller = context.caller()?;
    if let Some(secret) = &caller.session {
        context.app.sessions().end(secret);
    }
    let action = Action { name: "session.end", ..Action::default() };
    context.noted(&action, Ok(()))?;
    Ok(with_cookie(context, Reply::done(), None))
}

/// The same answer, in the same time, for a wrong password and for a user there is not.
pub(super) async fn log_in(
    context: &Context,
    name: &str,
    password: String,
) -> Result<(Secret, Role), Problem> {
    let action = Action { name: "session.begin", actor: name, ..Action::default() };
    let user = authenticate(context, name, password).await;
    let user = context.noted(&action, user)?;
    let (secret, role) = (Secret::new(random().map_err(Problem::system)?), user.role);
    let old = gate::session(&context.app, &context.headers);
    let agent = context.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let (agent, clocks) = (agent.unwrap_or_default(), both_clocks());
    let session = Session::new(&user.name, user.stamp(), context.address, agent, clocks);
    context.app.sessions().begin(clocks.0, &secret, session, old.as_ref());
    Ok((secret, role))
}

async fn authenticate(context: &Context, name: &str, entered: String) -> Result<User, Problem> {
    context.app.attempt(name, context.address)?;
    let user = context.app.store.read().map_err(stored)?.user(name).cloned();
    let kept = user.as_ref().map(|user| user.password.clone());
    let right = password::verify(entered, kept).await.map_err(Problem::system)?;
    let Some(user) = user.filter(|_| right) else {
        let title = "the user or the password is wrong";
        return Err(Problem::new(401, "wrong_password", title, "try again"));
    };
    context.app.succeeded(name, context.address);
    Ok(user)
}

pub(super) async fn confirm(context: &Context) -> Answer {
    let Password { password } = context.json()?;
    let (name, secret) = own(context)?;
    let action = Action { name: "session.confirm", ..Action::default() };
    let confirmed = authenticate(context, &name, password).await;
    context.noted(&action, confirmed)?;
    context.app.sessions().confirm(clock::now(), &secret);
    Ok(Reply::done())
}

pub(super) async fn change_password(context: &Context) -> Answer {
    let Change { password, new } = context.json()?;
    let (name, _) = own(context)?;
    let action = Action { name: "user.password", target: Some(&name), ..Action::default() };
    let changed = async {
        let user = authenticate(context, &name, password).await?;
        check_password(&name, &new)?;
        let password = password::hash(new).await.map_err(Problem::system)?;
        let user = User { password, changed: both_clocks().1, ..user };
        context.app.store.change(|accounts| accounts.put_user(user)).map_err(stored)
    };
    context.noted(&action, changed.await)?;
    Ok(with_cookie(context, Reply::done(), None))
}

/// Name and session of a caller who has a password.
fn own(context: &Context) -> Result<(String, Secret), Problem> {
    let caller = context.caller()?;
    let none = || Problem::bad_request("only who logged in with a password has one");
    Ok((caller.name.clone(), caller.session.clone().ok_or_else(none)?))
}

pub(super) fn list(context: &Context) -> Answer {
    Reply::json(&json!({ "sessions": sessions(context)? }))
}

/// The sessions that the caller may see.
pub(super) fn sessions(context: &Context) -> Result<Vec<Value>, Problem> {
    let caller = context.caller()?;
    let own = caller.session.as_ref().map(|secret| secret.digest().name());
    let (now, mut sessions) = (clock::now(), context.app.sessions());
    let seen = sessions
        .list(now)
        .filter(|(_, session)| caller.role == Role::Admin || session.user == caller.name);
    Ok(seen
        .map(|(id, session)| {
            json!({
                "id": id,
                "user": session.user,
                "address": session.address.to_canonical().to_string(),
                "agent": session.agent,
                "since": session.since.to_string(),
                "idle_ms": u64::from(crate::control::Age(session.idle(now))),
                "own": own.as_deref() == Some(id.as_str()),
            })
        })
        .collect())
}

pub(super) fn revoke(context: &Context) -> Answer {
    let id = context.parameters.get("id");
    let seen = sessions(context)?;
    let action = Action { name: "session.revoke", target: Some(id), ..Action::default() };
    let revoked = match seen.iter().any(|session| session["id"] == id) {
        true => context.app.sessions().revoke(id).ok_or_else(Problem::not_found),
        false => Err(Problem::not_found()),
    };
    context.noted(&action, revoked)?;
    Ok(Reply::done())
}

/// The cookie of a session in the answer, or its end.
pub(super) fn with_cookie(context: &Context, mut reply: Reply, secret: Option<&Secret>) -> Reply {
    let name = &context.app.cookie;
    let (value, end) = match secret {
        Some(secret) => (secret.text(), ""),
        None => (String::new(), "; Max-Age=0"),
    };
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{end}");
    reply.set("set-cookie", &cookie);
    reply
}

//! Users and API tokens.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Action, Answer, Context};
use crate::runtime::control::now;
use crate::runtime::web::app::stored;
use crate::runtime::web::reply::Reply;
use crate::runtime::web::{new_token, password};
use crate::web::Role;
use crate::web::account::{AccountError, User, check_name, check_password};
use crate::web::problem::Problem;

/// How long an API token is good unless it is said.
const TOKEN_LIFE: u64 = 90 * 86_400;

pub(super) fn users(context: &Context) -> Answer {
    let accounts = context.app.store.read().map_err(stored)?;
    let users = accounts.users.iter().map(
        |user| json!({ "name": user.name, "role": user.role, "changed": user.changed.to_string() }),
    );
    Reply::json(&json!({ "users": users.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct UserBody {
    role: Option<Role>,
    password: Option<String>,
}

pub(super) async fn put_user(context: &Context) -> Answer {
    let UserBody { role, password } = context.json()?;
    let name = context.parameters.get("user");
    let action = Action {
        name: "user.put",
        target: Some(name),
        change: json!({ "role": role, "password": password.is_some() }),
        ..Action::default()
    };
    context.noted(&action, change_user(context, name, role, password).await)?;
    Ok(Reply::done())
}

async fn change_user(
    context: &Context,
    name: &str,
    role: Option<Role>,
    entered: Option<String>,
) -> Result<(), Problem> {
    check_name(name)?;
    let hashed = match entered {
        Some(entered) => {
            check_password(name, &entered)?;
            Some(password::hash(entered).await.map_err(Problem::system)?)
        }
        None => None,
    };
    let changed = context.app.store.change(|accounts| {
        let old = accounts.user(name).cloned();
        let role = role.or(old.as_ref().map(|old| old.role)).unwrap_or(Role::Viewer);
        let (password, changed) = match (hashed, old) {
            (Some(hashed), _) => (hashed, now()),
            (None, Some(old)) => (old.password, old.changed),
            (None, None) => return Err(AccountError::Short),
        };
        accounts.put_user(User { name: name.to_owned(), role, password, changed })
    });
    changed.map_err(stored)
}

pub(super) fn delete_user(context: &Context) -> Answer {
    let name = context.parameters.get("user");
    let action = Action { name: "user.delete", target: Some(name), ..Action::default() };
    let removed = context.app.store.change(|accounts| accounts.remove_user(name));
    context.noted(&action, removed.map_err(stored))?;
    Ok(Reply::done())
}

pub(super) fn tokens(context: &Context) -> Answer {
    let accounts = context.app.store.read().map_err(stored)?;
    let tokens = accounts.tokens.iter().map(|token| {
        json!({
            "name": token.name,
            "role": token.role,
            "author": token.author,
            "created": token.created.to_string(),
            "expires": token.expires.map(|expires| expires.to_string()),
        })
    });
    Reply::json(&json!({ "tokens": tokens.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
struct TokenBody {
    name: String,
    role: Option<Role>,
    expires: Option<u64>,
}

pub(super) fn create_token(context: &Context) -> Answer {
    let TokenBody { name, role, expires } = context.json()?;
    let role = role.unwrap_or(Role::Viewer);
    let life = Duration::from_secs(expires.unwrap_or(TOKEN_LIFE));
    let author = context.caller()?.name.clone();
    let (token, text) = new_token(&name, role, &author, life).map_err(Problem::system)?;
    let change = json!({ "role": role, "expires": token.expires });
    let action = Action { name: "token.create", target: Some(&name), change, ..Action::default() };
    let added = context.app.store.change(|accounts| accounts.add_token(token));
    context.noted(&action, added.map_err(stored))?;
    let told = json!({ "name": name, "role": role, "token": text });
    Ok(Reply::json(&told)?.status(http::StatusCode::CREATED))
}

pub(super) fn revoke_token(context: &Context) -> Answer {
    let name = context.parameters.get("name");
    let action = Action { name: "token.revoke", target: Some(name), ..Action::default() };
    let revoked = context.app.store.change(|accounts| accounts.revoke_token(name));
    context.noted(&action, revoked.map_err(stored))?;
    Ok(Reply::done())
}

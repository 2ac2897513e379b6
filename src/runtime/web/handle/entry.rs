//! The pages before the login, and their forms.

use super::session::{log_in, with_cookie};
use super::{Action, Answer, Context, page};
use crate::runtime::control::now;
use crate::runtime::web::app::stored;
use crate::runtime::web::gate::form;
use crate::runtime::web::password;
use crate::runtime::web::reply::Reply;
use crate::web::Role;
use crate::web::account::{AccountError, User, check_name, check_password};
use crate::web::guard::is_local_path;
use crate::web::page::{Login, Setup};
use crate::web::problem::Problem;

pub(super) fn login_page(context: &Context) -> Answer {
    if context.app.is_new()? {
        return Ok(Reply::see_other("/setup"));
    }
    let next = context.query.text("next");
    shown(context, next, "", None)
}

pub(super) async fn login(context: &Context) -> Answer {
    let form = form(&context.body);
    let (user, next) = (form.text("user"), form.text("next"));
    match log_in(context, user, form.text("password").to_owned()).await {
        Ok((secret, _)) => {
            let next = if is_local_path(next) { next } else { "/" };
            Ok(with_cookie(context, Reply::see_other(next), Some(&secret)))
        }
        Err(problem) => shown(context, next, user, Some(&problem)),
    }
}

pub(super) fn logout(context: &Context) -> Answer {
    if let Some(secret) = &context.caller()?.session {
        context.app.sessions().end(secret);
    }
    let action = Action { name: "session.end", ..Action::default() };
    context.noted(&action, Ok(()))?;
    Ok(with_cookie(context, Reply::see_other("/login"), None))
}

pub(super) fn setup_page(context: &Context) -> Answer {
    if !context.app.is_new()? {
        return Ok(Reply::see_other("/login"));
    }
    page::render(&Setup::new(&context.app.node, "", None), None)
}

pub(super) async fn setup(context: &Context) -> Answer {
    if !context.app.is_new()? {
        return Ok(Reply::see_other("/login"));
    }
    let form = form(&context.body);
    let name = form.text("user");
    let action = Action { name: "setup", actor: "setup", target: Some(name), ..Action::default() };
    let made = first_admin(context, form.text("token"), name, form.text("password")).await;
    match context.noted(&action, made) {
        Ok(()) => Ok(Reply::see_other("/login")),
        Err(problem) => {
            page::render(&Setup::new(&context.app.node, name, Some(&problem.title)), Some(&problem))
        }
    }
}

async fn first_admin(
    context: &Context,
    token: &str,
    name: &str,
    entered: &str,
) -> Result<(), Problem> {
    // One name for all attempts: there is no account yet.
    context.app.attempt("", context.address)?;
    if !context.app.is_setup(token) {
        let mend = "start `piranha serve` again for a new one, or use `piranha user add`";
        return Err(Problem::new(401, "setup_token", "the token is wrong or too old", mend));
    }
    context.app.succeeded("", context.address);
    check_name(name)?;
    check_password(name, entered)?;
    let password = password::hash(entered.to_owned()).await.map_err(Problem::system)?;
    let user = User { name: name.to_owned(), role: Role::Admin, password, changed: now() };
    let made = context.app.store.change(|accounts| {
        // Two at the same time: the first one wins.
        if accounts.users.is_empty() { accounts.put_user(user) } else { Err(AccountError::Exists) }
    });
    made.map_err(stored)?;
    context.app.end_setup();
    Ok(())
}

fn shown(context: &Context, next: &str, user: &str, problem: Option<&Problem>) -> Answer {
    let next = if is_local_path(next) { next } else { "/" };
    let fingerprint = context.app.identity.fingerprint();
    let fault = problem.map(|problem| problem.title.as_str());
    page::render(&Login::new(&context.app.node, &fingerprint, next, user, fault), problem)
}

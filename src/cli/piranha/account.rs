//! `piranha passwd`, `piranha user` and `piranha token`: the accounts of the GUI and the API.

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::serve::State;
use super::{print, print_json, span};
use crate::cli::{Failure, on_one_thread};
use crate::runtime::control::now;
use crate::runtime::web::store::Store;
use crate::runtime::web::{new_token, password};
use crate::web::Role;
use crate::web::account::{AccountError, Token, User, check_name, check_password};

/// Set the password of a user of the GUI; the sessions of the user end.
///
/// The password is asked for twice, or read as one line where standard input is no terminal.
#[derive(Debug, Args)]
pub(super) struct Passwd {
    #[command(flatten)]
    state: State,
    /// The user.
    #[arg(default_value = "admin")]
    user: String,
}

impl Passwd {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let store = Store::open(&self.state.directory())?;
        let role = store.read()?.user(&self.user).map(|user| user.role);
        // The first one there is has to be able to make the others.
        let role = role.or_else(|| store.read().ok()?.users.is_empty().then_some(Role::Admin));
        let Some(role) = role else {
            return Err(AccountError::Unknown("user", self.user).into());
        };
        set(&store, &self.user, role)
    }
}

/// The commands about users.
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// List who may log in.
    List {
        #[command(flatten)]
        state: State,
        /// Print JSON.
        #[arg(short, long)]
        json: bool,
    },
    /// Add a user; the password is asked for.
    Add {
        #[command(flatten)]
        state: State,
        /// The name.
        user: String,
        /// What the user may do: viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: Role,
    },
    /// Change what a user may do; the sessions of the user end.
    Role {
        #[command(flatten)]
        state: State,
        /// The name.
        user: String,
        /// viewer, operator or admin.
        role: Role,
    },
    /// Take a user away.
    Remove {
        #[command(flatten)]
        state: State,
        /// The name.
        user: String,
    },
}

impl Users {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::List { state, json } => {
                let accounts = Store::open(&state.directory())?.read()?;
                let users = &accounts.users;
                if json {
                    let user = |user: &User| json!({ "name": user.name, "role": user.role, "changed": user.changed });
                    print_json(&json!({ "users": users.iter().map(user).collect::<Vec<_>>() }))?;
                } else {
                    let line = |user: &User| {
                        format!("{:<32} {:<8} password of {}\n", user.name, user.role, user.changed)
                    };
                    print(users.iter().map(line).collect::<String>())?;
                }
            }
            Self::Add { state, user, role } => {
                let store = Store::open(&state.directory())?;
                if store.read()?.user(&user).is_some() {
                    let reason = format!("there is a user `{user}`: use `piranha passwd {user}`");
                    return Err(Failure::new(reason));
                }
                return set(&store, &user, role);
            }
            Self::Role { state, user, role } => {
                let unknown = AccountError::Unknown("user", user.clone());
                Store::open(&state.directory())?.change(|accounts| {
                    let old = accounts.user(&user).cloned().ok_or(unknown)?;
                    accounts.put_user(User { role, ..old })
                })?;
            }
            Self::Remove { state, user } => {
                Store::open(&state.directory())?.change(|all| all.remove_user(&user))?;
            }
        }
        Ok(0)
    }
}

/// The commands about API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// List the tokens there are.
    List {
        #[command(flatten)]
        state: State,
        /// Print JSON.
        #[arg(short, long)]
        json: bool,
    },
    /// Make a token, and print it this once.
    Create {
        #[command(flatten)]
        state: State,
        /// What it is called.
        name: String,
        /// What its holder may do: viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// For how long it is good.
        #[arg(long, value_name = "TIME", value_parser = span::parse, default_value = "90d")]
        expires: Duration,
    },
    /// Make a token worthless.
    Revoke {
        #[command(flatten)]
        state: State,
        /// What it is called.
        name: String,
    },
}

impl Tokens {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::List { state, json } => {
                let accounts = Store::open(&state.directory())?.read()?;
                let tokens = &accounts.tokens;
                if json {
                    let token = |Token { name, role, author, expires, .. }: &Token| json!({ "name": name, "role": role, "author": author, "expires": expires });
                    print_json(&json!({ "tokens": tokens.iter().map(token).collect::<Vec<_>>() }))?;
                } else {
                    print(tokens.iter().map(token_line).collect::<String>())?;
                }
            }
            Self::Create { state, name, role, expires } => {
                let store = Store::open(&state.directory())?;
                let (token, text) = new_token(&name, role, "command line", expires)?;
                store.change(|accounts| accounts.add_token(token))?;
                print(text + "\n")?;
            }
            Self::Revoke { state, name } => {
                Store::open(&state.directory())?.change(|all| all.revoke_token(&name))?;
            }
        }
        Ok(0)
    }
}

fn token_line(Token { name, role, author, expires, .. }: &Token) -> String {
    let until = expires.map_or("ever".to_owned(), |expires| expires.to_string());
    format!("{name:<32} {role:<8} until {until}, by {author}\n")
}

/// Gives the user a password that is asked for.
fn set(store: &Store, name: &str, role: Role) -> Result<u8, Failure> {
    check_name(name)?;
    let entered = ask(name)?;
    check_password(name, &entered)?;
    let password = on_one_thread(async { Ok(password::hash(entered).await?) })?;
    let user = User { name: name.to_owned(), role, password, changed: now() };
    store.change(|accounts| accounts.put_user(user))?;
    Ok(0)
}

fn ask(name: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return line();
    }
    eprint!("New password of {name}: ");
    let first = unseen()?;
    eprint!("Again: ");
    let second = unseen()?;
    if first == second { Ok(first) } else { Err(Failure::new("they differ: nothing was changed")) }
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A line from the terminal, which does not show it.
fn unseen() -> Result<String, Failure> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let line = line();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    eprintln!();
    line
}

//! `piranha`: the administrator's command.
//!
//! What it finds out goes to standard output, what it has to say about that to standard error.
//! Subcommands may be shortened as long as one is meant. Exit codes: 0 done, 1 not, 2 for a wrong
//! command line; [`config`] has those of its own commands.

#[cfg(feature = "web")]
mod account;
mod check;
mod completion;
pub mod config;
mod doctor;
mod events;
mod metrics;
mod node;
mod notify;
mod pair;
mod place;
mod replay;
#[cfg(feature = "web")]
mod serve;
mod server;
mod service;
mod show;
mod span;
mod status;
mod support;
mod sync;
mod table;
#[cfg(feature = "tui")]
mod top;
mod version;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::Failure;

/// The administrator's command of Piranha, the load balancer out of Linux Virtual Server.
#[derive(Debug, Parser)]
#[command(name = "piranha", version, infer_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the pair is healthy and would fail over, and what it does.
    Status(status::Status),
    /// Show what the director does, live.
    #[cfg(feature = "tui")]
    Top(top::Top),
    /// Say whether a failover would succeed now, and if not why.
    Readiness(status::Readiness),
    /// List and show virtual services; enable, drain and disable them.
    #[command(subcommand, infer_subcommands = true)]
    Service(service::Command),
    /// List and show real servers; ready, drain, disable and weigh them.
    #[command(subcommand, infer_subcommands = true)]
    Server(server::Command),
    /// List what operators say of servers, and take it back.
    #[command(subcommand, infer_subcommands = true)]
    Override(server::Overrides),
    /// Check servers once, now.
    #[command(subcommand, infer_subcommands = true)]
    Check(check::Command),
    /// Begin and end maintenance of this node.
    #[command(subcommand, infer_subcommands = true)]
    Node(node::Command),
    /// Pass the service to the partner.
    Failover(node::Failover),
    /// List what has happened, and what happens.
    Events(events::Command),
    /// Print the metrics of this node, as Prometheus reads them.
    Metrics(metrics::Metrics),
    /// Pair this node with its partner, so that each can be asked and operated from the other.
    #[command(subcommand, infer_subcommands = true)]
    Pair(pair::Command),
    /// Keep the connection to the partner, and both nodes in the same state.
    #[command(subcommand, infer_subcommands = true)]
    Sync(sync::Command),
    /// Tell what pulse was told and decided, from a recording.
    Replay(replay::Command),
    /// Check, explain, compare and bring over configurations.
    #[command(subcommand, infer_subcommands = true)]
    Config(config::Command),
    /// Try out who is told of events.
    #[command(subcommand, infer_subcommands = true)]
    Notify(notify::Command),
    /// Serve the GUI and the HTTP API.
    #[cfg(feature = "web")]
    Serve(serve::Serve),
    /// List, add and remove users of the GUI.
    #[cfg(feature = "web")]
    #[command(subcommand, infer_subcommands = true)]
    User(account::Users),
    /// List, make and revoke API tokens.
    #[cfg(feature = "web")]
    #[command(subcommand, infer_subcommands = true)]
    Token(account::Tokens),
    /// Set the password of a user of the GUI.
    #[cfg(feature = "web")]
    Passwd(account::Passwd),
    /// Examine this machine, and say what to mend.
    Doctor(doctor::Doctor),
    /// Collect what somebody needs who is to help, without secrets.
    SupportBundle(support::SupportBundle),
    /// Say which versions run.
    Version(version::Version),
    /// Print a script that completes this command's words in a shell.
    Completion(completion::Completion),
}

impl Command {
    fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Status(command) => command.run(),
            #[cfg(feature = "tui")]
            Self::Top(command) => command.run(),
            Self::Readiness(command) => command.run(),
            Self::Service(command) => command.run(),
            Self::Server(command) => command.run(),
            Self::Override(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::Node(command) => command.run(),
            Self::Failover(command) => command.run(),
            Self::Events(command) => command.run(),
            Self::Metrics(command) => command.run(),
            Self::Pair(command) => command.run(),
            Self::Sync(command) => command.run(),
            Self::Replay(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Notify(command) => command.run(),
            #[cfg(feature = "web")]
            Self::Serve(command) => command.run(),
            #[cfg(feature = "web")]
            Self::User(command) => command.run(),
            #[cfg(feature = "web")]
            Self::Token(command) => command.run(),
            #[cfg(feature = "web")]
            Self::Passwd(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::SupportBundle(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Completion(command) => command.run(),
        }
    }

    /// The exit code for a failure.
    const fn trouble(&self) -> u8 {
        match self {
            Self::Config(command) => command.trouble(),
            _ => 1,
        }
    }
}

#[cfg(test)]
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs `piranha` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let trouble = command.trouble();
    match command.run() {
        Ok(code) => ExitCode::from(code),
        Err(Failure(reason)) => {
            eprintln!("piranha: {reason}");
            ExitCode::from(trouble)
        }
    }
}

/// Writes to standard output. A reader that has seen enough is no error.
fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a value as JSON, on lines of its own.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(format!("{value:#}\n"))
}

#[cfg(all(test, feature = "web"))]
mod tests {
    /// Those without JSON, and why.
    const WITHOUT: [(&str, &str); 12] = [
        ("completion", "a script for a shell"),
        ("config fmt", "a configuration"),
        ("config import", "a configuration"),
        ("config init", "a configuration"),
        ("passwd", "asks, and says nothing"),
        ("serve", "runs until it is ended"),
        ("sync serve", "runs until it is ended"),
        ("token create", "one word, the token"),
        ("token revoke", "says nothing"),
        ("user add", "asks, and says nothing"),
        ("user remove", "says nothing"),
        ("user role", "says nothing"),
    ];

    /// The commands that have no commands of their own, by their words.
    fn leaves(command: &clap::Command, words: &str) -> Vec<(String, clap::Command)> {
        let under = command
            .get_subcommands()
            .flat_map(|command| leaves(command, &format!("{words} {}", command.get_name())));
        let under: Vec<_> = under.collect();
        if under.is_empty() {
            vec![(words.trim_start().to_owned(), command.clone())]
        } else {
            under
        }
    }

    #[test]
    fn every_command_prints_json_or_it_is_known_why_not() {
        let is_silent = |command: &clap::Command| {
            command.get_arguments().all(|argument| argument.get_long() != Some("json"))
        };
        let silent = leaves(&super::command(), "").into_iter();
        let silent = silent.filter(|(_, command)| is_silent(command)).map(|(words, _)| words);
        let known: Vec<_> = WITHOUT.iter().map(|(words, _)| (*words).to_owned()).collect();
        assert_eq!(silent.collect::<std::collections::BTreeSet<_>>(), known.into_iter().collect());
    }
}

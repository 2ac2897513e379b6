use std::path::PathBuf;
use std::time::Duration;

use super::fields::{Field, Fields};
use super::{Code, Config, Context, Diagnostic, Directive};
use crate::config::model::Guards;
use crate::config::value::Value;

/// The most of one kind that are watched: each costs something at every interval.
const MOST: usize = 16;
/// How often `sync_file` may.
const MOST_FILES: usize = 64;

const DEVICE_NAME_MAX: usize = 15;

impl Context<'_> {
    /// What has to be in order on a director that holds the service.
    pub(super) fn guards(&mut self, fields: &Fields, config: &mut Config) {
        config.guards = Guards {
            interfaces: self.several(fields, Directive::TrackInterface, interface),
            files: self.several(fields, Directive::TrackFile, |file| text(file).map(PathBuf::from)),
            processes: self.several(fields, Directive::TrackProcess, text),
            commands: self.several(fields, Directive::TrackCommand, command),
            user: fields.text(Directive::TrackUser),
            interval: fields.duration(Directive::TrackInterval).unwrap_or(Duration::from_secs(1)),
            references: self.several(fields, Directive::Reference, reference),
            reference_quorum: fields.count(Directive::ReferenceQuorum).unwrap_or(1) as usize,
        };
        let path = |file: &Value| text(file).map(PathBuf::from);
        config.sync_files = self.up_to(MOST_FILES, fields, Directive::SyncFile, path);
        self.quorum_of_references(fields, &config.guards);
        self.idle_settings(fields, &config.guards);
        self.accepted_key(fields, config);
    }

    /// Every value of a directive that may stand several times.
    fn several<T>(
        &mut self,
        fields: &Fields,
        directive: Directive,
        read: impl Fn(&Value) -> Result<T, (Code, String)>,
    ) -> Vec<T> {
        self.up_to(MOST, fields, directive, read)
    }

    fn up_to<T>(
        &mut self,
        most: usize,
        fields: &Fields,
        directive: Directive,
        read: impl Fn(&Value) -> Result<T, (Code, String)>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let known = |field: &Field| field.value.clone().map(|value| (field.span(), value));
        for (span, value) in fields.all(directive).filter_map(known) {
            match read(&value) {
                _ if found.len() == most => {
                    let message = format!("`{directive}` may stand {most} times at most");
                    self.report(Diagnostic::new(Code::OutOfRange, span, message));
                    break;
                }
                Ok(value) => found.push(value),
                Err((code, message)) => self.report(Diagnostic::new(code, span, message)),
            }
        }
        found
    }

    fn quorum_of_references(&mut self, fields: &Fields, guards: &Guards) {
        let (most, quorum) = (guards.references.len(), guards.reference_quorum);
        if most > 0 && quorum > most {
            let message = format!("{quorum} references must answer, and there are only {most}");
            let directive = Directive::ReferenceQuorum;
            self.report_at(fields, directive, Code::ReferenceQuorum, message);
        }
    }

    fn idle_settings(&mut self, fields: &Fields, guards: &Guards) {
        let tracks = !(guards.files.is_empty() && guards.processes.is_empty());
        let commands = !guards.commands.is_empty();
        for (directive, used, of) in [
            (Directive::TrackUser, commands, "`track_command`"),
            (Directive::TrackInterval, tracks || commands, "anything that is tracked"),
            (Directive::ReferenceQuorum, !guards.references.is_empty(), "`reference`"),
        ] {
            if !used && fields.mentions(directive) {
                let message = format!("`{directive}` has no effect without {of}");
                self.report_at(fields, directive, Code::GuardSettingIgnored, message);
            }
        }
        if commands && guards.user.is_none() {
            let message = "`track_command` runs as the user of `pulse`, which is mostly root";
            let span = fields.span(Directive::TrackCommand).unwrap_or_default();
            self.report(
                Diagnostic::new(Code::TrackCommandAsDaemon, span, message)
                    .help("write `track_user = nobody`, or a user of its own"),
            );
        }
    }

    fn accepted_key(&mut self, fields: &Fields, config: &Config) {
        if config.heartbeat_key_accepted.is_some() && config.heartbeat_key.is_none() {
            let message = "`heartbeat_key_accepted` stands without `heartbeat_key`";
            let directive = Directive::HeartbeatKeyAccepted;
            self.report_at(fields, directive, Code::AcceptedKeyAlone, message);
        }
    }
}

fn text(value: &Value) -> Result<String, (Code, String)> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err((Code::InvalidText, "this must not be empty".to_owned())),
    }
}

fn interface(value: &Value) -> Result<String, (Code, String)> {
    let name = text(value)?;
    if name.len() > DEVICE_NAME_MAX || name.contains(['/', ':']) {
        let message = format!("`{name}` is no name of a network interface");
        return Err((Code::InvalidText, message));
    }
    Ok(name)
}

fn command(value: &Value) -> Result<Vec<String>, (Code, String)> {
    let arguments: Vec<_> = text(value)?.split_whitespace().map(str::to_owned).collect();
    match arguments.first() {
        Some(program) if program.starts_with('/') => Ok(arguments),
        _ => {
            let message = "a command begins with the full path of a program".to_owned();
            Err((Code::InvalidText, message))
        }
    }
}

fn reference(value: &Value) -> Result<std::net::IpAddr, (Code, String)> {
    match value {
        Value::Host(address) if !address.is_unspecified() => Ok(*address),
        _ => {
            let message = "a reference cannot be an unspecified address".to_owned();
            Err((Code::UnusableAddress, message))
        }
    }
}

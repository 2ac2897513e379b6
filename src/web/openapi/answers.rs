//! What is in the answers: the fields each endpoint's has at least.

use serde_json::{Map, Value, json};

use crate::web::Endpoint;
use crate::web::Endpoint as E;

/// The fields of each answer as `NAME:TYPE`, where the type is one of JSON schema: `[]` ahead of it for
/// a list of such, `?` behind it for one that may be `null` or left out. `+` stands for what is told
/// with everything about the pair: of which node it is, and when.
const ANSWERS: &[(Endpoint, &str)] = &[
    (E::OpenApi, "openapi:string info:object paths:object components:object"),
    (E::Status, "+ verdict:object pulse:object lvs:object"),
    (E::Readiness, "+ health:string reasons:[]object"),
    (E::Nodes, "+ nodes:[]object partner:object?"),
    (E::Node, "+ name:string pulse:object"),
    (E::Services, "+ services:[]object"),
    (E::Service, "+ name:string scheduler:string state:string counts:object servers:[]object"),
    (
        E::Server,
        "+ name:string address:string state:string for_ms:integer reason:string? weight:integer?",
    ),
    (E::Events, "+ events:[]object last:integer partner:object? partner_unknown:string?"),
    (E::History, "+ from:string step_ms:integer values:[]number?"),
    (E::Overrides, "+ overrides:[]object"),
    (
        E::Connections,
        "+ servers:[]object traffic_age_ms:integer? connections:object? unknown:string?",
    ),
    (E::Listing, "+ text:string traffic_age_ms:integer?"),
    (E::PutOverrides, "+ servers:[]object replicated:boolean"),
    (E::PutOverride, "+ servers:[]object replicated:boolean"),
    (E::DeleteOverride, "+ servers:[]object replicated:boolean"),
    (E::RunCheck, "+ checks:[]object"),
    (E::Failover, "+"),
    (E::Maintenance, "+ done:string"),
    (E::Reload, "+ done:string"),
    (E::Config, "path:string text:string"),
    (E::Validate, "ok:boolean errors:integer diagnostics:[]object"),
    (E::Diff, "changes:[]object"),
    (
        E::Review,
        "+ base:string? in_force:string hash:string usable:boolean remarks:[]object \
         refusal:string? changes:[]object confirm:boolean",
    ),
    (E::Outline, "scope:string settings:[]object sections:[]object"),
    (E::Edit, "text:string"),
    (E::Import, "from:string text:string complete:boolean lost:integer remarks:[]object"),
    (
        E::Apply,
        "+ revision:integer? changes:integer pending:object? restart:[]string partner:object?",
    ),
    (E::ConfirmConfig, "+ done:string partner:object?"),
    (
        E::UndoConfig,
        "+ revision:integer? changes:integer pending:object? restart:[]string partner:object?",
    ),
    (E::Revisions, "+ revisions:[]object file:string? standing:object"),
    (E::Revision, "+ revision:object text:string"),
    (E::Compare, "+ from:string to:string changes:array? lines:[]object"),
    (E::Directives, "directives:[]object"),
    (E::Explain, ""),
    (E::Files, "+ partner:object? files:[]object"),
    (E::SyncFiles, "+ steps:[]object"),
    (E::ResolveFile, "+ steps:[]object"),
    (E::BeginSession, "user:string role:string csrf:string"),
    (E::Sessions, "sessions:[]object"),
    (E::Users, "users:[]object"),
    (E::Tokens, "tokens:[]object"),
    (E::CreateToken, "name:string role:string token:string"),
    (E::SupportBundle, "version:string node:string at:string status:object configuration:object"),
    (E::TestAlerts, "+ told:[]object"),
    (E::Audit, "+ entries:[]object partner:object? unsent:integer?"),
];

/// The schema of the answer of `endpoint`; nothing where it has no body.
pub(super) fn schema(endpoint: Endpoint) -> Option<Value> {
    let (_, fields) = ANSWERS.iter().find(|(of, _)| *of == endpoint)?;
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let fields = fields.replace('+', "node:string observed_at:string");
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':')?;
        properties.insert(name.to_owned(), of_kind(kind));
        if kind.starts_with("[]") || !kind.ends_with('?') {
            required.push(name.to_owned());
        }
    }
    Some(json!({ "type": "object", "required": required, "properties": properties }))
}

fn of_kind(kind: &str) -> Value {
    if let Some(item) = kind.strip_prefix("[]") {
        return json!({ "type": "array", "items": of_kind(item) });
    }
    match kind.strip_suffix('?') {
        Some(kind) => json!({ "type": [kind, "null"] }),
        None => json!({ "type": kind }),
    }
}

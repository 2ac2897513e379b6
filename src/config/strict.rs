//! What a node that still runs Piranha 0.8.6 would make of a file.

use super::syntax::{BlockKind, Shape, Statement};
use super::value::Kind;
use super::{Code, Descriptor, Diagnostic, Directive, Document, Scope, Since, Span};

/// The schedulers that 0.8.6 knows.
const SCHEDULERS: [&str; 8] = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh"];
/// The longest text that 0.8.6 hands to its monitor.
const LONGEST_TEXT: usize = 255;

/// The lines of `document` that Piranha 0.8.6 refuses, for a pair of which one node still runs it.
///
/// What it reads differently, and what it refuses in the form of a line rather than in what it
/// says, [`load`](super::load) reports already. Nothing is said about lines that cannot be read.
#[must_use]
pub fn refused_by_086(document: &Document) -> Vec<Diagnostic> {
    let assignments = document.statements().iter().filter(|s| s.shape == Shape::Assignment);
    assignments.filter_map(|statement| judge(document, statement)).take(MOST).collect()
}

/// The most lines that are reported.
const MOST: usize = 200;

fn judge(document: &Document, statement: &Statement) -> Option<Diagnostic> {
    let [name, _, values @ ..] = document.tokens(statement) else {
        return None;
    };
    let directive = Directive::from_name(&document.word(name))?;
    let descriptor = directive.descriptor(scope(document, statement)?)?;
    if descriptor.since == Since::Extension {
        return Some(unknown(descriptor, name.span()));
    }
    let words: Vec<_> = values.iter().map(|value| document.word(value)).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let reason = refusal(descriptor, &words)?;
    let span = values.first()?.span().to(values.last()?.span());
    let message = format!("Piranha 0.8.6 refuses this value: {reason}");
    Some(Diagnostic::new(Code::RefusedByOld, span, message))
}

fn unknown(descriptor: &Descriptor, span: Span) -> Diagnostic {
    let directive = descriptor.directive;
    let elsewhere = directive.scopes().find(|&scope| {
        directive.descriptor(scope).is_some_and(|row| row.since == Since::Historical)
    });
    let message = match elsewhere {
        Some(_) => format!("Piranha 0.8.6 does not know `{directive}` {}", descriptor.scope),
        None => format!("Piranha 0.8.6 does not know `{directive}`"),
    };
    Diagnostic::new(Code::UnknownToOld, span, message)
        .help("it refuses the whole file: take the line out until both nodes are new")
}

fn scope(document: &Document, statement: &Statement) -> Option<Scope> {
    let Some(block) = statement.block() else {
        return Some(Scope::Global);
    };
    match document.blocks()[block].kind {
        BlockKind::Virtual | BlockKind::Failover => Some(Scope::Virtual),
        BlockKind::Server => Some(Scope::Server),
        BlockKind::Unknown => None,
    }
}

/// Why 0.8.6 does not take a value that is good here.
fn refusal(descriptor: &Descriptor, words: &[&str]) -> Option<&'static str> {
    let first = words.first().copied().unwrap_or_default();
    let has_letters = first.starts_with(|c: char| c.is_ascii_digit())
        && first.ends_with(|c: char| c.is_ascii_alphabetic())
        && !first.starts_with("0x");
    match descriptor.kind {
        Kind::Duration(_) if has_letters => Some("it takes whole seconds without a unit"),
        Kind::Endpoints if words.len() > 1 => Some("it takes one address"),
        Kind::Endpoints if first.contains(':') => Some("it takes an IPv4 address and no port"),
        Kind::Host | Kind::AddressDevice if first.contains(':') => Some("it knows IPv4 only"),
        Kind::Scheduler if !SCHEDULERS.contains(&first) => Some("it does not know this scheduler"),
        Kind::Mask if first.starts_with('/') || first.contains(':') => {
            Some("it takes a netmask like 255.255.255.0")
        }
        Kind::Port(_)
            if descriptor.scope == Scope::Server
                && !first.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some("here it takes a number only")
        }
        Kind::Choice(_) if descriptor.directive == Directive::Protocol && first == "sctp" => {
            Some("it knows tcp and udp")
        }
        Kind::Payload if first.len() > LONGEST_TEXT => Some("it takes at most 255 bytes"),
        _ => None,
    }
}

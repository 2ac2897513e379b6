//! One log line in each of the formats.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::Format;
use super::events::{EVENT, LASTED};
use crate::runtime::control::now;

/// The longest text of a line, in bytes: what takes log lines takes no longer ones.
const MAX_TEXT: usize = 8 << 10;

/// Facility `daemon` of syslog(3), shifted.
const FACILITY: u8 = 3 << 3;

/// Writes log lines in one format.
pub(super) struct Lines {
    program: &'static str,
    format: Format,
}

impl Lines {
    pub(super) const fn new(program: &'static str, format: Format) -> Self {
        Self { program, format }
    }

    fn write(&self, to: &mut impl Write, level: Level, line: &Line) -> fmt::Result {
        match self.format {
            Format::Text => writeln!(to, "{} {level:>5} {}", now(), line.whole()),
            Format::Json => writeln!(to, "{}", Value::Object(self.json(level, line))),
            Format::Priority => writeln!(to, "<{}>{}", priority(level), line.whole()),
            Format::Syslog => {
                let (code, pid) = (FACILITY | priority(level), std::process::id());
                write!(to, "<{code}>{}[{pid}]: {}", self.program, line.whole())
            }
            Format::Journal => self.journal(to, level, line),
        }
    }

    fn json(&self, level: Level, line: &Line) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("time".to_owned(), now().to_string().into());
        object.insert("level".to_owned(), level.as_str().to_lowercase().into());
        object.insert("program".to_owned(), self.program.into());
        object.insert("message".to_owned(), line.message.clone().into());
        object.extend(line.fields.clone());
        object
    }

    /// The protocol of the journal: `NAME=value`, and with its length in front where a value has
    /// line breaks.
    fn journal(&self, to: &mut impl Write, level: Level, line: &Line) -> fmt::Result {
        // A line break would end the field and begin another.
        writeln!(to, "MESSAGE={}", line.whole().replace('\n', " "))?;
        writeln!(to, "PRIORITY={}\nSYSLOG_FACILITY=3", priority(level))?;
        writeln!(to, "SYSLOG_IDENTIFIER={}", self.program)?;
        let Some((name, carried)) = line.event() else { return Ok(()) };
        writeln!(to, "MESSAGE_ID={}\nPIRANHA_EVENT={name}", message_id(name))?;
        if let Some(lasted) = line.fields.get(LASTED) {
            writeln!(to, "PIRANHA_LASTED_MS={lasted}")?;
        }
        for (name, value) in carried.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let name = name.to_ascii_uppercase();
            writeln!(to, "PIRANHA_{name}={}", value.replace('\n', " "))?;
        }
        Ok(())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        self.write(&mut writer, *event.metadata().level(), &line)
    }
}

/// What there is to write.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    /// The text as people read it: details that are no event stand behind it.
    fn whole(&self) -> String {
        let mut text = self.message.clone();
        let details =
            self.fields.iter().filter(|(name, _)| ![EVENT, LASTED].contains(&name.as_str()));
        for (name, value) in details {
            // Writing to a string cannot fail.
            let _ = match value.as_str() {
                Some(value) => write!(text, " {name}={value}"),
                None => write!(text, " {name}={value}"),
            };
        }
        cut(text)
    }

    /// The name of its event and what that carries.
    fn event(&self) -> Option<(&str, &Value)> {
        match self.fields.get(EVENT)? {
            Value::Object(event) => {
                event.iter().next().map(|(name, carried)| (name.as_str(), carried))
            }
            Value::String(name) => Some((name, &Value::Null)),
            _ => None,
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = cut(format!("{value:?}"));
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match serde_json::from_str(value) {
            Ok(event) if field.name() == EVENT => self.put(field, event),
            _ => self.put(field, value.into()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str("...");
    }
    text
}

/// As syslog(3) counts them.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// What the journal knows a kind of event by: the first half of the SHA-256 of `piranha event NAME`.
fn message_id(name: &str) -> String {
    let digest = Sha256::digest(format!("piranha event {name}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, event: Value) -> Line {
        let mut line = Line { message: message.to_owned(), ..Line::default() };
        line.fields.insert(EVENT.to_owned(), event);
        line.fields.insert(LASTED.to_owned(), 90.into());
        line
    }

    fn written(format: Format, level: Level, line: &Line) -> String {
        let mut text = String::new();
        Lines::new("pulse", format).write(&mut text, level, line).unwrap();
        text
    }

    #[test]
    fn the_journal_gets_the_event_in_fields_that_no_text_can_forge() {
        let event = serde_json::json!({
            "health": { "service": "web", "reason": "got a\nPRIORITY=0", "address": "10.0.0.1:80" }
        });
        let text = written(Format::Journal, Level::WARN, &line("down\nPRIORITY=0", event));
        let fields: Vec<_> = text.lines().collect();
        assert_eq!(fields.iter().filter(|field| field.starts_with("PRIORITY=")).count(), 1);
        for expected in [
            "MESSAGE=down PRIORITY=0",
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=pulse",
            "PIRANHA_EVENT=health",
            "PIRANHA_LASTED_MS=90",
            "PIRANHA_SERVICE=web",
            "PIRANHA_REASON=got a PRIORITY=0",
        ] {
            assert!(fields.contains(&expected), "{expected} in {text}");
        }
        let id = fields.iter().find_map(|field| field.strip_prefix("MESSAGE_ID=")).unwrap();
        assert_eq!(id, message_id("health"));
        assert!(id.len() == 32 && id != message_id("transition"));
    }

    #[test]
    fn json_is_one_object_a_line_with_the_event_in_it() {
        let event = serde_json::json!({ "warning": { "text": "a\nb" } });
        let text = written(Format::Json, Level::INFO, &line("lvs: a\nb", event.clone()));
        assert_eq!(text.lines().count(), 1);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&object["event"], &object["level"]), (&event, &"info".into()));
        assert_eq!(object["message"], "lvs: a\nb");
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let plain = Line { message: "x".to_owned(), ..Line::default() };
        assert_eq!(written(Format::Priority, Level::ERROR, &plain), "<3>x\n");
        let expected = format!("<30>pulse[{}]: x", std::process::id());
        assert_eq!(written(Format::Syslog, Level::INFO, &plain), expected);
    }

    #[test]
    fn a_line_of_any_length_is_cut_and_not_refused() {
        let long = Line { message: "ü".repeat(100_000), ..Line::default() };
        assert!(written(Format::Text, Level::INFO, &long).len() < MAX_TEXT + 100);
    }
}

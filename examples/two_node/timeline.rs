//! The story as it unfolds: one line per event, for people or, as JSON lines, for programs.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::report::Report;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// One event, in the form of the JSON lines.
#[derive(Clone, Copy, Debug, Serialize)]
struct Event<'a> {
    /// Seconds since the timeline began.
    time: f64,
    node: &'a str,
    subsystem: &'a str,
    what: &'a str,
    /// Left out where there is nothing to say.
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Json,
    Text { colour: bool },
}

/// Prints events to standard output. Shared by all threads: a line is never torn.
pub(crate) struct Timeline {
    began: Instant,
    format: Format,
    output: Mutex<Box<dyn Write + Send>>,
}

impl Timeline {
    /// A timeline that begins now. Text is coloured if standard output is a terminal and the
    /// environment does not object (`NO_COLOR`, see no-color.org).
    pub(crate) fn new(json: bool) -> Self {
        let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = io::stdout().is_terminal() && !objection;
        let format = if json { Format::Json } else { Format::Text { colour } };
        Self::to(Box::new(io::stdout()), format)
    }

    fn to(output: Box<dyn Write + Send>, format: Format) -> Self {
        Self { began: Instant::now(), format, output: Mutex::new(output) }
    }

    /// Prints that `what` happened now, to `subsystem` of `node`, and `why`, which may be empty.
    pub(crate) fn event(&self, node: &str, subsystem: &str, what: &str, why: &str) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // Inside the lock, so that the times of the lines never run backwards.
        let time = self.began.elapsed();
        let line = self.format.line(time, node, subsystem, what, why);
        print(&mut **output, &line);
    }

    /// Prints the closing report: the tables, or one more JSON line, `{"report": ...}`.
    pub(crate) fn close(&self, report: &Report) {
        let text = match self.format {
            Format::Json => json_line(&BTreeMap::from([("report", report)])),
            Format::Text { .. } => format!("\n{report}"),
        };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        print(&mut **output, &text);
    }
}

/// Prints, or does not: nobody reading any more (a closed pipe) is no reason to stop the story.
fn print(output: &mut dyn Write, text: &str) {
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// One line of JSON. The types printed here all have a form in JSON.
fn json_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

impl Format {
    fn line(self, time: Duration, node: &str, subsystem: &str, what: &str, why: &str) -> String {
        match self {
            Self::Json => {
                // Whole milliseconds, so that the number stays short.
                let time = f64::from(u32::try_from(time.as_millis()).unwrap_or(u32::MAX)) / 1e3;
                json_line(&Event { time, node, subsystem, what, why })
            }
            Self::Text { colour: true } => {
                let why = reason(why, DIM, PLAIN);
                let time = seconds(time);
                format!(
                    "{DIM}{time}{PLAIN}  {BOLD}{node:<5}{PLAIN}  {CYAN}{subsystem:<9}{PLAIN}  \
                     {what}{why}\n"
                )
            }
            Self::Text { colour: false } => {
                let (time, why) = (seconds(time), reason(why, "", ""));
                format!("{time}  {node:<5}  {subsystem:<9}  {what}{why}\n")
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:>7.3}s", time.as_secs_f64())
}

fn reason(why: &str, before: &str, after: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" {before}({why}){after}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, why: &str) -> String {
        format.line(Duration::from_millis(12_345), "lb1", "pulse", "took over", why)
    }

    #[test]
    fn columns_line_up_and_an_empty_reason_leaves_nothing() {
        let plain = Format::Text { colour: false };
        assert_eq!(line(plain, ""), " 12.345s  lb1    pulse      took over\n");
        assert!(line(plain, "peer silent").ends_with("  took over (peer silent)\n"));
    }

    #[test]
    fn colour_changes_nothing_but_the_colour() {
        let coloured = line(Format::Text { colour: true }, "peer silent");
        let bare =
            [DIM, BOLD, CYAN, PLAIN].iter().fold(coloured, |line, code| line.replace(code, ""));
        assert_eq!(bare, line(Format::Text { colour: false }, "peer silent"));
    }

    #[test]
    fn a_reader_that_left_does_not_stop_the_story() {
        struct ClosedPipe;
        impl Write for ClosedPipe {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let timeline = Timeline::to(Box::new(ClosedPipe), Format::Json);
        timeline.event("lb1", "pulse", "took over", "");
        timeline.close(&Report::default());
    }

    #[test]
    fn a_json_line_is_one_object_whatever_the_text_holds() {
        let line = line(Format::Json, "\"quoted\"\nand broken");
        assert_eq!(line.matches('\n').count(), 1);
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["why"], "\"quoted\"\nand broken");
        assert_eq!(event["time"], 12.345);
    }
}

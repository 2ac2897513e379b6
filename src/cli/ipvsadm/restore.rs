//! Reading commands from standard input.
//!
//! Lines mean what they mean to the original: words are divided by blanks, words that are
//! `ipvsadm` are left out, an empty line is none. New: lines that begin with `#` are comments, a
//! complaint is followed by the line it is about, and changes in a row go to the kernel together.
//!
//! What stops a restore is also the original's: a mistake in the meaning of a line ends it there,
//! with the lines before it carried out; after an option that does not exist, or a refusal of the
//! kernel, it goes on. The exit code is that of the last line. `--check` reads every line before
//! the first is carried out, and carries out none if there is any mistake; `--dry-run` carries out
//! none in any case.

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use super::parse::{Invocation, parse};
use super::run::Session;
use super::{UsageError, save};
use crate::ipvs::kernel::Request;

/// A line of the input that is a command.
struct Line {
    number: usize,
    text: String,
}

impl Line {
    fn words(&self) -> Vec<&str> {
        let words = self.text.split_ascii_whitespace();
        words.filter(|word| *word != "ipvsadm").collect()
    }

    fn is_command(&self) -> bool {
        !self.text.starts_with('#') && !self.words().is_empty()
    }

    fn parse(&self, session: &Session<'_>) -> Result<Invocation, UsageError> {
        match parse(session.program, &self.words(), session.names)? {
            Invocation::Restore { .. } => {
                Err(UsageError::Hint { program: session.program.to_owned() })
            }
            invocation => Ok(invocation),
        }
    }
}

/// The commands of an input, past comments and empty lines.
struct Lines<'i> {
    input: &'i mut dyn BufRead,
    number: usize,
    /// The end of what was read, which is no whole line yet.
    rest: Vec<u8>,
    ended: bool,
}

impl<'i> Lines<'i> {
    fn new(input: &'i mut dyn BufRead) -> Self {
        Self { input, number: 0, rest: Vec::new(), ended: false }
    }

    /// The commands in what has arrived; waits for more only if nothing has. `None` at the end.
    fn arrived(&mut self) -> io::Result<Option<Vec<Line>>> {
        if self.ended {
            return Ok(None);
        }
        let bytes = match self.input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Some(Vec::new()));
            }
            bytes => bytes?,
        };
        let length = bytes.len();
        let last = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if length == 0 {
            self.ended = true;
            let rest = std::mem::take(&mut self.rest);
            return Ok((!rest.is_empty()).then(|| self.split(&rest)));
        }
        let rest = bytes[last..].to_vec();
        self.rest.extend_from_slice(&bytes[..last]);
        self.input.consume(length);
        if last == 0 {
            self.rest.extend_from_slice(&rest);
            return Ok(Some(Vec::new()));
        }
        let whole = std::mem::replace(&mut self.rest, rest);
        Ok(Some(self.split(&whole)))
    }

    fn split(&mut self, whole: &[u8]) -> Vec<Line> {
        let text = String::from_utf8_lossy(whole);
        let lines = text.split_terminator('\n').map(|text| {
            self.number += 1;
            Line { number: self.number, text: text.trim().to_owned() }
        });
        lines.filter(Line::is_command).collect()
    }
}

/// Carries out the commands of `input` one after another, those that have arrived before it waits
/// for more.
pub(super) fn restore(session: &mut Session<'_>, input: &mut dyn BufRead) -> io::Result<u8> {
    let mut lines = Lines::new(input);
    let mut batch = Batch::default();
    while let Some(arrived) = lines.arrived()? {
        for line in arrived {
            if let ControlFlow::Break(code) = carry_out(session, &mut batch, line)? {
                return Ok(code);
            }
        }
        batch.flush(session)?;
        session.out.flush()?;
    }
    Ok(batch.code)
}

/// Carries out one line; breaks with the exit code where a restore ends.
fn carry_out(
    session: &mut Session<'_>,
    batch: &mut Batch,
    line: Line,
) -> io::Result<ControlFlow<u8>> {
    let invocation = match line.parse(session) {
        Ok(Invocation::Change { request, dry_run: false }) => {
            batch.push(line, request);
            return Ok(ControlFlow::Continue(()));
        }
        Ok(invocation) => invocation,
        Err(error) => {
            batch.flush(session)?;
            complain(session, &error.to_string(), &line)?;
            batch.code = error.exit_code();
            return Ok(ends(error.ends_restore(), batch.code));
        }
    };
    batch.flush(session)?;
    let last = matches!(invocation, Invocation::Version | Invocation::Help);
    batch.code = session.run(invocation)?;
    Ok(ends(last || batch.code == 1, batch.code))
}

const fn ends(it_does: bool, code: u8) -> ControlFlow<u8> {
    if it_does { ControlFlow::Break(code) } else { ControlFlow::Continue(()) }
}

/// Reads the whole `input`, and carries its commands out only if there is no mistake in it and this
/// is no `dry_run`. With `clear` every service is taken out first.
pub(super) fn checked(
    session: &mut Session<'_>,
    input: &mut dyn BufRead,
    dry_run: bool,
    clear: bool,
) -> io::Result<u8> {
    let mut lines = Lines::new(input);
    let mut invocations = Vec::new();
    let mut code = 0;
    while let Some(arrived) = lines.arrived()? {
        for line in arrived {
            match line.parse(session) {
                Ok(invocation) => invocations.push((line, invocation)),
                Err(error) => {
                    complain(session, &error.to_string(), &line)?;
                    code = error.exit_code();
                }
            }
        }
    }
    if code != 0 {
        writeln!(session.err, "Nothing was changed.")?;
        return Ok(code);
    }
    if clear {
        session.run(Invocation::Change { request: Request::Flush, dry_run })?;
    }
    run_all(session, invocations, dry_run)
}

fn run_all(
    session: &mut Session<'_>,
    invocations: Vec<(Line, Invocation)>,
    dry_run: bool,
) -> io::Result<u8> {
    let mut batch = Batch::default();
    for (line, invocation) in invocations {
        match invocation {
            Invocation::Change { request, .. } if dry_run => {
                writeln!(session.out, "{}", save::command_line(&request))?;
            }
            Invocation::Change { request, dry_run: false } => batch.push(line, request),
            invocation => {
                batch.flush(session)?;
                batch.code = session.run(invocation)?;
            }
        }
    }
    batch.flush(session)?;
    Ok(batch.code)
}

fn complain(session: &mut Session<'_>, message: &str, line: &Line) -> io::Result<()> {
    writeln!(session.err, "{message}")?;
    writeln!(session.err, "  in line {}: {}", line.number, line.text)
}

/// Changes on their way to the kernel.
#[derive(Default)]
struct Batch {
    lines: Vec<Line>,
    requests: Vec<Request>,
    /// The exit code of the last line that was carried out.
    code: u8,
}

impl Batch {
    fn push(&mut self, line: Line, request: Request) {
        self.lines.push(line);
        self.requests.push(request);
    }

    fn flush(&mut self, session: &mut Session<'_>) -> io::Result<()> {
        let requests = std::mem::take(&mut self.requests);
        let lines = std::mem::take(&mut self.lines);
        if requests.is_empty() {
            return Ok(());
        }
        let results = session.kernel()?.apply(&requests);
        for ((line, request), result) in lines.iter().zip(&requests).zip(results) {
            self.code = 0;
            if let Err(error) = result {
                complain(session, &super::message::refusal(request, &error), line)?;
                self.code = 255;
            }
        }
        Ok(())
    }
}

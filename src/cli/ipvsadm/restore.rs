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

use super::parse::{Invocation, parse};
use super::run::Session;
use super::{UsageError, save};
use crate::ipvs::kernel::Request;

/// How many changes are collected before they go to the kernel.
const BATCH: usize = 1024;

/// A line of the input that is a command.
struct Line {
    number: usize,
    text: String,
}

impl Line {
    /// Reads the next command, past comments and empty lines.
    fn read(input: &mut dyn BufRead, number: &mut usize) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if input.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            *number += 1;
            let text = String::from_utf8_lossy(&bytes);
            let line = Self { number: *number, text: text.trim().to_owned() };
            if !line.text.starts_with('#') && !line.words().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    fn words(&self) -> Vec<&str> {
        let words = self.text.split_ascii_whitespace();
        words.filter(|word| *word != "ipvsadm").collect()
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

/// Carries out the commands of the input one after another.
pub(super) fn restore(session: &mut Session<'_>) -> io::Result<u8> {
    let mut batch = Batch::default();
    let mut number = 0;
    while let Some(line) = Line::read(session.input, &mut number)? {
        match line.parse(session) {
            Ok(Invocation::Change { request, dry_run: false }) => {
                batch.push(line, request, session)?
            }
            Ok(Invocation::Version) => {
                batch.flush(session)?;
                return session.run(Invocation::Version);
            }
            Ok(Invocation::Help) => {
                batch.flush(session)?;
                return session.run(Invocation::Help);
            }
            Ok(invocation) => {
                batch.flush(session)?;
                batch.code = session.run(invocation)?;
                if batch.code == 1 {
                    return Ok(1);
                }
            }
            Err(error) => {
                batch.flush(session)?;
                complain(session, &error.to_string(), &line)?;
                batch.code = error.exit_code();
                if error.ends_restore() {
                    return Ok(batch.code);
                }
            }
        }
    }
    batch.flush(session)?;
    Ok(batch.code)
}

/// Reads the whole input, and carries its commands out only if there is no mistake in it and this
/// is no `dry_run`.
pub(super) fn checked(session: &mut Session<'_>, dry_run: bool) -> io::Result<u8> {
    let mut lines = Vec::new();
    let mut code = 0;
    let mut number = 0;
    while let Some(line) = Line::read(session.input, &mut number)? {
        match line.parse(session) {
            Ok(invocation) => lines.push((line, invocation)),
            Err(error) => {
                complain(session, &error.to_string(), &line)?;
                code = error.exit_code();
            }
        }
    }
    if code != 0 {
        writeln!(session.err, "Nothing was changed.")?;
        return Ok(code);
    }
    let mut batch = Batch::default();
    for (line, invocation) in lines {
        match invocation {
            Invocation::Change { request, .. } if dry_run => {
                writeln!(session.out, "{}", save::command_line(&request))?;
            }
            Invocation::Change { request, dry_run: false } => batch.push(line, request, session)?,
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
    fn push(&mut self, line: Line, request: Request, session: &mut Session<'_>) -> io::Result<()> {
        self.lines.push(line);
        self.requests.push(request);
        if self.requests.len() == BATCH {
            self.flush(session)?;
        }
        Ok(())
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

//! `ipvsadm`: the table tool of Linux Virtual Server, a drop-in for version 1.31.
//!
//! [`parse()`] turns a command line into an [`Invocation`] and asks nothing but [`Names`]; a
//! [`Session`] carries it out on a [`Kernel`]. Options, rules, messages, exit codes
//! and the bytes of every list are the original's. Where this one differs, it means to:
//!
//! - `-h`, `-v` and mistakes in the command line need neither privilege nor ip_vs.
//! - Lists are in the order of unsigned numbers, IPv4 servers before IPv6 ones; a firewall mark of
//!   2^31 or more prints as itself.
//! - `-M` may stand before the service it is for, and takes a number of bits for IPv4 too
//!   (`-M 24`, which the original reads as the mask 0.0.0.24). A mask with a gap or of no bits, and
//!   letters after a number of bits, are refused; so is `[10.0.0.1]:80`.
//! - Commas alone are no scheduler flags; the original crashes on `-b ,`.
//! - A persistence engine without `-p`, which has no effect in the kernel, is left out.
//! - The third scheduler flag is shown and saved for `sh` and `mh` too.
//! - A complaint about a line of a restore is followed by its number and text, and lines that
//!   begin with `#` are comments.
//! - Added: `--json` for every list, `--dry-run` for every change, `--check` for a restore.
//!
//! Started as `ipvsadm-save` or `ipvsadm-restore` the program does what Debian's scripts of these
//! names do; the latter takes `--check` and `--dry-run` too, and refuses what it does not know.
//!
//! The manual page is `docs/man/ipvsadm.8`. In the kernel lab ours and Debian's are given the same
//! lines and must answer alike and make the same table (`tests/kernel/ipvsadm.rs`).

mod build;
pub mod connections;
mod error;
pub mod help;
pub mod json;
pub mod kernel;
mod label;
mod linux;
pub mod list;
pub mod message;
mod names;
mod option;
mod parse;
mod restore;
mod run;
pub mod save;
mod scan;
mod value;
mod wrapper;

pub use error::UsageError;
pub use label::Labels;
pub use linux::Linux;
pub use names::{Names, NoNames, SystemNames};
pub use parse::{Columns, Invocation, List, View, parse};
pub use run::{CannotOpen, Open, Session};
pub use scan::{Spelling, Value, spellings};

use std::io::{self, BufReader, BufWriter, Write as _};
use std::process::ExitCode;

use kernel::Kernel;

/// How much of a restore is read at once: about a thousand lines.
const INPUT: usize = 64 * 1024;

/// The whole program, under any of its names.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_else(|| "ipvsadm".to_owned());
    let words = Vec::from_iter(words);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = io::stderr().lock();
    let mut input = BufReader::with_capacity(INPUT, io::stdin().lock());
    let names = SystemNames::default();
    let code = Session::new(&program, &names, &mut input, &mut out, &mut err, &mut open)
        .run_words(&words)
        .and_then(|code| out.flush().map(|()| code));
    ExitCode::from(code.unwrap_or_else(|error| {
        let _ = writeln!(err, "{error}");
        2
    }))
}

fn open() -> io::Result<Box<dyn Kernel>> {
    Ok(Box::new(Linux::open()?))
}

//! `ipvsadm-save` and `ipvsadm-restore`: ipvsadm under another name.

use std::io;

use super::parse::Invocation;
use super::run::Session;

/// What the program is when it was started under a name of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrapper {
    /// Prints the table as commands.
    Save,
    /// Replaces the table by commands.
    Restore,
}

/// The wrapper that a program of this name or path is.
pub(super) fn of(program: &str) -> Option<Wrapper> {
    match program.rsplit('/').next() {
        Some("ipvsadm-save") => Some(Wrapper::Save),
        Some("ipvsadm-restore") => Some(Wrapper::Restore),
        _ => None,
    }
}

impl Wrapper {
    pub(super) fn run<S: AsRef<str>>(
        self,
        session: &mut Session<'_>,
        words: &[S],
    ) -> io::Result<u8> {
        match self {
            Self::Save => save(session, words),
            Self::Restore => restore(session, words),
        }
    }
}

fn save<S: AsRef<str>>(session: &mut Session<'_>, words: &[S]) -> io::Result<u8> {
    let mut options = words.iter().map(AsRef::as_ref).filter(|word| word.starts_with('-'));
    if options.any(|option| option != "-n") {
        writeln!(
            session.err,
            "ipvsadm-save: prints the table as commands for ipvsadm-restore\n\
             Usage: ipvsadm-save [-n]    -n: numbers instead of names"
        )?;
        return Ok(1);
    }
    session.run(Invocation::Save { numeric: words.iter().any(|word| word.as_ref() == "-n") })
}

/// The original, a script, looks at none of its words. What this one does not know it refuses: a
/// misspelt `--check` must not empty the table.
fn restore<S: AsRef<str>>(session: &mut Session<'_>, words: &[S]) -> io::Result<u8> {
    let (mut check, mut dry_run) = (false, false);
    for word in words.iter().map(AsRef::as_ref) {
        match word {
            "-n" => {}
            "--check" => check = true,
            "--dry-run" => dry_run = true,
            _ => {
                writeln!(
                    session.err,
                    "ipvsadm-restore: unexpected argument {word}\n\
                     Usage: ipvsadm-restore [--check | --dry-run] <FILE"
                )?;
                return Ok(2);
            }
        }
    }
    session.replace(check, dry_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_name_decides() {
        assert_eq!(of("/usr/sbin/ipvsadm-save"), Some(Wrapper::Save));
        assert_eq!(of("ipvsadm-restore"), Some(Wrapper::Restore));
        assert_eq!(of("/opt/ipvsadm-restore/ipvsadm"), None);
    }
}

//! Files as arguments.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::diagnostic::render;
use crate::cli::{Failure, log};
use crate::config::{self, Config, Diagnostic, Document, Loaded, Section, by_file, effective};
use crate::runtime::configuration::Machine;

/// More than any lvs.cf may have, so that its own limit is what is reported.
const MAX_BYTES: u64 = (16 << 20) + 1;

/// A file that was read.
pub(super) struct Input {
    /// As it is called in messages.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Input {
    /// Reads the file at `path`, or standard input for `-`.
    #[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let standard = path.as_os_str() == "-";
        let name = if standard { "<stdin>".to_owned() } else { path.display().to_string() };
        let bytes = if standard {
            read_bounded(io::stdin().lock())
        } else {
            fs::File::open(path).and_then(read_bounded)
        };
        match bytes {
            Ok(bytes) => Ok(Self { name, bytes }),
            Err(error) => Err(Failure::new(format!("cannot read {name}: {error}"))),
        }
    }

    /// What it means. Shows its errors, if it has any, and not its warnings.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        self.usable()?.config.ok_or_else(|| self.broken())
    }

    /// The settings in force, and where they were read. Shows its errors, if it has any.
    pub(super) fn settings(&self) -> Result<(Loaded, Section), Failure> {
        let loaded = self.usable()?;
        let settings = effective(&loaded).ok_or_else(|| self.broken())?;
        Ok((loaded, settings))
    }

    fn usable(&self) -> Result<Loaded, Failure> {
        let loaded = self.load(&Machine::default());
        self.refuse(&loaded, |_| true)?;
        Ok(loaded)
    }

    /// Its lines, if each of them can be read.
    pub(super) fn readable(&self) -> Result<Document, Failure> {
        let loaded = config::load(&self.bytes);
        // Beyond E0199 it is values that are wrong, and how blocks go together.
        self.refuse(&loaded, |diagnostic| diagnostic.code.as_str() < "E0200")?;
        Ok(loaded.document)
    }

    /// Reads it with the files it includes, as what it would mean on `machine`.
    pub(super) fn load(&self, machine: &Machine) -> Loaded {
        config::load_in(&self.name, &self.bytes, machine)
    }

    fn refuse(&self, loaded: &Loaded, about: impl Fn(&Diagnostic) -> bool) -> Result<(), Failure> {
        let errors = loaded.diagnostics.iter().filter(|d| d.is_error() && about(d));
        let diagnostics: Vec<_> = errors.cloned().collect();
        self.complain(loaded, &diagnostics);
        if diagnostics.is_empty() { Ok(()) } else { Err(self.broken()) }
    }

    fn broken(&self) -> Failure {
        Failure::new(format!("{}: the configuration has errors", self.name))
    }

    /// Shows `diagnostics` on standard error.
    pub(super) fn complain(&self, loaded: &Loaded, diagnostics: &[Diagnostic]) {
        let files = by_file(&self.name, &loaded.document, &loaded.included, diagnostics);
        for (name, document, about) in files {
            eprint!("{}", render(name, document.as_bytes(), &about, log::colors()));
        }
    }
}

fn read_bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

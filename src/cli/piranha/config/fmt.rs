use super::File;
use super::input::Input;
use super::output;
use crate::cli::Failure;
use crate::cli::piranha::print;
use crate::config::format;

/// `piranha config fmt`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Fmt {
    #[command(flatten)]
    file: File,
    /// Print nothing, and say by the exit code whether something would change.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the result back instead of printing it.
    #[arg(long, short)]
    write: bool,
}

impl Fmt {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let input = Input::read(&self.file.file)?;
        let document = input.readable()?;
        let formatted = format(&document);
        let same = formatted == input.bytes;
        if self.check {
            if !same {
                eprintln!("piranha: {} would be laid out differently", input.name);
            }
            return Ok(u8::from(!same));
        }
        if !self.write {
            print(formatted)?;
        } else if self.file.file.as_os_str() == "-" {
            return Err(Failure::new("standard input cannot be written to: leave out --write"));
        } else if !same {
            output::replace(&self.file.file, &formatted)?;
        }
        Ok(0)
    }
}

use super::File;
use super::input::Input;
use crate::cli::Failure;
use crate::cli::piranha::print;
use crate::config::format;
use crate::runtime::configuration;

/// `piranha config fmt`
///
/// Only the file itself is laid out; files it includes are not read.
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
        if self.write {
            return self.write_back();
        }
        let input = Input::read(&self.file.file)?;
        let formatted = format(&input.readable()?);
        if !self.check {
            print(formatted)?;
            return Ok(0);
        }
        let same = formatted == input.bytes;
        if !same {
            eprintln!("piranha: {} would be laid out differently", input.name);
        }
        Ok(u8::from(!same))
    }

    /// What others write in the meantime is not lost: the file is only replaced as it was read.
    fn write_back(&self) -> Result<u8, Failure> {
        let path = &self.file.file;
        if path.as_os_str() == "-" {
            return Err(Failure::new("standard input cannot be written to: leave out --write"));
        }
        let mut original = configuration::open(path)?;
        let name = path.display().to_string();
        let input = Input { name, bytes: original.text().to_vec() };
        let formatted = format(&input.readable()?);
        if formatted != input.bytes {
            original.replace(&formatted)?;
        }
        Ok(0)
    }
}

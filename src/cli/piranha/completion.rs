use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::{Arguments, print};
use crate::cli::Failure;
use crate::config::{Code, Descriptor};

/// `piranha completion`
#[derive(Debug, clap::Args)]
pub(super) struct Completion {
    /// The shell it is for.
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "piranha", &mut script);
        print(script)?;
        Ok(0)
    }
}

/// The grammar of the command line with the names of directives and codes in it, which the command
/// itself takes as any word, to suggest the one that was meant.
fn command() -> clap::Command {
    let names = Descriptor::ALL.iter().map(|row| row.directive.name());
    let mut names: Vec<_> = names.chain(Code::ALL.iter().map(|code| code.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let explain = |explain: clap::Command| {
        explain.mut_arg("name", |name| name.value_parser(PossibleValuesParser::new(names)))
    };
    Arguments::command()
        .mut_subcommand("config", |config| config.mut_subcommand("explain", explain))
}

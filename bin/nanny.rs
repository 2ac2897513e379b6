//! The checker on its own. Everything is in `piranha::cli::nanny`.

use std::process::ExitCode;

fn main() -> ExitCode {
    piranha::cli::nanny::main()
}

//! `piranha`: the administrator's command. Everything is in `piranha::cli::piranha`.

use std::process::ExitCode;

fn main() -> ExitCode {
    piranha::cli::piranha::main()
}

//! The table tool. Everything is in `piranha::cli::ipvsadm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    piranha::cli::ipvsadm::main()
}

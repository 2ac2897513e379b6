//! `lvs`: the data plane and the health checks of a director. See lvs(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    piranha::cli::lvs::main()
}

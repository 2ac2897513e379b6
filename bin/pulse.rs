//! `pulse`: heartbeats and takeover. See pulse(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    piranha::cli::pulse::main()
}

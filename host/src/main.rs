//! The program `callhook`; see [`callhook::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    callhook::cli::main()
}

//! The program `callhook`; see [`callhook::cli`].

use std::process::ExitCode;

/// Events are made on one thread, stored on another and sent on a third, with all the memory that
/// hangs on them. The allocator of glibc takes a third of the time for that, in SQLite, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    callhook::cli::main()
}

//! The chores of this repository, as `cargo xtask CHORE`.

mod fuzz;

use anyhow::Result;
use clap::Parser;

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// Feed everything that reads what comes from outside with nonsense for a while.
    Fuzz(fuzz::Arguments),
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
    }
}

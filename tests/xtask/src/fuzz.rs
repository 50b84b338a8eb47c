//! `cargo xtask fuzz`: everything that reads what comes from outside, fed with nonsense for a
//! while. Needs a nightly toolchain; where there is none, says so and does nothing.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{Step, root};

/// A single input may take this many seconds, and this many MiB of memory.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// Fuzzing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How long each target runs.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only this target; all of them without it.
    target: Option<String>,
}

/// Runs every target for a while. Fails at the first that finds something; cargo-fuzz then says
/// where the input is.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !succeeds(&["rustc", "--version"]) {
        println!("Fuzzing is SKIPPED: no nightly toolchain (rustup toolchain install nightly).");
        return Ok(());
    }
    if !succeeds(&["cargo", "fuzz", "--version"]) {
        println!("cargo-fuzz is missing, and is installed now.");
        nightly(&["cargo", "install", "--locked", "cargo-fuzz"]).run()?;
    }
    let targets = match &arguments.target {
        Some(target) => vec![target.clone()],
        None => targets()?,
    };
    for target in &targets {
        fuzz(target, arguments.seconds)?;
    }
    println!("Fuzzed {} targets for {} s each, found nothing.", targets.len(), arguments.seconds);
    Ok(())
}

/// The names of all targets.
fn targets() -> anyhow::Result<Vec<String>> {
    let listed = root().join("tests/fuzz/targets").read_dir().context("listing the targets")?;
    let mut names = Vec::new();
    for file in listed {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Runs one target. What it finds interesting goes to a folder that is not kept; the corpus that
/// is kept is only read. Not optimised, since compiling the libraries would take many minutes.
fn fuzz(target: &str, seconds: u64) -> anyhow::Result<()> {
    let found = format!("tests/fuzz/target/corpus/{target}");
    std::fs::create_dir_all(root().join(&found)).context("making a folder for new inputs")?;
    let kept = format!("tests/fuzz/corpus/{target}");
    let time = format!("-max_total_time={seconds}");
    let words = format!("tests/fuzz/dictionaries/{target}.dict");
    let words = root().join(&words).is_file().then(|| format!("-dict={words}"));
    let arguments = [target, &found, &kept, "--", &time].map(OsString::from);
    let limits = LIMITS.map(OsString::from).into_iter().chain(words.map(OsString::from));
    nightly(&["cargo", "fuzz", "run", "--dev", "--fuzz-dir", "tests/fuzz"])
        .passing(arguments.into_iter().chain(limits).collect())
        .run()
}

/// A program of the nightly toolchain.
fn nightly(arguments: &[&str]) -> Step {
    Step::new("rustup", &["run", "nightly"]).passing(arguments.iter().map(OsString::from).collect())
}

fn succeeds(arguments: &[&str]) -> bool {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(arguments).current_dir(root());
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

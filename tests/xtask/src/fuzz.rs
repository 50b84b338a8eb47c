//! `cargo xtask fuzz`: everything that reads what comes from outside, fed with nonsense for a
//! while. Needs a nightly toolchain; where there is none, says so and does nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What cargo-fuzz runs with.
const TOOLCHAIN: &str = "nightly";

/// A single input may take this many seconds, and this many MiB of memory.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// Fuzzing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only this target; all of them without it.
    target: Option<String>,
}

/// Runs every target for a while. Fails at the first that finds something; cargo-fuzz then says
/// where the input is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    if !succeeds(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "--version"])) {
        println!("fuzz: SKIPPED, there is no nightly toolchain (rustup toolchain install nightly)");
        return Ok(());
    }
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        println!("fuzz: cargo-fuzz is missing, so it is installed (cargo install cargo-fuzz)");
        done(cargo().args(["install", "--locked", "cargo-fuzz"]), "installing cargo-fuzz")?;
    }
    let targets = match &arguments.target {
        Some(target) => vec![target.clone()],
        None => targets(&folder)?,
    };
    for target in &targets {
        println!("fuzz: {target} for {} s", arguments.seconds);
        fuzz(&folder, target, arguments.seconds)?;
    }
    println!("fuzz: {} targets, nothing found", targets.len());
    Ok(())
}

/// The names of all targets.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let listed = folder.join("targets").read_dir().context("while listing the targets")?;
    let mut names = Vec::new();
    for file in listed {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Runs one target. What it finds on the way goes to a folder that is not kept, and the corpus
/// that is kept is only read.
fn fuzz(folder: &Path, target: &str, seconds: u64) -> Result<()> {
    let found: PathBuf = folder.join("target/corpus").join(target);
    std::fs::create_dir_all(&found).context("while making a folder for new inputs")?;
    let mut command = cargo();
    command
        .env("RUSTUP_TOOLCHAIN", TOOLCHAIN)
        .args(["fuzz", "run", "--dev", "--fuzz-dir"])
        .arg(folder)
        .arg(target)
        .arg(found)
        .arg(folder.join("corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(LIMITS);
    done(&mut command, &format!("fuzzing {target}"))
}

/// cargo as it is called by hand: not the one of this toolchain, which is another than fuzzing's.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn done(command: &mut Command, doing: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("while {doing}"))?;
    if status.success() { Ok(()) } else { bail!("{doing} ended with {status}") }
}

//! The chores of this repository, so that nobody has to remember how they are done:
//! `cargo xtask test | check | demo | examples | bench | fuzz`. Every command that is run is printed first.

mod examples;
mod fuzz;
mod tools;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};

/// What components are compiled for.
const WASM: &str = "wasm32-wasip2";

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Build everything and run all tests.
    Test {
        /// Passed on to `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
    /// Formatting, lints and documentation, all without a warning.
    Check,
    /// Play calls on a simulated 3CX and show what is sent.
    Demo {
        /// Passed on to `callhook demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
    /// Build the example plugins of all languages, or of some, into `target/examples/`; their
    /// tools are installed to `target/tools/`.
    Examples(examples::Arguments),
    /// Feed everything that reads what comes from outside with nonsense for a while.
    Fuzz(fuzz::Arguments),
    /// Measure the whole service: a table of figures.
    ///
    /// With `--bench NAME` one of its parts instead.
    Bench {
        /// Only these of library, service, backlog, plugins and storm; or what is passed on to `cargo bench`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Test { rest } => test(rest),
        Chore::Check => check(),
        Chore::Demo { rest } => {
            wasm_target()?;
            cargo(&["run", "--package", "callhook", "--", "demo"]).passing(rest).run()
        }
        Chore::Examples(arguments) => examples::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Bench { rest } => {
            wasm_target()?;
            bench(rest)
        }
    }
}

/// Testing the whole workspace at once also builds the program that the end-to-end tests start.
fn test(rest: Vec<OsString>) -> anyhow::Result<()> {
    wasm_target()?;
    examples::install()?;
    tools::for_tests()?;
    cargo(&["test", "--workspace"]).passing(rest).run()
}

/// Builds the program as it is released, beside what measures it, and measures.
fn bench(rest: Vec<OsString>) -> anyhow::Result<()> {
    if rest.first().is_some_and(|first| first.to_string_lossy().starts_with('-')) {
        return cargo(&["bench", "--package", "callhook", "--benches"]).passing(rest).run();
    }
    let packages = ["--package", "callhook", "--package", "promises", "--no-default-features"];
    cargo(&["build", "--release", "--bins"]).passing(packages.map(OsString::from).into()).run()?;
    Step::new(target().join("release/callhook-bench"), &[]).passing(rest).run()
}

/// In the order of what fails soonest.
fn check() -> anyhow::Result<()> {
    wasm_target()?;
    cargo(&["fmt", "--all", "--check"]).run()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    // For those who work on the source, so a link may lead to a private item.
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    let flags = "-D warnings -A rustdoc::private-intra-doc-links";
    cargo(&doc).with("RUSTDOCFLAGS", flags).run()
}

/// Sees to it that components can be compiled, installing what is missing if rustup is there.
fn wasm_target() -> anyhow::Result<()> {
    if has_wasm_target()? {
        return Ok(());
    }
    println!("The Rust target {WASM} is missing, and is installed now.");
    Step::new("rustup", &["target", "add", WASM])
        .run()
        .with_context(|| format!("install the target {WASM} of your Rust toolchain"))?;
    ensure!(has_wasm_target()?, "the target {WASM} was installed for another toolchain");
    Ok(())
}

fn has_wasm_target() -> anyhow::Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("while running {}", rustc.display()))?;
    ensure!(output.status.success(), "{} does not know the target {WASM}", rustc.display());
    let folder = String::from_utf8(output.stdout).context("the toolchain's path is not UTF-8")?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// The cargo that runs this.
fn cargo(arguments: &[&str]) -> Step {
    Step::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// The root of the repository, wherever this is run.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Where cargo puts what it makes.
fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(target)
}

/// A command that is printed and then run.
#[derive(Debug)]
struct Step {
    program: OsString,
    arguments: Vec<OsString>,
    folder: PathBuf,
    variables: Vec<(&'static str, OsString)>,
    /// The caller's variables that it does not get.
    withheld: Vec<&'static str>,
    /// Where it finds programs.
    path: Option<OsString>,
}

impl Step {
    fn new(program: impl Into<OsString>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        Self {
            program: program.into(),
            arguments,
            folder: root(),
            variables: Vec::new(),
            withheld: Vec::new(),
            path: None,
        }
    }

    fn passing(mut self, rest: Vec<OsString>) -> Self {
        self.arguments.extend(rest);
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn with_all(mut self, variables: Vec<(&'static str, OsString)>) -> Self {
        self.variables.extend(variables);
        self
    }

    fn without(mut self, names: &[&'static str]) -> Self {
        self.withheld.extend(names);
        self
    }

    fn within(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Programs in these folders go before others.
    fn finding(mut self, folders: Vec<PathBuf>) -> anyhow::Result<Self> {
        let usual = env::var_os("PATH").unwrap_or_default();
        let all = folders.into_iter().chain(env::split_paths(&usual));
        self.path = Some(env::join_paths(all).context("a folder cannot be part of PATH")?);
        Ok(self)
    }

    /// As it would be typed.
    fn line(&self) -> String {
        let name = Path::new(&self.program).file_stem().unwrap_or(&self.program);
        let mut line = String::new();
        for (name, value) in &self.variables {
            let _ = write!(line, "{name}='{}' ", value.to_string_lossy());
        }
        line.push_str(&name.to_string_lossy());
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&argument.to_string_lossy());
        }
        line
    }

    fn run(self) -> anyhow::Result<()> {
        println!("$ {}", self.line());
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        for name in &self.withheld {
            command.env_remove(name);
        }
        command.envs(self.path.iter().map(|path| ("PATH", path)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let status = command
            .status()
            .with_context(|| format!("while running {}", self.program.display()))?;
        if !status.success() {
            bail!("failed: {} ({status})", self.line());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_printed_as_it_would_be_typed() {
        let step = Step::new("/usr/bin/cargo", &["doc", "--no-deps"])
            .with("RUSTDOCFLAGS", "-D warnings")
            .passing(vec!["--open".into()]);
        assert_eq!(step.line(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --open");
    }

    #[test]
    fn what_follows_a_chore_is_passed_on() {
        let typed = ["xtask", "demo", "--keep", "--", "x"];
        let Chore::Demo { rest } = Arguments::parse_from(typed).chore else { panic!("demo") };
        assert_eq!(rest, ["--keep", "--", "x"]);
    }

    #[test]
    fn a_command_that_fails_fails_the_chore() {
        let error = Step::new("false", &["really"]).run().unwrap_err();
        assert_eq!(error.to_string(), "failed: false really (exit status: 1)");
    }
}

//! The tools that the examples are built with and that tests need, from the public registries and
//! into `target/tools/`, where a second time nothing is done. On the machine itself only `strace`
//! is installed, which has system calls fail, and only by root on Debian.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{Step, WASM, cargo, has_wasm_target, root, target, wasm_target};

/// Makes C and Go of the WIT.
pub(super) const WIT_BINDGEN: Tool =
    Tool::Crate { name: "wit-bindgen-cli", version: "0.63.0", features: "c,go" };

/// Makes components of modules. Of the release that `wit-bindgen` is made of, so that most of it
/// is compiled only once.
pub(super) const WASM_TOOLS: Tool =
    Tool::Crate { name: "wasm-tools", version: "1.262.0", features: "component" };

/// A tool that an example is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// Rust's own target for components.
    WasmTarget,
    /// What the example's `package-lock.json` says.
    Npm,
    /// What `requirements.txt` says: one line, `name==version`.
    Pip,
    /// A program from crates.io.
    Crate { name: &'static str, version: &'static str, features: &'static str },
    /// What the example's `sources/Cargo.toml` names: crates, for the files in them.
    Sources,
}

/// What a build has to know to find a tool.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The folders of programs.
    pub(super) path: Vec<PathBuf>,
    /// Names and values.
    pub(super) variables: Vec<(&'static str, OsString)>,
}

/// Where a tool is, or would be.
#[derive(Debug)]
struct Place {
    /// With its version.
    name: String,
    folder: PathBuf,
    /// What is needed of it, below the folder.
    inside: &'static str,
    /// Written to the folder when all is done. Another text there means another tool.
    mark: String,
}

impl Tool {
    /// How it is found; `Err` with the tool's name if it is missing.
    pub(super) fn find(self, example: &Path) -> anyhow::Result<Result<Found, String>> {
        if self == Self::WasmTarget {
            let found = Ok(Found::default());
            return Ok(if has_wasm_target()? { found } else { Err(format!("Rust's {WASM}")) });
        }
        let place = self.place(example)?;
        if !place.is_ready() {
            return Ok(Err(place.name));
        }
        let inside = place.folder.join(place.inside);
        Ok(Ok(match self {
            Self::Sources => {
                Found { variables: vec![("SOURCES", inside.into())], ..Found::default() }
            }
            _ => Found { path: vec![inside], ..Found::default() },
        }))
    }

    /// Installs it, unless it is there.
    pub(super) fn install(self, example: &Path) -> anyhow::Result<()> {
        if self == Self::WasmTarget {
            return wasm_target();
        }
        let place = self.place(example)?;
        if place.is_ready() {
            return Ok(());
        }
        println!("{} is missing, and is installed to {} now.", place.name, place.folder.display());
        if place.folder.exists() {
            fs::remove_dir_all(&place.folder).context("while removing what was left of it")?;
        }
        fs::create_dir_all(&place.folder).context("while making its folder")?;
        self.fill(example, &place).with_context(|| format!("while installing {}", place.name))?;
        let inside = place.folder.join(place.inside);
        ensure!(inside.exists(), "{} has no {}", place.name, place.inside);
        fs::write(place.folder.join("installed"), &place.mark).context("while marking it")
    }

    fn place(self, example: &Path) -> anyhow::Result<Place> {
        let (name, inside, mark) = match self {
            Self::WasmTarget => (WASM.to_owned(), "", String::new()),
            Self::Npm => {
                let lock = read(&example.join("package-lock.json"))?;
                ("jco".to_owned(), "node_modules/.bin", without_name(&lock))
            }
            Self::Pip => {
                let line = read(&example.join("requirements.txt"))?.trim().to_owned();
                (line.replace("==", "-"), "bin", line)
            }
            Self::Crate { name, version, features } => {
                (format!("{name}-{version}"), "bin", features.to_owned())
            }
            Self::Sources => {
                let language = example.file_name().unwrap_or_default().to_string_lossy();
                let manifest = read(&example.join("sources/Cargo.toml"))?;
                (format!("sources-{language}"), "vendor", manifest)
            }
        };
        Ok(Place { folder: target().join("tools").join(&name), name, inside, mark })
    }

    fn fill(self, example: &Path, place: &Place) -> anyhow::Result<()> {
        let folder = place.folder.as_path();
        match self {
            Self::WasmTarget => Ok(()),
            Self::Npm => {
                for file in ["package.json", "package-lock.json"] {
                    fs::copy(example.join(file), folder.join(file))
                        .with_context(|| format!("while copying {file}"))?;
                }
                Step::new("npm", &["ci", "--no-audit", "--no-fund"]).within(folder).run()
            }
            Self::Pip => {
                Step::new("python3", &["-m", "venv"]).passing(vec![folder.into()]).run()?;
                let quiet = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
                Step::new(folder.join("bin/pip"), &quiet)
                    .passing(vec![example.join("requirements.txt").into()])
                    .run()
            }
            Self::Crate { name, version, features } => {
                // Unoptimised: they work on some kilobytes.
                let one = format!("{name}@{version}");
                let options = ["--debug", "--no-default-features", "--features", features];
                let paths = [OsString::from("--root"), folder.into()];
                cargo(&["install", "--locked", "--quiet", &one])
                    .passing(options.map(OsString::from).into())
                    .passing(paths.into())
                    .with("CARGO_PROFILE_DEV_DEBUG", "0")
                    .with("CARGO_TARGET_DIR", target().join("tools/build"))
                    .run()
            }
            Self::Sources => {
                fs::write(folder.join("Cargo.toml"), &place.mark)
                    .context("while copying Cargo.toml")?;
                cargo(&["vendor", "--quiet"]).within(folder).run()
            }
        }
    }
}

impl Place {
    fn is_ready(&self) -> bool {
        fs::read_to_string(self.folder.join("installed")).is_ok_and(|text| text == self.mark)
    }
}

/// Installs what tests hold the program against: the reference implementation of Standard Webhooks,
/// and `strace`. Where that fails, says so and goes on; in CI without the second alone.
pub(super) fn for_tests() -> anyhow::Result<()> {
    let reference = Tool::Pip.install(&root().join("tests/fixtures/standardwebhooks"));
    unless_ci(reference, || "Signatures will be verified by Python's own HMAC alone".to_owned())?;
    if let Err(error) = strace() {
        eprintln!("Disks that fail will not be tested, or less: {error:#}");
    }
    Ok(())
}

fn strace() -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| env::split_paths(&path).any(|it| it.join(program).is_file());
    if is_there("strace") {
        return Ok(());
    }
    ensure!(is_there("apt-get"), "strace is missing; install it");
    println!("strace is missing, and is installed as a Debian package now.");
    Step::new("apt-get", &["update", "-qq"]).run()?;
    Step::new("apt-get", &["install", "-qq", "--yes", "--no-install-recommends", "strace"]).run()
}

/// Says what follows from a failure and goes on, except in CI.
pub(super) fn unless_ci(
    done: anyhow::Result<()>,
    otherwise: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match done {
        Err(error) if env::var_os("CI").is_none() => {
            eprintln!("{}: {error:#}", otherwise());
            Ok(())
        }
        done => done,
    }
}

/// What is only needed while tools are installed.
pub(super) fn tidy() -> anyhow::Result<()> {
    let build = target().join("tools/build");
    if build.exists() {
        fs::remove_dir_all(&build).context("while removing what the tools were compiled to")?;
    }
    Ok(())
}

/// Two examples with the same packages share them, whatever they are called.
fn without_name(lock: &str) -> String {
    let named = |line: &&str| line.trim_start().starts_with("\"name\": \"example-");
    lock.lines().filter(|line| !named(line)).collect::<Vec<_>>().join("\n")
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("while reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::root;
    use super::*;

    #[test]
    fn the_examples_name_the_versions_that_they_are_tested_with() {
        let version = |tool| match tool {
            Tool::Crate { name, version, .. } => format!("{name}@{version}"),
            other => panic!("{other:?} is no program from crates.io"),
        };
        let both = format!("{} {}", version(WIT_BINDGEN), version(WASM_TOOLS));
        for language in ["c", "cpp", "go", "lua", "zig"] {
            let readme = read(&root().join("examples").join(language).join("README.md")).unwrap();
            assert!(readme.contains(&format!("cargo install --locked {both}\n")), "{language}");
        }
    }

    #[test]
    fn javascript_and_typescript_share_their_packages() {
        let lock = |language: &str| {
            let folder = root().join("examples").join(language);
            without_name(&read(&folder.join("package-lock.json")).unwrap())
        };
        assert_eq!(lock("javascript"), lock("typescript"));
        assert!(lock("javascript").contains("preview2-shim"));
    }
}

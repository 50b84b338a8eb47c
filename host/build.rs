//! Builds the components under `plugins/` that are shipped inside the host.
//!
//! They are compiled by the same cargo, for `wasm32-wasip2`, into a target folder of their own
//! (`<target>/plugins`) that all profiles of the host share; `src/plugins/` embeds the result.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "plugin";

/// Packages to build; each becomes `OUT_DIR/<package>.wasm`. Each is a `cdylib` and nothing else:
/// only then is it optimised at link time.
const PACKAGES: [&str; 4] = ["plain-get", "plain-post", "template", "bitrix24"];

/// What a caller's environment says about building *the host*: a wrapper such as clippy's, flags
/// for its compiler, its target. None of it is meant for the components.
const NOT_FOR_PLUGINS: [&str; 10] = [
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "__CARGO_DEFAULT_LIB_METADATA",
];

fn main() -> ExitCode {
    for path in ["../wit", "../Cargo.toml", "../Cargo.lock", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for package in PACKAGES.iter().chain(&["guest"]) {
        for part in ["Cargo.toml", "src"] {
            println!("cargo::rerun-if-changed=../plugins/{package}/{part}");
        }
    }
    // cargo-fuzz sets this. Fuzzing runs no plugin, and its toolchain seldom has their target.
    let fuzzing = env::var_os("CARGO_CFG_FUZZING").is_some();
    let built = if fuzzing { leave_out() } else { build() };
    if let Err(message) = built {
        eprintln!("error: the plugins cannot be built: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Builds all of them at once, so that what they share is compiled once.
fn build() -> Result<(), String> {
    let out_dir = variable("OUT_DIR")?;
    let root = variable("CARGO_MANIFEST_DIR")?.join("..");
    let target_dir = target_dir(&out_dir).join("plugins");
    require_target()?;

    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--lib", "--target", TARGET, "--profile", PROFILE, "--target-dir"])
        .arg(&target_dir);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    for name in NOT_FOR_PLUGINS {
        cargo.env_remove(name);
    }
    let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo ended with {}\n{text}", output.status));
    }
    PACKAGES.into_iter().try_for_each(|package| {
        let file = format!("{}.wasm", package.replace('-', "_"));
        let built = target_dir.join(TARGET).join(PROFILE).join(file);
        fs::copy(&built, out_dir.join(format!("{package}.wasm")))
            .map(|_| ())
            .map_err(|error| format!("while copying {} here: {error}", built.display()))
    })
}

/// Something to embed that is no component.
fn leave_out() -> Result<(), String> {
    let out_dir = variable("OUT_DIR")?;
    PACKAGES.into_iter().try_for_each(|package| {
        let kept = out_dir.join(format!("{package}.wasm"));
        fs::write(&kept, []).map_err(|error| format!("while writing {}: {error}", kept.display()))
    })
}

/// The target folder of this build: the one above `OUT_DIR` that cargo has marked. Where it bears
/// no mark because somebody else made it, `OUT_DIR` itself serves.
fn target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}

/// Fails, saying what to do, if this Rust cannot compile for the components' target.
fn require_target() -> Result<(), String> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("rustc does not start: {error}"))?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "Rust's target {TARGET} is not installed; run `rustup target add {TARGET}` (or install \
         your distribution's package with the standard library for it)"
    ))
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo has not set {name}"))
}

//! Components of this workspace, built for a test as the host's own are built.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Builds a package of this workspace as a component, into the folder where the host's build has
/// put its own, and says where it is.
///
/// # Panics
///
/// If it does not build.
pub fn component(package: &str) -> PathBuf {
    let test = env::current_exe().expect("the test knows where it is");
    let target = test.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file());
    let target = target.expect("the test is in cargo's target folder").join("plugins");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["rustc", "--quiet", "--package", package, "--lib", "--crate-type", "cdylib"])
        .args(["--target", "wasm32-wasip2", "--profile", "plugin", "--target-dir"])
        .arg(&target);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    assert!(cargo.status().expect("cargo starts").success(), "{package} builds");
    target.join("wasm32-wasip2/plugin").join(format!("{}.wasm", package.replace('-', "_")))
}

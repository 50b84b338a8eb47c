//! `cargo xtask examples`: builds the example in each language with its own `build.sh`, into
//! `target/examples/LANGUAGE.wasm`.
//!
//! Each is built in a copy of its folder, so nothing in the repository is touched, and what the
//! folder lacks cannot be found beside it. Only Rust is built in place: there cargo wants the
//! workspace around it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::tools::{self, Tool, WASM_TOOLS, WIT_BINDGEN};
use super::{Step, root, target};

/// The examples, and what they are built with.
const EXAMPLES: [(&str, &[Tool]); 9] = [
    ("rust", &[Tool::WasmTarget]),
    ("javascript", &[Tool::Npm]),
    ("typescript", &[Tool::Npm]),
    ("python", &[Tool::Pip]),
    ("go", &[Tool::Pip, WIT_BINDGEN, WASM_TOOLS, Tool::Sources]),
    ("c", &[Tool::Pip, WIT_BINDGEN, WASM_TOOLS]),
    ("cpp", &[Tool::Pip, WIT_BINDGEN, WASM_TOOLS]),
    ("zig", &[Tool::Pip, WIT_BINDGEN, WASM_TOOLS]),
    ("lua", &[Tool::Pip, WIT_BINDGEN, WASM_TOOLS, Tool::Sources]),
];

/// What a folder holds after a build or an installation, and the WIT, which is given by its path.
const NOT_COPIED: [&str; 8] =
    ["__pycache__", "build", "node_modules", "plugin.wasm", "types", "vendor", ".venv", "wit"];

/// Building examples.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Leave out examples whose tools are missing instead of installing the tools.
    #[arg(long)]
    no_install: bool,
    /// Only these; all of them without it.
    languages: Vec<String>,
}

/// Builds those that are asked for.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let known: Vec<_> = EXAMPLES.iter().map(|(language, _)| *language).collect();
    for language in &arguments.languages {
        ensure!(known.contains(&language.as_str()), "no example in {language}: {known:?}");
    }
    let asked = |language: &str| {
        arguments.languages.is_empty() || arguments.languages.iter().any(|it| it == language)
    };
    let chosen = EXAMPLES.iter().filter(|(language, _)| asked(language));
    for (language, tools) in chosen.clone().filter(|_| !arguments.no_install) {
        install_for(language, tools)?;
    }
    tools::tidy()?;
    for (language, tools) in chosen {
        build(language, tools)?;
    }
    Ok(())
}

/// Installs the tools of all examples. Where that fails, says so and goes on, except in CI.
pub(super) fn install() -> anyhow::Result<()> {
    for (language, tools) in EXAMPLES {
        tools::unless_ci(install_for(language, tools), || {
            format!("The example in {language} will not be tested")
        })?;
    }
    tools::tidy()
}

fn install_for(language: &str, tools: &[Tool]) -> anyhow::Result<()> {
    for tool in tools {
        tool.install(&folder(language))
            .with_context(|| format!("while installing what the example in {language} needs"))?;
    }
    Ok(())
}

/// Builds one, or says that it cannot be built.
fn build(language: &str, tools: &[Tool]) -> anyhow::Result<()> {
    let built = target().join("examples").join(language).with_extension("wasm");
    if built.exists() {
        fs::remove_file(&built).context("while removing what was built before")?;
    }
    let mut path = Vec::new();
    let mut variables = Vec::new();
    for tool in tools {
        match tool.find(&folder(language))? {
            Ok(found) => {
                path.extend(found.path);
                variables.extend(found.variables);
            }
            Err(missing) => {
                eprintln!(
                    "SKIPPED: the example in {language}: {missing} is missing; \
                     `cargo xtask examples {language}` installs it"
                );
                return Ok(());
            }
        }
    }
    fs::create_dir_all(target().join("examples")).context("while making their folder")?;
    let step = step(language)?.with("OUT", &built).with_all(variables);
    step.finding(path)?.run()?;
    ensure!(built.is_file(), "examples/{language}/build.sh has not made {}", built.display());
    Ok(())
}

/// The build of one.
fn step(language: &str) -> anyhow::Result<Step> {
    let scratch = target().join("examples/build").join(language);
    let build = Step::new("sh", &["build.sh"]);
    if language == "rust" {
        // What the caller says of the compiler is meant for the program that runs this.
        return Ok(build.within(&folder(language)).with("CARGO_TARGET_DIR", &scratch).without(&[
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
        ]));
    }
    copy(&folder(language), &scratch)?;
    let tools = target().join("tools");
    let build = build.within(&scratch).with("WIT", root().join("wit"));
    Ok(match language {
        "go" => build
            .with("GOCACHE", tools.join("go-cache"))
            .with("GOPATH", tools.join("go-path"))
            .with("GOPROXY", "off")
            .with("GOTOOLCHAIN", "local"),
        "c" | "cpp" | "zig" | "lua" => build.with("ZIG_GLOBAL_CACHE_DIR", tools.join("zig-cache")),
        _ => build,
    })
}

/// Copies a folder as it is in the repository.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("while removing {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("while making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("while reading {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if NOT_COPIED.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else {
            fs::copy(entry.path(), to.join(&name))
                .with_context(|| format!("while copying {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn folder(language: &str) -> PathBuf {
    root().join("examples").join(language)
}

//! A look at a component before it is linked, so that what does not fit is told in words that an
//! author understands.

use wasmtime::Engine;
use wasmtime::Precompiled;
use wasmtime::component::Component;

use super::load_error::LoadErrorKind;

/// What is served, as named in errors.
pub(super) const SERVED: &str = "callhook:plugin 1.0";

/// The package, and the part of its version that may differ.
const PACKAGE: &str = "callhook:plugin/";
const MAJOR: &str = "1.";
const MINOR: &str = "1.0.";

/// What this version serves of the package. Types are imported like functions.
const SERVED_INTERFACES: [&str; 5] = ["directory", "log", "memory", "settings", "types"];

/// The packages that are served of WASI 0.2.
const SERVED_WASI: [&str; 5] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];

/// What a plugin must export.
const REQUIRED: [&str; 2] = ["callhook:plugin/about@1.0.0", "callhook:plugin/transform@1.0.0"];

/// What it may export.
const REPLY: &str = "callhook:plugin/reply@1.0.0";

/// What a component imports and exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Interfaces with their versions.
    pub(super) imports: Vec<String>,
    /// It wants to read replies.
    pub(super) replies: bool,
}

/// Passes bytes that look like a component.
pub(super) fn check_bytes(bytes: &[u8]) -> Result<(), LoadErrorKind> {
    const MAGIC: &[u8] = b"\0asm";
    // After the magic comes a version, and then the layer: 0 for modules, 1 for components.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    match Engine::detect_precompiled(bytes) {
        Some(Precompiled::Module | Precompiled::Component) => Err(LoadErrorKind::Precompiled),
        _ if bytes.is_empty() => Err(LoadErrorKind::Empty),
        _ if bytes.starts_with(MODULE) => Err(LoadErrorKind::CoreModule),
        _ if is_text(bytes) => Err(LoadErrorKind::TextForm),
        _ if !bytes.starts_with(MAGIC) => Err(LoadErrorKind::NotWasm),
        _ => Ok(()),
    }
}

/// Whether it begins as the text form does, after comments and blanks.
fn is_text(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b";;"));
    first.is_some_and(|line| line.starts_with(b"(component") || line.starts_with(b"(module"))
}

/// The first import that is of a newer minor version than what is served.
pub(super) fn newer(imports: &[String]) -> Option<&String> {
    imports.iter().find(|name| {
        let version = name.strip_prefix(PACKAGE).and_then(|name| name.split_once('@'));
        version.is_some_and(|(_, version)| !version.starts_with(MINOR))
    })
}

/// Passes components whose imports are all served and that export what a plugin must.
pub(super) fn check_component(
    engine: &Engine,
    component: &Component,
) -> Result<Survey, LoadErrorKind> {
    let kind = component.component_type();
    let imports: Vec<_> = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
    for name in &imports {
        check_import(name)?;
    }
    let exports: Vec<_> = kind.exports(engine).map(|(name, _)| name).collect();
    for required in REQUIRED {
        check_export(&exports, required)?;
    }
    let replies = match check_export(&exports, REPLY) {
        Err(LoadErrorKind::MissingExport(_)) => false,
        checked => checked.map(|()| true)?,
    };
    Ok(Survey { imports, replies })
}

/// The world that these exports are, with the version for which they were made; or all that is
/// missing.
pub(super) fn world(exports: &[&str]) -> Result<String, Vec<LoadErrorKind>> {
    let missing = REQUIRED.iter().filter_map(|required| check_export(exports, required).err());
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let name = if replies(exports) { "plugin-with-replies" } else { "plugin" };
    let version = exports.iter().find_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
    Ok(format!("{PACKAGE}{name}@{}", version.map_or("", |(_, version)| version)))
}

fn replies(exports: &[&str]) -> bool {
    exports.iter().any(|name| name.starts_with(REPLY))
}

/// Passes what plugins get.
pub(super) fn check_import(name: &str) -> Result<(), LoadErrorKind> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if let Some(interface) = interface.strip_prefix(PACKAGE) {
        let found = name.to_owned();
        return if !version.starts_with(MAJOR) {
            Err(LoadErrorKind::WrongVersion { found, served: SERVED })
        } else if SERVED_INTERFACES.contains(&interface) {
            Ok(())
        } else {
            Err(LoadErrorKind::TooNew { found, served: SERVED })
        };
    }
    let served = SERVED_WASI.iter().any(|package| interface.starts_with(package));
    if served && version.starts_with("0.2.") {
        return Ok(());
    }
    Err(LoadErrorKind::ForeignImport(name.to_owned()))
}

fn check_export(exports: &[&str], required: &'static str) -> Result<(), LoadErrorKind> {
    let interface = required.split('@').next().unwrap_or(required);
    let found = exports.iter().find(|name| name.split('@').next() == Some(interface));
    match found {
        None => Err(LoadErrorKind::MissingExport(required)),
        Some(name) if name.strip_prefix(interface).is_some_and(|it| it.starts_with("@1.")) => {
            Ok(())
        }
        Some(name) => {
            Err(LoadErrorKind::WrongVersion { found: (*name).to_owned(), served: SERVED })
        }
    }
}

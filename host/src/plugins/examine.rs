//! A look at a file that somebody wants to be a plugin: all that can be said about it, where
//! loading stops at the first fault.

use std::time::Duration;

use wasmtime::component::Component;

use super::cache::Compiled;
use super::library::{Description, PluginSpec, Runtime};
use super::load_error::LoadErrorKind;
use super::survey;

/// All that can be seen of a file.
#[derive(Debug, Default)]
pub struct Examination {
    /// Bytes; none if it cannot be read.
    pub size: Option<usize>,
    /// How long it took to compile; none if it cannot be, or had been before.
    pub compiled_in: Option<Duration>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports, with versions.
    pub exports: Vec<String>,
    /// The world that it implements, with the version that it was built for.
    pub world: Option<String>,
    /// What it tells about itself; none if it cannot be asked.
    pub description: Option<Description>,
    /// Why it is refused, one line each; empty if it is a plugin.
    pub faults: Vec<String>,
}

/// Something that a component imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The interface with its version.
    pub name: String,
    /// Whether a plugin gets it.
    pub served: bool,
    /// What a plugin gets from it.
    pub note: &'static str,
}

impl Runtime {
    /// Says all that can be said about what `spec` names. Its settings are neither given nor
    /// checked.
    pub fn examine(&self, spec: &PluginSpec) -> Examination {
        let mut seen = Examination::default();
        let compiled = match self.see(spec, &mut seen) {
            Ok(compiled) => compiled,
            Err(fault) => {
                seen.faults.push(fault.to_string());
                return seen;
            }
        };
        self.look_inside(&compiled.component, &mut seen);
        if seen.faults.is_empty() {
            match self.inspect_component(spec, &compiled) {
                Ok(description) => seen.description = Some(description),
                Err(fault) => seen.faults.push(fault.to_string()),
            }
        }
        seen
    }

    /// From the file to a component.
    fn see(&self, spec: &PluginSpec, seen: &mut Examination) -> Result<Compiled, LoadErrorKind> {
        let bytes = spec.source.read()?;
        seen.size = Some(bytes.len());
        survey::check_bytes(&bytes)?;
        let compiled = self.compile(&bytes)?;
        seen.compiled_in = compiled.took;
        Ok(compiled)
    }

    /// What it imports and exports, and what of it does not do.
    fn look_inside(&self, component: &Component, seen: &mut Examination) {
        let kind = component.component_type();
        for (name, _) in kind.imports(self.engine()) {
            let fault = survey::check_import(name).err();
            seen.imports.push(Import {
                name: name.to_owned(),
                served: fault.is_none(),
                note: note(name),
            });
            seen.faults.extend(fault.map(|fault| fault.to_string()));
        }
        seen.exports = kind.exports(self.engine()).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<&str> = seen.exports.iter().map(String::as_str).collect();
        match survey::world(&exports) {
            Ok(world) => seen.world = Some(world),
            Err(faults) => seen.faults.extend(faults.iter().map(ToString::to_string)),
        }
    }
}

/// What a plugin gets from the interfaces, and from packages that end in a slash.
const NOTES: [(&str, &str); 15] = [
    ("callhook:plugin/types", "the words that events and requests are made of"),
    ("callhook:plugin/settings", "the plugin's section of the .ini"),
    ("callhook:plugin/directory", "the people of the CSV file in [directory]"),
    ("callhook:plugin/memory", "a small store per call"),
    ("callhook:plugin/log", "lines in the host's log"),
    ("wasi:cli/environment", "empty: there are no variables and no arguments"),
    ("wasi:cli/stdin", "empty"),
    ("wasi:cli/stdout", "kept, and shown when the plugin fails"),
    ("wasi:cli/stderr", "kept, and shown when the plugin fails"),
    ("wasi:cli/exit", "ends the call as a failure"),
    ("wasi:cli/", "there is no terminal"),
    ("wasi:clocks/", "the time"),
    ("wasi:filesystem/", "empty: there are no files"),
    ("wasi:io/", "streams, and waiting, which ends at the deadline"),
    ("wasi:random/", "random numbers"),
];

/// What a plugin gets from an interface.
fn note(import: &str) -> &'static str {
    let (interface, _) = import.split_once('@').unwrap_or((import, ""));
    let note = NOTES.iter().find(|(known, _)| {
        *known == interface || known.ends_with('/') && interface.starts_with(known)
    });
    note.map_or("", |(_, note)| note)
}

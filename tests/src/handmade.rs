//! Components whose code is written by hand in WebAssembly's text format, for what no compiler
//! makes.

use std::fs;
use std::path::{Path, PathBuf};

/// The component, with places for instructions.
const TEXT: &str = include_str!("../fixtures/handmade.wat");

/// A plugin that skips every event, but for what is put into its functions: instructions, as in
/// `(call $f)`. It imports `$log`, `$memory-get`, `$memory-set`, `$settings-all` and
/// `$directory-find`.
#[derive(Clone, Debug, Default)]
pub struct Handmade {
    /// More functions, globals and tables.
    pub more: String,
    /// When an instance is made.
    pub start: String,
    /// When it is asked who it is.
    pub describe: String,
    /// For each event.
    pub transform: String,
    /// When what it returned for an event was read.
    pub post_return: String,
    /// When the host wants memory for what it hands over.
    pub realloc: String,
    /// Pages of memory, and the most, as in `2 64`; 2 if it is empty.
    pub memory: String,
}

impl Handmade {
    /// The component.
    ///
    /// # Panics
    ///
    /// If the text is not WebAssembly.
    pub fn component(&self) -> Vec<u8> {
        let memory = if self.memory.is_empty() { "2" } else { &self.memory };
        let places = [
            ("{more}", self.more.as_str()),
            ("{start}", &self.start),
            ("{describe}", &self.describe),
            ("{transform}", &self.transform),
            ("{post_return}", &self.post_return),
            ("{realloc}", &self.realloc),
            ("{memory}", memory),
        ];
        let fill = |text: String, (place, code): (&str, &str)| text.replace(place, code);
        let text = places.into_iter().fold(TEXT.to_owned(), fill);
        wat::parse_str(text).expect("the text is WebAssembly")
    }

    /// The component as a file in this folder.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.wasm"));
        fs::write(&path, self.component()).expect("the component is written");
        path
    }
}

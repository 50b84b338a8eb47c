//! What the host offers, the same in a component and in a native test, where
//! [`testing`](crate::testing) stands in for it.

#[cfg(target_arch = "wasm32")]
use crate::bindings::plugin::callhook::plugin as raw;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host as raw;

/// The plugin's own section of the .ini.
pub mod settings {
    use super::raw;
    use crate::{Failure, Field};

    /// The value of a setting, or its default.
    pub fn get(name: &str) -> Option<String> {
        raw::settings::get(name)
    }

    /// All settings: in the order of the file, then those that have their default.
    pub fn all() -> Vec<Field> {
        raw::settings::all()
    }

    /// The value of a setting that has to be there and not empty.
    pub fn required(name: &str) -> Result<String, Failure> {
        get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Failure::BadSettings(format!("`{name}` is missing")))
    }

    /// Whether a setting says yes, in any of the spellings that the .ini takes. Missing or empty
    /// is no.
    pub fn yes(name: &str) -> Result<bool, Failure> {
        let value = get(name).unwrap_or_default();
        match value.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => Ok(true),
            "" | "no" | "false" | "0" => Ok(false),
            _ => Err(Failure::BadSettings(format!("`{name}` is neither yes nor no"))),
        }
    }
}

/// The people of the company, from the CSV file in the .ini's `[directory]`.
pub mod directory {
    use super::raw;
    pub use crate::bindings::plugin::callhook::plugin::directory::Person;

    /// The line of an extension.
    pub fn find(extension: &str) -> Option<Person> {
        raw::directory::find(extension)
    }

    /// The first line with this value in this column.
    pub fn find_by(column: &str, value: &str) -> Option<Person> {
        raw::directory::find_by(column, value)
    }

    impl Person {
        /// What stands in one of the free columns, such as the user's id in the CRM.
        pub fn column(&self, name: &str) -> Option<&str> {
            self.columns.iter().find(|field| field.name == name).map(|field| field.value.as_str())
        }
    }
}

/// What one event of a call learns and a later one needs.
pub mod memory {
    use super::raw;

    /// What was remembered under this key.
    pub fn get(key: &str) -> Option<Vec<u8>> {
        raw::memory::get(key)
    }

    /// The same, as text.
    pub fn get_text(key: &str) -> Option<String> {
        get(key).and_then(|value| String::from_utf8(value).ok())
    }

    /// Remembers something for this call.
    pub fn set(key: &str, value: impl AsRef<[u8]>) {
        raw::memory::set(key, value.as_ref());
    }

    /// Forgets it.
    pub fn remove(key: &str) {
        raw::memory::remove(key);
    }
}

/// Lines for the operator.
pub mod log {
    use super::raw;
    pub use crate::bindings::plugin::callhook::plugin::log::Level;

    /// For whoever looks into a single call.
    pub fn debug(message: impl AsRef<str>) {
        raw::log::write(Level::Debug, message.as_ref());
    }

    /// Worth knowing.
    pub fn info(message: impl AsRef<str>) {
        raw::log::write(Level::Info, message.as_ref());
    }

    /// Not as it should be.
    pub fn warn(message: impl AsRef<str>) {
        raw::log::write(Level::Warn, message.as_ref());
    }

    /// Somebody must act.
    pub fn error(message: impl AsRef<str>) {
        raw::log::write(Level::Error, message.as_ref());
    }
}

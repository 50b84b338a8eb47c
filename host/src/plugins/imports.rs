//! What a plugin may ask of the host: its settings, the directory, its memory, and a line in the
//! log.
//!
//! None of it can block or reach anything outside of the process.

use super::bindings::{directory, log, memory, settings, types};
use super::directory::Person;
use super::redact::one_line;
use super::store::State;

/// Lines of log per call; see `wit/log.wit`.
const MAX_LINES: u32 = 100;

/// Bytes per line of log.
const MAX_LINE: usize = 2_048;

/// How much a plugin has written during one call.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    lines: u32,
    /// Lines that were left out.
    pub(super) dropped: u32,
}

impl types::Host for State {}

impl settings::Host for State {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let mut settings = self.environment.settings.iter();
        Ok(settings.find(|(key, _)| *key == name).map(|(_, value)| value.clone()))
    }

    fn all(&mut self) -> wasmtime::Result<Vec<types::Field>> {
        Ok(fields(&self.environment.settings))
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        if self.log.lines == MAX_LINES {
            self.log.dropped += 1;
            return Ok(());
        }
        self.log.lines += 1;
        let message = one_line(&self.environment.secrets.hide(&message), MAX_LINE);
        if let Some(rehearsal) = &self.environment.rehearsal {
            // Who watches shows it.
            rehearsal.log(level, &message);
            return Ok(());
        }
        let (plugin, event) = (self.environment.plugin.as_str(), self.event.as_str());
        match level {
            log::Level::Debug => tracing::debug!(plugin, event, "{message}"),
            log::Level::Info => tracing::info!(plugin, event, "{message}"),
            log::Level::Warn => tracing::warn!(plugin, event, "{message}"),
            log::Level::Error => tracing::error!(plugin, event, "{message}"),
        }
        Ok(())
    }
}

impl directory::Host for State {
    fn find(&mut self, extension: String) -> wasmtime::Result<Option<directory::Person>> {
        Ok(self.environment.directory.find(&extension).map(Into::into))
    }

    fn find_by(
        &mut self,
        column: String,
        value: String,
    ) -> wasmtime::Result<Option<directory::Person>> {
        Ok(self.environment.directory.find_by(&column, &value).map(Into::into))
    }
}

impl From<&Person> for directory::Person {
    fn from(person: &Person) -> Self {
        Self {
            extension: person.extension.clone(),
            name: person.name.clone(),
            email: person.email.clone(),
            columns: fields(&person.columns),
        }
    }
}

fn fields(pairs: &[(String, String)]) -> Vec<types::Field> {
    let field = |(name, value): &(String, String)| types::Field {
        name: name.clone(),
        value: value.clone(),
    };
    pairs.iter().map(field).collect()
}

impl memory::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.memory.get(&key).map(<[u8]>::to_vec))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<()> {
        Ok(self.memory.set(key, value)?)
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        self.memory.remove(&key);
        Ok(())
    }
}

//! A host for unit tests, which run natively: it has what the test gives it.
//!
//! Each test thread has its own. Not there in a component.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::directory::Person;
use crate::log::Level;
use crate::{Field, HttpRequest};

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What a plugin finds when it asks the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    settings: Vec<Field>,
    people: Vec<Person>,
    memory: BTreeMap<String, Vec<u8>>,
    lines: Vec<(Level, String)>,
}

impl Host {
    /// One that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this setting in the plugin's section of the .ini. Defaults are not filled in.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(field((name, value)));
        self
    }

    /// With this line in the directory: an extension, and free columns.
    #[must_use]
    pub fn person<'a>(
        mut self,
        extension: &str,
        columns: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        self.people.push(Person {
            extension: extension.to_owned(),
            name: None,
            email: None,
            columns: columns.into_iter().map(field).collect(),
        });
        self
    }

    /// Makes it this thread's host, in the place of the one before.
    pub fn install(self) {
        HOST.set(self);
    }

    /// What this thread's plugin has logged.
    pub fn log() -> Vec<(Level, String)> {
        HOST.with_borrow(|host| host.lines.clone())
    }
}

/// The draft that a plugin gets for an endpoint with this `url`.
pub fn draft(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        tag: None,
        state: Vec::new(),
        delay_ms: 0,
        extra: [("endpoint", "webhook"), ("dialect", "classic")].map(field).to_vec(),
    }
}

fn field((name, value): (&str, &str)) -> Field {
    Field { name: name.to_owned(), value: value.to_owned() }
}

/// The imports as the plugin calls them.
pub(crate) mod host {
    pub(crate) mod settings {
        use crate::Field;
        use crate::testing::HOST;

        pub(crate) fn get(name: &str) -> Option<String> {
            all().into_iter().find(|field| field.name == name).map(|field| field.value)
        }

        pub(crate) fn all() -> Vec<Field> {
            HOST.with_borrow(|host| host.settings.clone())
        }
    }

    pub(crate) mod directory {
        use crate::directory::Person;
        use crate::testing::HOST;

        pub(crate) fn find(extension: &str) -> Option<Person> {
            find_by("extension", extension)
        }

        pub(crate) fn find_by(column: &str, value: &str) -> Option<Person> {
            let found = |person: &&Person| match column {
                "extension" => person.extension == value,
                _ => person.column(column) == Some(value),
            };
            HOST.with_borrow(|host| host.people.iter().find(found).cloned())
        }
    }

    pub(crate) mod memory {
        use crate::testing::HOST;

        pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
            HOST.with_borrow(|host| host.memory.get(key).cloned())
        }

        pub(crate) fn set(key: &str, value: &[u8]) {
            HOST.with_borrow_mut(|host| host.memory.insert(key.to_owned(), value.to_owned()));
        }

        pub(crate) fn remove(key: &str) {
            HOST.with_borrow_mut(|host| host.memory.remove(key));
        }
    }

    pub(crate) mod log {
        use crate::log::Level;
        use crate::testing::HOST;

        pub(crate) fn write(level: Level, message: &str) {
            HOST.with_borrow_mut(|host| host.lines.push((level, message.to_owned())));
        }
    }
}

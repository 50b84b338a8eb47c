//! What settings may depend on beside their own text: the environment, other files, the machine's
//! time zone. An argument, so that tests decide what is there.

use std::fs;
use std::io;
use std::path::Path;

use jiff::tz::TimeZone;

/// What a .ini may refer to.
pub trait Surroundings {
    /// The environment variable `name`.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether there is a file of that name.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether every user of the machine may read the file.
    fn readable_by_all(&self, path: &Path) -> bool;

    /// The time zone of the machine, where it is known.
    fn time_zone(&self) -> Option<TimeZone>;
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Surroundings for Machine {
    fn var(&self, name: &str) -> Option<String> {
        // `std::env::var` panics on no name; these two are what a name cannot contain.
        let possible = !name.is_empty() && !name.contains(['=', '\0']);
        possible.then(|| std::env::var(name).ok()).flatten()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    #[cfg(unix)]
    fn readable_by_all(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
    }

    #[cfg(not(unix))]
    fn readable_by_all(&self, _path: &Path) -> bool {
        false
    }

    fn time_zone(&self) -> Option<TimeZone> {
        TimeZone::try_system().ok()
    }
}

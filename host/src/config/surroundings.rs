//! What settings may depend on beside their own text: the environment, other files, the machine's
//! time zone. An argument, so that tests decide what is there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use jiff::tz::TimeZone;

/// No file of settings is larger; devices such as `/dev/zero` never end.
const LARGEST: u64 = 16 << 20;

/// What a .ini may refer to.
pub trait Surroundings {
    /// The environment variable `name`.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether there is a file of that name.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether there is a folder of that name.
    fn is_folder(&self, path: &Path) -> bool;

    /// Whether every user of the machine may read the file.
    fn readable_by_all(&self, path: &Path) -> bool;

    /// The time zone of the machine, where it is known.
    fn time_zone(&self) -> Option<TimeZone>;
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

/// All of a file of settings, which may be a pipe; fails if it is too large to be one.
pub(crate) fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let text = format!("it is larger than {} MiB, as no settings are", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

impl Surroundings for Machine {
    fn var(&self, name: &str) -> Option<String> {
        // `std::env::var` panics on no name; these two are what a name cannot contain.
        let possible = !name.is_empty() && !name.contains(['=', '\0']);
        possible.then(|| std::env::var(name).ok()).flatten()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let not_utf8 = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        String::from_utf8(read_text(path)?).map_err(not_utf8)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
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

//! Whether an outbox can be at a path, found out without making, opening or changing anything.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use super::file::{beside, folder_of, is_mark};
use super::schema::APPLICATION;

/// What every database of SQLite begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// So long is what describes it.
const HEADER_LENGTH: usize = 100;

/// Fails if the service could not keep its outbox at `path`, as far as that is seen from outside.
/// A file whose header is damaged passes if an outbox was there: that is repaired at the start.
pub fn may_be_at(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(format!("{shown} is no folder; name a file in one")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!(
                "the folder {shown} does not exist; create it for the service's user"
            ));
        }
        Err(error) => return Err(format!("the folder {shown} cannot be looked into: {error}")),
    }
    let shown = path.display();
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    if found.is_dir() {
        return Err(format!("{shown} is a folder; name a file in it"));
    }
    if !found.is_file() {
        return Err(format!("{shown} is no file; name another"));
    }
    let begins = beginning(path, HEADER_LENGTH);
    let begins = begins.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if begins.is_empty() || was_there(path) {
        return Ok(());
    }
    if !begins.starts_with(HEADER) {
        return Err(format!("{shown} is no SQLite database; name another file"));
    }
    // Its name for programs, and whether it ever had a table.
    let number = |at| begins.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let (application, tables) = (number(68).map(i32::from_be_bytes), number(40));
    let ours = application.is_none_or(|it| i64::from(it) == APPLICATION)
        || application == Some(0) && tables == Some([0; 4]);
    if ours {
        return Ok(());
    }
    Err(format!("{shown} is the database of another program; name another file"))
}

fn was_there(path: &Path) -> bool {
    beginning(&beside(path, ".lock"), 64).is_ok_and(|mark| is_mark(&mark))
}

fn beginning(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

//! Damage that SQLite takes for something else.
//!
//! A flipped bit in the header can look like a stranger's or a newer file; one in the log like the
//! end of the log, behind which confirmed transactions would silently be gone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::file::beside;
use super::image::{FRAME_HEADER, LOG_HEADER, PAGE, add, salt};
use super::record::long;

/// What is wrong with the outbox at `path`, which nobody has open, if anything.
pub(in super::super) fn symptom(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let log = File::open(beside(path, "-wal")).ok();
    let log = log.filter(|log| log.metadata().is_ok_and(|log| log.len() > LOG_HEADER as u64));
    match &log {
        Some(log) if gap(log) => Some("there is a gap in its log".to_owned()),
        // What is in the log may be missing in the file.
        Some(_) => None,
        None => header(&file).map(str::to_owned),
    }
}

/// Whether the file at `path`, which could not be opened, has a header that no outbox has.
pub(in super::super) fn header_is_wrong(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| header(&file).is_some())
}

fn header(file: &File) -> Option<&'static str> {
    let mut head = [0; 100];
    if file.read_exact_at(&mut head, 0).is_err() {
        return Some("it has no header");
    }
    let expected: [(usize, &[u8]); 4] = [
        (0, b"SQLite format 3\0"),
        (16, &[16, 0, 2, 2, 0, 64, 32, 32]),
        (56, &[0, 0, 0, 1]),
        (68, b"call"),
    ];
    for (place, bytes) in expected {
        if head.get(place..place + bytes.len()) != Some(bytes) {
            return Some("its header is not an outbox's");
        }
    }
    let pages = u64::from(long(&head, 28).unwrap_or(0));
    let length = file.metadata().map_or(0, |file| file.len());
    (pages * PAGE as u64 > length).then_some("its end is missing")
}

/// Whether whole transactions lie behind the place where the log ends by its sums. Those that
/// follow another one were begun when that was on disk, so this is no crash.
fn gap(log: &File) -> bool {
    let mut head = [0; LOG_HEADER];
    if log.read_exact_at(&mut head, 0).is_err() {
        return false;
    }
    let (Some(head_sum), Some(salt)) = (head.get(..24), salt(log)) else { return false };
    let little = head.get(3) == Some(&0x82);
    let mut running = add((0, 0), head_sum, little);
    let mut whole = (long(&head, 24), long(&head, 28)) == (Some(running.0), Some(running.1));
    let mut commits_behind = 0;
    let mut frame = [0; FRAME_HEADER + PAGE];
    let mut place = LOG_HEADER as u64;
    while log.read_exact_at(&mut frame, place).is_ok() {
        place += frame.len() as u64;
        if whole {
            let (first, page) = (frame.get(..8), frame.get(FRAME_HEADER..));
            let (Some(first), Some(page)) = (first, page) else { return false };
            let next = add(add(running, first, little), page, little);
            let sums = (long(&frame, 16), long(&frame, 20));
            whole = frame.get(8..16) == Some(&salt[..]) && sums == (Some(next.0), Some(next.1));
            running = next;
        }
        if !whole && frame.get(8..16) == Some(&salt[..]) {
            commits_behind += u32::from(long(&frame, 4).is_some_and(|size| size > 0));
        }
    }
    commits_behind > 1
}

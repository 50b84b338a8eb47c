//! The pages of a damaged file, with its log on top.
//!
//! The layout is that of <https://www.sqlite.org/fileformat2.html>.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::file::beside;
use super::record::{self, Cell};
use super::rows::Rows;

/// All our files have pages of this size.
pub(super) const PAGE: usize = 4_096;

/// A log begins with a header, and each page in it with one of its own.
pub(super) const LOG_HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;

/// One page of the map says of so many pages behind it what they are.
const MAPPED: u32 = 819;

/// What a page is, going by the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    Map,
    Overflow,
    Tree,
    /// The map does not know.
    Unknown,
}

/// A damaged file.
pub(super) struct Image {
    file: File,
    log: Option<File>,
    /// Where in the log the last version of a page is.
    newer: HashMap<u32, u64>,
    pages: u32,
    /// The page of the map that was read last, and its number.
    map: (u32, Box<[u8; PAGE]>),
    leaves: u64,
    unreadable: u64,
}

impl Image {
    /// Opens the file at `path` with the log beside it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let log = File::open(beside(path, "-wal")).ok();
        let newer = log.as_ref().map(committed).unwrap_or_default();
        let size = file.metadata()?.len().div_ceil(PAGE as u64);
        let last = newer.keys().max().copied().unwrap_or(0);
        let pages = u32::try_from(size).unwrap_or(u32::MAX).max(last);
        let map = (0, Box::new([0; PAGE]));
        Ok(Self { file, log, newer, pages, map, leaves: 0, unreadable: 0 })
    }

    /// The number of the last page.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// So many leaves of tables were read.
    pub(super) fn leaves(&self) -> u64 {
        self.leaves
    }

    /// So many pages that belong to a tree are none.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// A page; zeros where nothing can be read.
    pub(super) fn page(&self, number: u32) -> Box<[u8; PAGE]> {
        let mut page = Box::new([0; PAGE]);
        let place = u64::from(number.saturating_sub(1)) * PAGE as u64;
        let (file, place) = match (self.newer.get(&number), &self.log) {
            (Some(place), Some(log)) => (log, *place),
            _ => (&self.file, place),
        };
        // What is missing at the end stays zero.
        let mut done = 0;
        while let Some(rest) = page.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, place + done as u64) {
                Ok(0) | Err(_) => break,
                Ok(read) => done += read,
            }
        }
        page
    }

    /// What the map says of a page.
    pub(super) fn kind(&mut self, number: u32) -> Kind {
        let map = (number - 2) / (MAPPED + 1) * (MAPPED + 1) + 2;
        if map == number {
            return Kind::Map;
        }
        if self.map.0 != map {
            self.map = (map, self.page(map));
        }
        let entry = (number - map - 1) as usize * 5;
        match self.map.1.get(entry) {
            Some(1 | 5) => Kind::Tree,
            Some(2) => Kind::Free,
            Some(3 | 4) => Kind::Overflow,
            _ => Kind::Unknown,
        }
    }

    /// Hands the rows on a page, if it is a leaf of a table, to `rows`.
    pub(super) fn leaf(&mut self, number: u32, rows: &mut Rows<'_>) -> rusqlite::Result<()> {
        let page = self.page(number);
        match page.first() {
            Some(13) => {}
            Some(2 | 5 | 10) => return Ok(()),
            _ => {
                self.unreadable += u64::from(self.kind(number) == Kind::Tree);
                return Ok(());
            }
        }
        self.leaves += 1;
        let cells = usize::from(record::short(&page[..], 3).unwrap_or(0));
        for cell in 0..cells.min(PAGE / 2) {
            let Some(start) = record::short(&page[..], 8 + 2 * cell) else { break };
            let found = self.row(&page[..], usize::from(start));
            match found {
                Some((rowid, cells)) => rows.take(rowid, cells)?,
                None => rows.lose(),
            }
        }
        Ok(())
    }

    /// The row that begins at `start` of a page.
    fn row(&self, page: &[u8], start: usize) -> Option<(i64, Vec<Cell>)> {
        let (size, start) = record::varint(page, start)?;
        let (rowid, start) = record::varint(page, start)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= record::LARGEST)?;
        let local = record::local(size);
        let mut payload = page.get(start..start.checked_add(local)?)?.to_vec();
        let mut next = if local < size { record::long(page, start + local)? } else { 0 };
        while payload.len() < size {
            if next < 2 || next > self.pages {
                return None;
            }
            let more = self.page(next);
            next = record::long(&more[..], 0)?;
            let left = (size - payload.len()).min(PAGE - 4);
            payload.extend_from_slice(more.get(4..4 + left)?);
        }
        Some((rowid, record::cells(&payload)?))
    }
}

/// Where the last version of each page is in the log, as far as it was committed.
///
/// The log's own sums run from its beginning, so SQLite reads no further than the first bit that
/// flipped. Here the rows tell for themselves whether they are whole.
fn committed(log: &File) -> HashMap<u32, u64> {
    let mut newer = HashMap::new();
    let mut pending = Vec::new();
    let Some(salt) = salt(log) else { return newer };
    let frame = (FRAME_HEADER + PAGE) as u64;
    let length = log.metadata().map_or(0, |log| log.len());
    let mut place = LOG_HEADER as u64;
    while place + frame <= length {
        let mut head = [0; 24];
        if log.read_exact_at(&mut head, place).is_err() {
            break;
        }
        if head.get(8..16) == Some(&salt[..]) {
            let page = record::long(&head, 0).unwrap_or(0);
            pending.push((page, place + FRAME_HEADER as u64));
            if record::long(&head, 4).is_some_and(|size| size > 0) {
                newer.extend(pending.drain(..).filter(|(page, _)| (1..1 << 28).contains(page)));
            }
        }
        place += frame;
    }
    newer
}

/// What marks the pages of a log that belong to it, and not to an earlier one in the same file.
pub(super) fn salt(log: &File) -> Option<[u8; 8]> {
    let mut head = [0; LOG_HEADER];
    log.read_exact_at(&mut head, 0).ok()?;
    let sums = (record::long(&head, 24), record::long(&head, 28));
    let right = add((0, 0), head.get(..24)?, head.get(3) == Some(&0x82));
    let mut salt = [0; 8];
    let whole = sums == (Some(right.0), Some(right.1));
    // If the header is damaged, the first page tells.
    log.read_exact_at(&mut salt, if whole { 16 } else { LOG_HEADER as u64 + 8 }).ok()?;
    Some(salt)
}

/// SQLite's sum of a log, over eight bytes at a time.
pub(super) fn add(mut sum: (u32, u32), bytes: &[u8], little: bool) -> (u32, u32) {
    for eight in bytes.chunks_exact(8) {
        let word = |at: usize| {
            let word = record::long(eight, at).unwrap_or(0);
            if little { word.swap_bytes() } else { word }
        };
        sum.0 = sum.0.wrapping_add(word(0)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(4)).wrapping_add(sum.0);
    }
    sum
}

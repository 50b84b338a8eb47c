//! SQLite's way to write a row, read without trust.

pub(super) use rusqlite::types::Value as Cell;

use super::image::PAGE;

/// No row of ours is larger than this.
pub(super) const LARGEST: usize = 256 << 20;

/// No table of ours has more columns.
const COLUMNS: usize = 64;

/// Two bytes.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Four bytes.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// A number of one to nine bytes, and where it ends.
pub(super) fn varint(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for count in 0..8 {
        let byte = *bytes.get(at.checked_add(count)?)?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((value.cast_signed(), at + count + 1));
        }
    }
    let byte = *bytes.get(at + 8)?;
    Some(((value << 8 | u64::from(byte)).cast_signed(), at + 9))
}

/// So much of a row of this size is on the leaf itself.
pub(super) fn local(size: usize) -> usize {
    let most = PAGE - 35;
    if size <= most {
        return size;
    }
    let least = (PAGE - 12) * 32 / 255 - 23;
    let wanted = least + (size - least) % (PAGE - 4);
    if wanted <= most { wanted } else { least }
}

/// The values of a row; nothing if it is not well formed.
pub(super) fn cells(payload: &[u8]) -> Option<Vec<Cell>> {
    let (head, mut kind) = varint(payload, 0)?;
    let head = usize::try_from(head).ok()?;
    let mut place = head;
    let mut cells = Vec::new();
    while kind < head && cells.len() < COLUMNS {
        let (code, next) = varint(payload, kind)?;
        let (cell, end) = cell(payload, code, place)?;
        cells.push(cell);
        (kind, place) = (next, end);
    }
    (kind == head && place == payload.len()).then_some(cells)
}

fn cell(payload: &[u8], code: i64, place: usize) -> Option<(Cell, usize)> {
    let size = match code {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(code).ok()?,
        5 => 6,
        6 => 8,
        12.. => usize::try_from((code - 12) / 2).ok()?,
        _ => return None,
    };
    let end = place.checked_add(size)?;
    let bytes = payload.get(place..end)?;
    let cell = match code {
        0 => Cell::Null,
        8 | 9 => Cell::Integer(code - 8),
        1..=6 => {
            let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
            let start = if negative { -1 } else { 0 };
            Cell::Integer(bytes.iter().fold(start, |value, byte| value << 8 | i64::from(*byte)))
        }
        _ if code % 2 == 0 => Cell::Blob(bytes.to_vec()),
        // What must not have changed has a sum, and a state that makes no sense is mended.
        _ => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
    };
    Some((cell, end))
}

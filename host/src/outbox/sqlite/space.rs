//! How much room the disk leaves, and what gives way to what.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::outbox::Pressure;

/// With less than a tenth of the disk left, and less than this, extras give way.
const EXTRAS: u64 = 512 << 20;

/// With less than a twentieth left, and less than this, pop-ups give way too.
const POPUPS: u64 = 128 << 20;

/// So long after a commit failed for lack of space, what gave way then is not taken again.
const CAUTION: Duration = Duration::from_secs(2);

/// What is known of the disk.
#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    /// What it took, and when, the last time that commits failed for lack of space.
    failed: Option<(Pressure, Instant)>,
}

impl Space {
    /// Of the disk that the file at `path` lies on.
    pub(super) fn new(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { folder, failed: None }
    }

    /// A commit failed for lack of space while this gave way. What gives way now.
    pub(super) fn failed_at(&mut self, pressure: Pressure) -> Pressure {
        let next = match pressure {
            Pressure::None => Pressure::Extras,
            Pressure::Extras => Pressure::Popups,
            Pressure::Popups | Pressure::Full => Pressure::Full,
        };
        self.failed = Some((next, Instant::now()));
        next
    }

    /// The room that is left in bytes, if it can be told, and what gives way. `writable` says that
    /// the last commit succeeded.
    pub(super) fn look(&mut self, writable: bool) -> (Option<u64>, Pressure) {
        let room = rustix::fs::statvfs(&self.folder).ok();
        let free = room.as_ref().map(|room| room.f_bavail.saturating_mul(room.f_frsize));
        let by_room = room.map_or(Pressure::None, |room| {
            let total = room.f_blocks.saturating_mul(room.f_frsize);
            judge(free.unwrap_or(u64::MAX), total)
        });
        let by_failure = match self.failed {
            Some((pressure, _)) if !writable => pressure,
            Some((pressure, at)) if at.elapsed() < CAUTION => pressure.min(Pressure::Popups),
            _ => {
                self.failed = None;
                Pressure::None
            }
        };
        (free, by_room.max(by_failure))
    }
}

fn judge(free: u64, total: u64) -> Pressure {
    if free < POPUPS.min(total / 20) {
        Pressure::Popups
    } else if free < EXTRAS.min(total / 10) {
        Pressure::Extras
    } else {
        Pressure::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_give_way_first_on_disks_of_any_size() {
        for (total, nearly, hardly) in
            [(64_u64 << 20, 5_u64 << 20, 3_u64 << 20), (1 << 40, 500 << 20, 100 << 20)]
        {
            assert_eq!(judge(total / 2, total), Pressure::None);
            assert_eq!(judge(nearly, total), Pressure::Extras);
            assert_eq!(judge(hardly, total), Pressure::Popups);
        }
    }
}

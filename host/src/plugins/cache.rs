//! The folder in which compiled plugins are kept, so that the next start does not compile again.
//!
//! Nothing depends on it. What is not there, or not to be trusted, is compiled; what cannot be
//! written is left out, with one warning. Only this user may be able to write what is read here,
//! because it is run: the folder and its files belong to us and are closed to others, and
//! [`super::artefact`] checks every byte.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::OFlags;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::artefact::{self, Fingerprint, Key};
use super::engine;

/// What others may not do with our files: write them.
const WRITABLE: u32 = 0o022;

/// How an artefact's name ends.
const ENDING: &str = "artefact";

/// What was not used for this long is removed.
const KEPT_FOR: Duration = Duration::from_hours(24 * 30);

/// So many artefacts are kept, and so many bytes: those of a dozen interpreters.
const KEPT: usize = 64;
const KEPT_BYTES: u64 = 512 << 20;

/// Compiled plugins.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// `None`: nothing is kept.
    folder: Option<PathBuf>,
    /// The operator knows that nothing can be written.
    warned: AtomicBool,
}

/// A component that is ready to be linked.
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) fingerprint: Fingerprint,
    /// How long it took to compile; `None` if it was in the cache.
    pub(super) took: Option<Duration>,
}

impl Cache {
    /// Keeps artefacts in this folder, which is made if it is not there.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::of(folder, prepare(folder))
    }

    /// Keeps artefacts in callhook's own folder among the caches of this user.
    pub(super) fn among(caches: &Path) -> Self {
        let folder = caches.join("callhook");
        let there = if caches.exists() { Ok(()) } else { prepare(caches) };
        let prepared = there.and_then(|()| prepare(&folder));
        Self::of(&folder, prepared)
    }

    fn of(folder: &Path, prepared: io::Result<()>) -> Self {
        match prepared {
            Ok(()) => Self { folder: Some(folder.to_owned()), ..Self::default() },
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "Compiled plugins cannot be kept.");
                Self::default()
            }
        }
    }

    /// Compiles a component, unless that was done before.
    pub(super) fn compile(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Compiled> {
        let fingerprint = Fingerprint::of(bytes);
        let key = Key::of(engine, fingerprint);
        if let Some(component) = self.find(engine, key) {
            return Ok(Compiled { component, fingerprint, took: None });
        }
        let started = Instant::now();
        let component = engine::compile(engine, bytes)?;
        let took = Some(started.elapsed());
        self.keep(key, &component);
        Ok(Compiled { component, fingerprint, took })
    }

    fn find(&self, engine: &Engine, key: Key) -> Option<Component> {
        let path = path(self.folder.as_ref()?, key);
        let artefact = match read(&path) {
            Ok(artefact) => artefact,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let artefact = path.display();
                tracing::warn!(%artefact, %error, "A compiled plugin is not used, but made anew.");
                return None;
            }
        };
        let component = artefact::open(engine, key, &artefact);
        if component.is_none() {
            let artefact = path.display();
            tracing::warn!(%artefact, "A compiled plugin is damaged and is made anew.");
        }
        component
    }

    fn keep(&self, key: Key, component: &Component) {
        let Some(folder) = &self.folder else { return };
        let kept = artefact::seal(key, component)
            .map_err(io::Error::other)
            .and_then(|artefact| write(folder, key, &artefact))
            .and_then(|()| tidy(folder));
        if let Err(error) = kept
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "Compiled plugins cannot be kept.");
        }
    }
}

fn path(folder: &Path, key: Key) -> PathBuf {
    folder.join(format!("{key}.{ENDING}"))
}

/// Makes the folder, or makes sure that it is ours and closed to others.
fn prepare(folder: &Path) -> io::Result<()> {
    // A folder that root made could not be used by the service, which seldom runs as root.
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
    let parent = fs::metadata(parent.unwrap_or(Path::new(".")))?;
    if !folder.exists() && rustix::process::geteuid().is_root() && parent.uid() != 0 {
        return Err(io::Error::other("the folder is for its owner to make, and this is root"));
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() {
        return Err(io::Error::other("this is no folder"));
    }
    ours(&found)?;
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn ours(found: &Metadata) -> io::Result<()> {
    let us = rustix::process::geteuid().as_raw();
    if found.uid() == us {
        return Ok(());
    }
    Err(io::Error::other(format!("it belongs to user {}, not to {us}", found.uid())))
}

/// The contents of a file that nobody else could write.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Neither a link nor something to wait for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    // What is checked is the open file; another one may come in its place meanwhile.
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("this is no file"));
    }
    ours(&found)?;
    if found.mode() & WRITABLE != 0 {
        return Err(io::Error::other("others can write it"));
    }
    let mut artefact = Vec::new();
    file.read_to_end(&mut artefact)?;
    // For `tidy`: it is in use. A disk that cannot be written is none of its business.
    let _ = file.set_modified(SystemTime::now());
    Ok(artefact)
}

/// The name appears when the file is whole. Whether it survives a crash does not matter.
fn write(folder: &Path, key: Key, artefact: &[u8]) -> io::Result<()> {
    // Only its owner may read or write a temporary file.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(artefact)?;
    file.persist(path(folder, key))?;
    Ok(())
}

/// Removes what was not used for long, and the oldest while there is too much.
fn tidy(folder: &Path) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another process may tidy at the same time.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            found.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    let (mut count, mut bytes) = (0, 0);
    for (used, size, path) in found {
        count += 1;
        bytes += size;
        // A clock that was put back makes no file older.
        let age = used.elapsed().unwrap_or_default();
        if count > KEPT || bytes > KEPT_BYTES || age > KEPT_FOR {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

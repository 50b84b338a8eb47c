//! What is kept, what is taken, and what is made anew.

use std::fs::File;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

/// A folder for artefacts, and something to compile.
struct Bench {
    parent: TempDir,
    engine: Engine,
    component: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let component = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        Self { parent: TempDir::new().unwrap(), engine: Engine::default(), component }
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("callhook.db.plugins")
    }

    /// Compiles in a new process, as far as the cache can tell, and says whether it had to.
    fn compiles(&self) -> bool {
        let cache = Cache::in_folder(&self.folder());
        cache.compile(&self.engine, &self.component).unwrap().took.is_some()
    }

    fn artefacts(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// The one artefact that there is.
    fn artefact(&self) -> PathBuf {
        let [path] = self.artefacts().try_into().expect("there is one artefact");
        path
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_was_compiled_once_is_not_compiled_again_and_is_private() {
    let bench = Bench::new();
    assert!(bench.compiles());
    assert!(!bench.compiles());
    assert_eq!((mode(&bench.folder()), mode(&bench.artefact())), (0o700, 0o600));
}

#[test]
fn another_component_and_another_engine_have_artefacts_of_their_own() {
    let mut bench = Bench::new();
    assert!(bench.compiles());
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    bench.engine = Engine::new(&config).unwrap();
    assert!(bench.compiles());
    bench.component = wat::parse_str("(component)").unwrap();
    assert!(bench.compiles());
    assert!(!bench.compiles());
    assert_eq!(bench.artefacts().len(), 3);
}

#[test]
fn damaged_artefacts_are_made_anew() {
    let bench = Bench::new();
    bench.compiles();
    let whole = fs::read(bench.artefact()).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&whole[..whole.len() / 2], &flipped, &[], b"\x7fELF"] {
        fs::write(bench.artefact(), damaged).unwrap();
        assert!(bench.compiles());
        assert_eq!(fs::read(bench.artefact()).unwrap().len(), whole.len());
        assert!(!bench.compiles());
    }
}

#[test]
fn an_artefact_under_the_name_of_another_is_made_anew() {
    let mut bench = Bench::new();
    bench.compiles();
    let first = bench.artefact();
    bench.component = wat::parse_str("(component)").unwrap();
    bench.compiles();
    let second = bench.artefacts().into_iter().find(|path| *path != first).unwrap();
    fs::copy(first, second).unwrap();
    assert!(bench.compiles());
    assert!(!bench.compiles());
}

#[test]
fn what_others_can_write_is_never_taken() {
    let bench = Bench::new();
    bench.compiles();
    for open in [0o620, 0o602, 0o666] {
        set_mode(&bench.artefact(), open);
        assert!(bench.compiles(), "{open:o}");
        assert_eq!(mode(&bench.artefact()), 0o600);
    }
    // A link leads to what somebody else may change.
    let elsewhere = bench.parent.path().join("elsewhere");
    fs::rename(bench.artefact(), &elsewhere).unwrap();
    let name = Key::of(&bench.engine, Fingerprint::of(&bench.component));
    symlink(&elsewhere, path(&bench.folder(), name)).unwrap();
    assert!(bench.compiles());
    assert!(fs::symlink_metadata(bench.artefact()).unwrap().is_file());
    assert!(!bench.compiles());
}

#[test]
fn a_folder_that_others_may_enter_is_closed() {
    let bench = Bench::new();
    bench.compiles();
    set_mode(&bench.folder(), 0o777);
    assert!(!bench.compiles());
    assert_eq!(mode(&bench.folder()), 0o700);
}

/// Only root can give files away.
#[test]
fn what_belongs_to_somebody_else_is_never_taken() {
    let bench = Bench::new();
    bench.compiles();
    if std::os::unix::fs::chown(bench.artefact(), Some(1), None).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    assert!(bench.compiles());
    assert!(!bench.compiles());
    // In a folder of somebody else nothing is read and nothing is written.
    std::os::unix::fs::chown(bench.folder(), Some(1), None).unwrap();
    let before = fs::metadata(bench.artefact()).unwrap().modified().unwrap();
    assert!(bench.compiles());
    assert!(bench.compiles());
    assert_eq!(fs::metadata(bench.artefact()).unwrap().modified().unwrap(), before);
    // Root does not make a folder where another user's service will.
    std::os::unix::fs::chown(bench.parent.path(), Some(1), None).unwrap();
    let other = bench.parent.path().join("other");
    assert!(Cache::in_folder(&other).folder.is_none() && !other.exists());
}

#[test]
fn where_nothing_can_be_kept_everything_is_compiled() {
    let bench = Bench::new();
    fs::write(bench.folder(), "a file in its place").unwrap();
    assert!(bench.compiles());
    assert!(bench.compiles());
    let nowhere = Cache::in_folder(Path::new("/proc/nowhere/plugins"));
    assert!(nowhere.compile(&bench.engine, &bench.component).unwrap().took.is_some());
    // The folder goes while the service runs.
    fs::remove_file(bench.folder()).unwrap();
    let cache = Cache::in_folder(&bench.folder());
    fs::remove_dir(bench.folder()).unwrap();
    for _ in 0..2 {
        assert!(cache.compile(&bench.engine, &bench.component).unwrap().took.is_some());
    }
    assert!(cache.warned.load(Ordering::Relaxed));
}

#[test]
fn what_is_old_or_too_much_goes() {
    let bench = Bench::new();
    bench.compiles();
    let kept = bench.artefact();
    let now = SystemTime::now();
    let aged = |name: &str, size: u64, age: Duration| {
        let file = File::create(bench.folder().join(name)).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(now - age).unwrap();
    };
    aged("old", 1, KEPT_FOR + MINUTE);
    aged(".new-left-by-a-crash", 1, KEPT_FOR + MINUTE);
    aged("large", KEPT_BYTES - (1 << 20), MINUTE);
    aged("one too many", 2 << 20, 2 * MINUTE);
    tidy(&bench.folder()).unwrap();
    assert_eq!(bench.artefacts(), [kept, bench.folder().join("large")]);
    for number in 0..2 * KEPT {
        aged(&format!("{number}"), 1, 2 * MINUTE);
    }
    tidy(&bench.folder()).unwrap();
    assert_eq!(bench.artefacts().len(), KEPT);
    assert!(!bench.compiles());
}

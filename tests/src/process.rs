//! The real binary as a child process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::{Ini, PATIENCE};

/// A running `callhook run`; killed when dropped.
pub struct Callhook {
    child: Child,
    /// The lines of its log so far.
    log: Arc<Mutex<Vec<String>>>,
}

/// The binary that the same `cargo test --workspace` has built.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("the test knows where it is");
        let profile = test.ancestors().nth(2).expect("it is in target/PROFILE/deps");
        let binary = profile.join(format!("callhook{}", std::env::consts::EXE_SUFFIX));
        let built = modified(&binary).unwrap_or(SystemTime::UNIX_EPOCH);
        let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
        let stale = newest(&host) > built;
        assert!(!stale, "{} is stale: cargo build --workspace", binary.display());
        binary
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// When the newest file below a folder was changed.
fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).expect("the sources are there").flatten();
    let times = entries.filter_map(|entry| {
        let path = entry.path();
        if path.is_dir() { Some(newest(&path)) } else { modified(&path) }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Callhook {
    /// `callhook` with these arguments, not started.
    pub fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Starts the service and waits until it is ready.
    pub async fn start(ini: &Ini) -> Self {
        Self::start_with(ini, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(ini: &Ini, arguments: &[&str]) -> Self {
        let hook = Self::spawn(ini, arguments);
        hook.wait_until_ready().await;
        hook
    }

    /// Starts the service and waits for nothing.
    ///
    /// # Panics
    ///
    /// If the process cannot be started.
    pub fn spawn(ini: &Ini, arguments: &[&str]) -> Self {
        let path = ini.write();
        let mut child = Self::command(&["run", "--config"])
            .arg(path)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("callhook starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("its log is piped");
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, log }
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a line of the log has this in it.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn wait_for_log(&self, part: &str) -> String {
        let find = || self.log().into_iter().find(|line| line.contains(part));
        let found = eventually(&format!("{part:?} in the log"), find).await;
        found.unwrap_or_else(|error| panic!("{error}; the log: {:#?}", self.log()))
    }

    /// Waits until as many lines of the log have this in them.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub async fn wait_for_logs(&self, part: &str, times: usize) {
        let enough = || (self.logged(part) >= times).then_some(());
        let found = eventually(&format!("{times} times {part:?} in the log"), enough).await;
        found.unwrap_or_else(|error| panic!("{error}; the log: {:#?}", self.log()));
    }

    /// How many lines of the log have this in them.
    pub fn logged(&self, part: &str) -> usize {
        self.log().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn wait_until_ready(&self) {
        let line = self.wait_for_log("\"Console listens.\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("the log is JSON");
        let address = line["fields"]["address"].as_str().expect("it names the address").to_owned();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if get(&format!("http://{address}/readyz")).await == Some(200) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("not ready within {PATIENCE:?}; the log: {:#?}", self.log());
    }

    /// SIGHUP; waits until it has said that the new settings are in force.
    ///
    /// # Panics
    ///
    /// If that does not come.
    pub async fn reload(&self) {
        self.hang_up("The settings were read again and are in force.").await;
    }

    /// SIGHUP; waits until it says this, once more than before.
    ///
    /// # Panics
    ///
    /// If that does not come.
    pub async fn hang_up(&self, told: &str) {
        let before = self.logged(told);
        tell(&self.child, "-HUP");
        self.wait_for_logs(told, before + 1).await;
    }

    /// `kill -9`.
    ///
    /// # Panics
    ///
    /// If the process cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM; waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn stop(mut self) -> ExitStatus {
        terminate(&self.child);
        let ended = eventually("the end of the process", || self.child.try_wait().ok().flatten());
        ended.await.expect("it ends")
    }
}

impl Drop for Callhook {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIGTERM.
pub(crate) fn terminate(child: &Child) {
    tell(child, "-TERM");
}

fn tell(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let told = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
    assert!(told.success(), "the process is there to be told");
}

/// The status of a GET, if there is an answer.
pub(crate) async fn get(url: &str) -> Option<u16> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse().ok()?).await.ok()?;
    let status = response.status().as_u16();
    response.into_body().collect().await.ok()?;
    Some(status)
}

/// Looks again and again until there is something, at most for [`PATIENCE`].
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(5));
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Ok(found);
        }
        pause.tick().await;
    }
    Err(format!("waited {PATIENCE:?} in vain for {what}"))
}

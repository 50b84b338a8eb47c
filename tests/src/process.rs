//! The real binary as a child process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::{Ini, PATIENCE};

/// A folder for the caches of the user that the tests play.
pub fn caches() -> PathBuf {
    binary().with_file_name("caches")
}

/// Where `cargo xtask test` installs what tests need.
pub fn tools() -> PathBuf {
    binary().ancestors().nth(2).map(|target| target.join("tools")).unwrap_or_default()
}

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
        let folder = test.parent().expect("it is in a folder");
        // A test is in target/PROFILE/deps, a program in target/PROFILE.
        let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
        let profile = profile.expect("it is in target");
        let binary = profile.join(format!("callhook{}", std::env::consts::EXE_SUFFIX));
        let built = modified(&binary).unwrap_or(SystemTime::UNIX_EPOCH);
        let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
        let stale = newest(&host) > built;
        let shown = binary.display();
        assert!(!stale, "{shown} is stale; add --test readme, a test of the host, to rebuild it");
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
        command.args(arguments).stdin(Stdio::null()).env("XDG_CACHE_HOME", caches());
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
        let mut command = Self::command(&["run"]);
        command.args(arguments);
        Self::spawn_command(ini, command)
    }

    /// The same by a command that is prepared up to `--config`.
    ///
    /// # Panics
    ///
    /// If the process cannot be started.
    pub fn spawn_command(ini: &Ini, mut command: Command) -> Self {
        let mut child = command
            .arg("--config")
            .arg(ini.write())
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
        let address = self.console().await;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if get(&format!("http://{address}/readyz")).await == Some(200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("not ready within {PATIENCE:?}; the log: {:#?}", self.log());
    }

    /// The console's address.
    ///
    /// # Panics
    ///
    /// If it does not open.
    pub async fn console(&self) -> String {
        let line = self.wait_for_log("\"Console listens.\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("the log is JSON");
        line["fields"]["address"].as_str().expect("it names the address").to_owned()
    }

    /// A page of the console, whatever its status.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    pub async fn page(&self, path: &str) -> String {
        let address = self.console().await;
        let page = get_text(&format!("http://{address}{path}")).await;
        page.unwrap_or_else(|| panic!("the console answers {path}")).1
    }

    /// The value of a metric, with its labels as they are written.
    ///
    /// # Panics
    ///
    /// If the console does not answer.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.page("/metrics").await;
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next_back()?.parse().ok()
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that the process holds, in KiB.
    ///
    /// # Panics
    ///
    /// If the process is gone.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        number.expect("it tells its memory")
    }

    /// The processor time that the process has used.
    ///
    /// # Panics
    ///
    /// If the process is gone.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("the process is there");
        // The name, in parentheses, may contain blanks.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks =
            |place| fields.split_whitespace().nth(place).and_then(|t| t.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
        // Linux tells it in hundredths of a second.
        Duration::from_millis(10 * ticks.expect("it tells its times"))
    }

    /// Sends the process a signal, by its name.
    ///
    /// # Panics
    ///
    /// If there is no such process.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Whether it has ended, and how.
    ///
    /// # Panics
    ///
    /// If it cannot be asked for.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
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
        self.signal("HUP");
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
    signal(child, "TERM");
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let told = Command::new("kill").args([format!("-{name}"), pid]).status().expect("kill runs");
    assert!(told.success(), "the process is there to be told");
}

/// The status of a GET, if there is an answer.
pub(crate) async fn get(url: &str) -> Option<u16> {
    get_text(url).await.map(|(status, _)| status)
}

/// Status and text of a GET, if there is an answer.
async fn get_text(url: &str) -> Option<(u16, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse().ok()?).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Looks again and again until there is something, at most for [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Ok(found);
        }
        pause.tick().await;
    }
    Err(format!("waited {PATIENCE:?} in vain for {what}"))
}

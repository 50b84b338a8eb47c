//! `callhook record` as a child process.

#![expect(clippy::expect_used, reason = "whatever is missing fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use crate::Ini;
use crate::process::{Callhook, eventually, terminate};

/// A running `callhook record`; killed when dropped.
pub struct Recorder {
    child: Child,
    file: PathBuf,
}

impl Recorder {
    /// Starts to record into `file` and waits until the first snapshot is written.
    ///
    /// # Panics
    ///
    /// If that does not come.
    pub async fn start(ini: &Ini, file: &Path, arguments: &[&str]) -> Self {
        let recorder = Self::spawn(ini, file, arguments);
        recorder.wait_for_lines(2).await;
        recorder
    }

    /// Starts to record and waits for nothing.
    ///
    /// # Panics
    ///
    /// If the process cannot be started.
    pub fn spawn(ini: &Ini, file: &Path, arguments: &[&str]) -> Self {
        let child = Callhook::command(&["record", "--config"])
            .arg(ini.write())
            .arg(file)
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .expect("callhook starts");
        Self { child, file: file.to_owned() }
    }

    /// Waits until the recording has as many lines, the first one included.
    ///
    /// # Panics
    ///
    /// If it does not get them.
    pub async fn wait_for_lines(&self, count: usize) {
        let enough = || {
            let text = std::fs::read_to_string(&self.file).ok()?;
            (text.lines().count() >= count).then_some(())
        };
        self.wait_until(&format!("{count} lines in the recording"), enough).await;
    }

    /// Waits until there is something; `what` names it.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn wait_until(&self, what: &str, look: impl FnMut() -> Option<()>) {
        eventually(what, look).await.expect("it comes");
    }

    /// SIGTERM; waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn stop(self) -> ExitStatus {
        terminate(&self.child);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn ended(mut self) -> ExitStatus {
        let ended = eventually("the end of the process", || self.child.try_wait().ok().flatten());
        ended.await.expect("it ends")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

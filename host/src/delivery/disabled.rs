//! An endpoint that answered 410 stays switched off, over restarts too, until its URL is changed
//! or the operator lifts it. Nothing is lost meanwhile: its requests wait.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::endpoint::Endpoint;

/// How often to look whether the operator has lifted it.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Under this name the outbox keeps the URL that was gone. Forgetting it lifts the switching-off,
/// from another process too.
pub fn kept_name(endpoint: &str) -> String {
    format!("disabled:{endpoint}")
}

impl Endpoint {
    /// Takes up what was kept by an earlier process.
    pub(super) fn restore(&self) -> anyhow::Result<()> {
        let name = kept_name(&self.settings.name);
        let Some(gone) = self.outbox.kept(&name).context("while reading whether it is disabled")?
        else {
            return Ok(());
        };
        let endpoint = &self.settings.name;
        if gone == self.settings.url.as_str() {
            self.gate().disable(true);
            tracing::error!(
                endpoint,
                "The endpoint stays disabled, because it answered 410: \
                change its url, or enable it again."
            );
        } else {
            drop(self.outbox.keep(&name, None));
            tracing::info!(endpoint, "The endpoint has another URL and is enabled again.");
        }
        Ok(())
    }

    /// Switches the endpoint off for good.
    pub(super) async fn disable(&self) {
        let endpoint = &self.settings.name;
        if self.gate().is_disabled() {
            return;
        }
        let kept = self.outbox.keep(&kept_name(endpoint), Some(self.settings.url.as_str())).await;
        if let Err(error) = kept {
            tracing::warn!(endpoint, %error, "That the endpoint is gone will be found out again.");
        }
        if self.gate().disable(true) {
            tracing::error!(
                endpoint,
                "The endpoint answered 410, it is gone: nothing more is sent there, its requests \
                 wait. Change its url, or enable it again."
            );
        }
    }

    /// Lifts the switching-off.
    pub(super) fn enable(&self) {
        drop(self.outbox.keep(&kept_name(&self.settings.name), None));
        self.lift();
    }

    /// Looks whether somebody else has lifted it.
    pub(super) async fn look_whether_lifted(self: &Arc<Self>) {
        let endpoint = Arc::clone(self);
        // The disk may be slow.
        let look = move || endpoint.outbox.kept(&kept_name(&endpoint.settings.name));
        if let Ok(Ok(None)) = tokio::task::spawn_blocking(look).await {
            self.lift();
        }
    }

    fn lift(&self) {
        let mut gate = self.gate();
        let lifted = gate.disable(false);
        self.show(&gate);
        drop(gate);
        if lifted {
            let endpoint = &self.settings.name;
            tracing::info!(endpoint, "The endpoint is enabled again.");
            self.freed.notify_one();
        }
    }
}

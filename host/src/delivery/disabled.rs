//! An endpoint that answered 410 stays switched off, over restarts too, until its URL is changed
//! or the operator lifts it. Nothing is lost meanwhile: its requests wait. It is the address that
//! is gone, so the endpoint is not switched off at another one, and is if it comes back to it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use super::endpoint::Endpoint;

/// How often to look whether the operator has lifted it.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Under this name the outbox keeps that the endpoint's address is gone. Forgetting it lifts the
/// switching-off, from another process too.
pub fn kept_name(endpoint: &str, url: &Url) -> String {
    format!("disabled:{endpoint}:{url}")
}

impl Endpoint {
    /// Takes up what was kept by an earlier process.
    pub(super) fn restore_disabled(&self) -> anyhow::Result<()> {
        let kept = self.outbox.kept(&self.kept_name());
        if kept.context("while reading whether it is disabled")?.is_some() {
            self.gate().disable(true);
            let endpoint = &self.settings.name;
            tracing::error!(
                endpoint,
                "The endpoint stays disabled, because it answered 410: change its url, or see \
                 `callhook deliveries resume`."
            );
        }
        Ok(())
    }

    fn kept_name(&self) -> String {
        kept_name(&self.settings.name, &self.settings.url)
    }

    /// Switches the endpoint off for good.
    pub(super) async fn disable(&self) {
        let endpoint = &self.settings.name;
        if self.gate().is_disabled() {
            return;
        }
        let since = self.clock.now().wall.to_string();
        let kept = self.outbox.keep(&self.kept_name(), Some(&since)).await;
        if let Err(error) = kept {
            tracing::warn!(endpoint, %error, "That the endpoint is gone will be found out again.");
        }
        if self.gate().disable(true) {
            tracing::error!(
                endpoint,
                "The endpoint answered 410, it is gone: nothing more is sent there, its requests \
                 wait. Change its url, or see `callhook deliveries resume`."
            );
        }
    }

    /// Lifts the switching-off.
    pub(super) fn enable(&self) {
        drop(self.outbox.keep(&self.kept_name(), None));
        self.lift();
    }

    /// Looks whether somebody else has lifted it.
    pub(super) async fn look_whether_lifted(self: &Arc<Self>) {
        let endpoint = Arc::clone(self);
        // The disk may be slow.
        let look = move || endpoint.outbox.kept(&endpoint.kept_name());
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
            self.standing.freed.notify_one();
        }
    }
}

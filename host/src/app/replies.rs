//! From delivery back to the pipeline: the one thread that runs plugins judges replies, too.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::delivery::{Case, Judge};
use crate::pipeline::{Input, Judging, Replied};

/// Hands replies to the pipeline.
pub(super) struct Court {
    pub(super) judging: Arc<Judging>,
    /// Weak, for the pipeline ends when nobody else has anything for it.
    pub(super) inputs: mpsc::WeakSender<Input>,
}

impl Judge for Court {
    fn wants(&self, endpoint: &str) -> bool {
        self.judging.has(endpoint)
    }

    fn judge(&self, case: Case) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let Case { endpoint, claimed, reply, conclude } = case;
            let (done, settled) = oneshot::channel();
            let job = Input::Job(Box::new(move |pipeline| {
                let replied = Replied { endpoint, claimed, reply };
                // Whoever asked may be gone.
                let _unheard = done.send(pipeline.judge(replied, conclude));
            }));
            let stopped = "the pipeline has stopped before a reply was judged";
            let inputs = self.inputs.upgrade().context(stopped)?;
            inputs.send(job).await.ok().context(stopped)?;
            drop(inputs);
            settled.await.context(stopped)?.confirmed().await
        })
    }
}

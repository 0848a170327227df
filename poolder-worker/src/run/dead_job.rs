//! Dead jobs as hooks see them, and the hooks.

use std::future::Future;
use std::sync::Arc;

use poolder_core::view::JobView;
use poolder_core::{
    Attempt, Cause, Error, Failure, Handle, Headers, Job, JobId, RawJob, Timestamp,
};

use super::erased::BoxFuture;
use super::guard::{CALLBACK_DEADLINE, discard, guarded, text_of, within};
use super::worker::Result;

/// A job that was buried, as [`Pool::on_dead`](crate::Pool::on_dead) and
/// [`NodeBuilder::on_dead`](crate::NodeBuilder::on_dead) see it. It is kept among the dead;
/// [`DeadJob::handle`] leads there, to revive or to remove it.
#[derive(Debug, Clone)]
pub struct DeadJob {
    view: JobView,
    reason: Failure,
}

impl DeadJob {
    pub(crate) fn new(view: JobView) -> Self {
        let unknown = || Failure::new(Cause::Undecodable, "no reason was recorded");
        let reason = view.failure().cloned().unwrap_or_else(unknown);
        Self { view, reason }
    }

    /// Returns the id of the job. Of an entry that is not a job it is derived from the entry.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.view.id()
    }

    /// Returns the handle of the dead job, for [`Client::job`](poolder_client::Client::job).
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.view.handle
    }

    /// Returns the kind of the job; `None` for an entry that is not a job.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.view.kind()
    }

    /// Returns the queue's name.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.view.handle.partition.queue.as_str()
    }

    /// Returns the time of the death, by the server's clock.
    #[must_use]
    pub fn died_at(&self) -> Timestamp {
        self.view.at
    }

    /// Returns the reason for the death: its cause and its message.
    #[must_use]
    pub fn reason(&self) -> &Failure {
        &self.reason
    }

    /// Returns the number of attempts that failed.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.view.counters.failures
    }

    /// Returns the number of nodes that died while they ran the job.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        self.view.counters.crashes
    }

    /// Returns the attempts that failed or crashed, the first one first: the first seven and the
    /// last seven.
    #[must_use]
    pub fn failures(&self) -> Vec<Attempt> {
        self.view.attempts()
    }

    /// Returns the headers that the job was enqueued with.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        self.view.headers()
    }

    /// Returns the stored payload; `None` for an entry that is not a job.
    #[must_use]
    pub fn payload(&self) -> Option<RawJob<'_>> {
        self.view.payload()
    }

    /// Reads the payload as a job of this type.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the payload is not of this type, and for an entry that is not a job.
    pub fn decode<J: Job>(&self) -> Result<J, Error> {
        let other = || Error::codec("the dead entry is not a job, see its raw bytes");
        let raw = self.payload().ok_or_else(other)?;
        if !J::KINDS.contains(&raw.kind) {
            let (kind, kinds) = (raw.kind, J::KINDS);
            return Err(Error::codec(format!("the dead job is of kind {kind:?}, not {kinds:?}")));
        }
        J::decode(raw)
    }

    /// Returns the dead job as an operator sees it.
    #[must_use]
    pub fn view(&self) -> &JobView {
        &self.view
    }
}

/// A function that is told of dead jobs.
pub(crate) type DeadHook = Arc<dyn Fn(DeadJob) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Returns a hook that calls this function.
pub(crate) fn dead_hook<F, R>(hook: F) -> DeadHook
where
    F: Fn(DeadJob) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |job| Box::pin(hook(job)))
}

/// Calls all hooks at once, each for 30 s at most.
///
/// # Errors
/// Returns the text of the first hook that failed, panicked or did not return.
pub(crate) async fn tell(hooks: &[DeadHook], job: &DeadJob) -> Result<(), String> {
    let calls = hooks.iter().map(|hook| within(CALLBACK_DEADLINE, guarded(|| hook(job.clone()))));
    for ended in futures_util::future::join_all(calls).await {
        if let Err(error) = ended? {
            let text = text_of(error.as_ref());
            discard(error);
            return Err(text);
        }
    }
    Ok(())
}

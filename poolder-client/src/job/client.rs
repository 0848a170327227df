//! The handle of one job.

use futures_util::future::try_join_all;
use poolder_core::broker::{Ahead, Cancellation};
use poolder_core::view::JobView;
use poolder_core::{Completion, Error, Handle, JobState, Timestamp};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::job::result::JobResult;
use crate::job::wait::JobWait;
use crate::state::audit::Change;
use crate::state::wait::end_of;

/// Number of slots whose records are read at the same time.
const SLOTS_AT_ONCE: usize = 64;

/// One job; made by [`Client::job`].
///
/// A job is looked for where its handle saw it, then among the waiting and the dead jobs, then by a
/// bounded search of the lanes. If several jobs have the same own id, changes mean all of them, as
/// each method says.
#[derive(Debug)]
pub struct JobClient {
    client: Client,
    /// The handle, or the error of its text.
    handle: Result<Handle, Error>,
}

impl Client {
    /// Returns the handle of one job: of a receipt, a [`Handle`] or its text, a [`JobView`], or an
    /// id [in its queue](poolder_core::JobId::in_queue). A text or a name that is not allowed is the
    /// error of the first call.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::{Client, JobResult};
    /// # use poolder_core::{Handle, Job, JobId};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Count { text: String }
    /// # impl Job for Count { const KINDS: &'static [&'static str] = &["count"]; }
    /// # async fn f(client: Client, text: String, id: JobId) -> Result<(), poolder_core::Error> {
    /// let receipt = client.enqueue(Count { text }).await?;
    /// let job = client.job(&receipt);
    /// println!("{:?}, {:?}", job.state().await?, job.progress().await?);
    /// let words: u64 = job.wait().timeout(Duration::from_secs(60)).await?;
    /// assert_eq!(job.result().await?, JobResult::Value(words));
    ///
    /// client.job(id.in_queue("mail")).cancel().await?;
    /// client.job(Handle::named("mail", "welcome-9")).run_now().await?;
    /// client.job("mail.0/01936b2e-7c5b-7000-8000-00000000002a").remove().await?;
    /// # Ok(()) }
    /// ```
    pub fn job(&self, job: impl TryInto<Handle, Error: Into<Error>>) -> JobClient {
        JobClient { client: self.clone(), handle: job.try_into().map_err(Into::into) }
    }
}

impl JobClient {
    /// Returns the handle of the job. Its text form can be stored, and read again.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a text that is no handle, or an illegal name of a queue.
    pub fn handle(&self) -> Result<&Handle, Error> {
        self.handle.as_ref().map_err(Error::repeated)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the state of a job that is stored or has a record; `None` for a job that left no
    /// trace. A job of an addressed pool is found in any slot, also by its id alone.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn state(&self) -> Result<Option<JobState>, Error> {
        if let Some(view) = self.view().await? {
            return Ok(Some(view.state));
        }
        Ok(self.recorded().await?.and_then(|completion| completion.state()))
    }

    /// Returns the job in whatever state it is, also a finished one that its pool keeps; `None` when
    /// it has ended otherwise, or the bounded search did not find it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn view(&self) -> Result<Option<JobView>, Error> {
        match self.stored().await? {
            Some(view) => Ok(Some(view)),
            None => self.client.broker().finished(self.handle()?).await,
        }
    }

    /// Returns the job if it waits, runs or is dead.
    pub(crate) async fn stored(&self) -> Result<Option<JobView>, Error> {
        self.client.broker().find(self.handle()?).await
    }

    /// Returns how many jobs wait before this one in its lane; `None` when it does not wait in a
    /// lane. Up to 2,000 are counted; a greater number is an estimate.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn ahead(&self) -> Result<Option<Ahead>, Error> {
        let Some(view) = self.stored().await? else { return Ok(None) };
        self.client.broker().ahead(&view).await
    }

    /// Returns the result of the job's handler, or the reason why there is none. Does not wait.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the result is not a `T`; also returns an error when the server does
    /// not answer or refuses the command.
    pub async fn result<T: DeserializeOwned>(&self) -> Result<JobResult<T>, Error> {
        let handle = self.handle()?;
        if let Some(ended) = self.ended().await? {
            return JobResult::of(ended, handle.job);
        }
        match self.stored().await {
            Ok(Some(view)) if view.state == JobState::Dead => {
                let failure = view.failure().cloned();
                return Ok(failure.map_or(JobResult::Pending, JobResult::Dead));
            }
            Ok(Some(_)) => return Ok(JobResult::Pending),
            Err(error) if error.is_auth() => {}
            found => drop(found?),
        }
        // The job may have ended since the first look.
        match self.recorded().await? {
            Some(ended) => JobResult::of(ended, handle.job),
            None => Ok(JobResult::NotFound),
        }
    }

    /// Waits until the job has ended, and returns the result of its handler. Ask for `()` when no
    /// result is expected.
    ///
    /// A job that was sent with `keep_completion` or by [`Client::call`] ends the wait at once,
    /// however it ends. Of another job, the wait sees a result or a death within a second or so, a
    /// death only if the user may read the dead jobs (`docs/access.md`). Such a job that is
    /// cancelled, or done without a result, leaves no record, and the wait ends with a timeout.
    pub fn wait<T: DeserializeOwned>(&self) -> JobWait<T> {
        let handle = self.handle().cloned();
        JobWait::new(self.client.clone(), handle)
    }

    /// Returns the progress that the job's handler reported last: units done and units in total.
    /// Kept for an hour after the last report.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn progress(&self) -> Result<Option<(u64, u64)>, Error> {
        let handle = self.handle()?;
        self.client.broker().progress(&handle.partition, handle.job).await
    }

    /// Cancels the job in whatever state it is. A waiting job is removed. The handler of a running
    /// job is signalled to stop, on whichever node it runs. A job that is not found does not run if
    /// it appears within the next 7 days. A dead job stays dead. A job that is done before its node
    /// sees the cancellation is done. If several jobs have the same own id, all that wait or run are
    /// cancelled; a job that is enqueued later is not.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; calling it again
    /// does no harm.
    pub async fn cancel(&self) -> Result<Cancellation, Error> {
        let was = |outcome: &Cancellation| {
            u64::from(!matches!(outcome, Cancellation::Dead | Cancellation::Ended))
        };
        let handle = self.handle()?;
        let cancelled = self.client.broker().cancel(handle);
        let change = || Change::ordinary("job.cancel", handle);
        self.client.auditor().record(change, was, cancelled).await
    }

    /// Reschedules a job that waits in a lane or for its time: the job waits until `at`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it runs or is
    /// dead.
    pub async fn reschedule(&self, at: impl Into<Timestamp>) -> Result<(), Error> {
        let (handle, at) = (self.handle()?, at.into());
        let change = || Change::ordinary("job.reschedule", handle).detail(format_args!("to {at}"));
        let rescheduled = self.client.broker().reschedule(handle, Some(at));
        self.client.auditor().record(change, |()| 1, rescheduled).await
    }

    /// Makes a job that waits for its time or for another attempt run now. A dead job is revived.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it runs.
    pub async fn run_now(&self) -> Result<(), Error> {
        let (broker, handle) = (self.client.broker(), self.handle()?);
        self.change("job.run_now", async {
            match broker.find(handle).await? {
                Some(view) if view.state == JobState::Dead => broker.revive(&view.handle).await,
                Some(_) => broker.reschedule(handle, None).await,
                None => Err(Error::not_found("the job was not found").with_job(handle.job)),
            }
        })
        .await
    }

    /// Puts a dead job back into its lane, with all its attempts restored.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it is not dead,
    /// [`Error::is_invalid`] when the dead entry does not hold a job.
    pub async fn revive(&self) -> Result<(), Error> {
        self.change("job.revive", self.client.broker().revive(self.handle()?)).await
    }

    /// Replaces the payload of a job by the given JSON, and lets the job run with it, with all its
    /// attempts restored: a dead one returns to its lane, and one that waits is due at once. It is one
    /// step, so that a job runs either with its old payload or with the new one. Values that are as [`JobView::payload_json`] shows them stay as they are stored, also those
    /// that JSON lacks, such as bytes, NaN and keys that are not text.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it runs, has moved
    /// on meanwhile, or is dead and another job holds its unique key; [`Error::is_invalid`] when it
    /// stands for a batch, or is no job; [`Error::is_too_large`] for a payload above 1 MiB, and
    /// [`Error::is_codec`] for one that is nested more than 64 deep. The job is as before then.
    pub async fn edit_and_revive(&self, payload: &serde_json::Value) -> Result<(), Error> {
        self.change("job.edit", self.client.broker().edit_job(self.handle()?, payload)).await
    }

    /// Buries a job that waits, for a slot, for its time or for another attempt: it is dead then, and
    /// can be looked into, edited and revived. A job that has failed before keeps its last failure;
    /// the reason is the failure of another one. A running job can only be cancelled, and so can one
    /// that stands for a batch. Hooks of the dead are not told. If several jobs have the same own
    /// id, all that wait are buried.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// let job = client.job(poolder_core::Handle::named("mail", "welcome-9"));
    /// job.bury("the address does not exist").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it runs or is
    /// dead, [`Error::is_invalid`] when it stands for a batch.
    pub async fn bury(&self, reason: impl AsRef<str>) -> Result<(), Error> {
        let (handle, reason) = (self.handle()?, reason.as_ref());
        let change = || Change::ordinary("job.bury", handle).detail(reason);
        let buried = self.client.broker().bury(handle, reason);
        self.client.auditor().record(change, |()| 1, buried).await
    }

    /// Removes a job that waits, or that is dead. A running job can only be cancelled. If several
    /// jobs have the same own id, all that wait are removed, or the dead one if none is alive or
    /// the handle names the dead. The id can then be enqueued again, also within the window of an
    /// idempotent enqueue.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job was not found, [`Error::is_gone`] when it runs.
    pub async fn remove(&self) -> Result<(), Error> {
        self.change("job.remove", self.client.broker().delete(self.handle()?)).await
    }

    /// Makes a change of this job, and records it.
    async fn change(
        &self,
        action: &'static str,
        made: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let handle = self.handle()?;
        self.client.auditor().record(|| Change::ordinary(action, handle), |()| 1, made).await
    }

    /// Returns how the job ended, wherever a resize has moved it: from its record or from the dead
    /// jobs.
    async fn ended(&self) -> Result<Option<Completion>, Error> {
        let handle = self.handle()?;
        let broker = self.client.broker();
        let (partition, record) = broker.followed_completion(&handle.partition, handle.job).await?;
        if partition == handle.partition {
            return end_of(broker, handle, record, &mut true).await;
        }
        let moved = Handle { partition, job: handle.job, place: None };
        end_of(broker, &moved, record, &mut true).await
    }

    /// Returns the completion record of the job, in whichever slot of its pool.
    pub(crate) async fn recorded(&self) -> Result<Option<Completion>, Error> {
        let (broker, handle) = (self.client.broker(), self.handle()?);
        let (_, ended) = broker.followed_completion(&handle.partition, handle.job).await?;
        let has_ended = |completion: &Completion| !matches!(completion, Completion::Moved(_));
        if let Some(ended) = ended.filter(has_ended) {
            return Ok(Some(ended));
        }
        for slots in broker.other_slots(handle).await?.chunks(SLOTS_AT_ONCE) {
            let read = self.client.read_together(|client| async move {
                let broker = client.broker();
                let all = slots.iter().map(|slot| broker.completion(slot, handle.job));
                try_join_all(all).await
            });
            let found = read.await?.into_iter().flatten().find(has_ended);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

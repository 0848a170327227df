//! Cancelling a job wherever it is. A job that waits is removed at once. For a job that runs or
//! cannot be found, a cancellation is stored in `cancelled`. Every node that holds or claims the
//! job checks `cancelled`, and so does every script that would move the job.

use std::fmt;

use serde::Serialize;

use crate::broker::admin::grouped::{keys_of, waits_at};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
#[cfg(feature = "testing")]
use crate::captured::CancelledJob;
use crate::job::{Error, Handle, JobState, Place, clamped_millis};
use crate::policy::decide::CANCELLED_ON_REQUEST;
use crate::stored::Completion;
use crate::view::{Content, JobView};

/// From this look on, a job that has moved since it was found is cancelled wherever it is, by a
/// stored cancellation.
const STORE_FROM_LOOK: usize = 3;
/// The most looks at a job that moves all the time. After these the cancel fails, and nothing was
/// done.
const MAX_LOOKS: usize = 10;
/// The most cancellations that are stored for a partition at a time.
const MAX_CANCELLATIONS: u32 = 1_000_000;

/// The outcome of [`Broker::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cancellation {
    /// The job is dead already, and stays dead. No job of its id waits or runs.
    Dead,
    /// The job has ended already.
    Ended,
    /// The job was not found. If it appears within the next 7 days, it will not run.
    Noted,
    /// The job waited, and was removed. If several jobs have the id, all waited.
    Removed,
    /// The job runs: its handler is asked to stop, and has a moment before it is dropped. If several
    /// jobs have the id, one of them runs, and those that waited were removed.
    Stopping,
}

impl fmt::Display for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "it waited, and was removed",
            Self::Stopping => "it runs, and is asked to stop",
            Self::Noted => "not found; it will not run if it appears within 7 days",
            Self::Dead => "it is dead already",
            Self::Ended => "it has ended already",
        })
    }
}

impl Broker {
    /// Cancels every job of an id that waits or runs. Each ends as cancelled, unless it completes
    /// before the cancellation reaches it. A job that is enqueued later is not affected.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; repeating the call
    /// is harmless. [`Error::is_refused`] when a million cancellations are stored already, or when
    /// the job moves all the time.
    pub async fn cancel(&self, handle: &Handle) -> Result<Cancellation, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(match captured.cancel(handle) {
                CancelledJob::Waiting => Cancellation::Removed,
                CancelledJob::Running => Cancellation::Stopping,
                CancelledJob::Dead => Cancellation::Dead,
                CancelledJob::Ended => Cancellation::Ended,
                CancelledJob::Unknown => Cancellation::Noted,
            });
        }
        let mut outcome = None;
        for look in 1..=MAX_LOOKS {
            let found = self.find_alive(handle).await?;
            let mut again = false;
            for view in &found.jobs {
                let reply = self.cancel_at(handle, Some(view), look >= STORE_FROM_LOOK).await?;
                match read(&reply)? {
                    Some(one) => outcome = outcome.max(Some(one)),
                    None => again = true,
                }
            }
            // Without a job, or beyond the entries that were searched, a cancellation is stored.
            if !again && (found.is_partial || outcome.is_none()) {
                match read(&self.cancel_at(handle, None, true).await?)? {
                    Some(one) => outcome = outcome.max(Some(one)),
                    None => again = true,
                }
            }
            if let Some(outcome) = outcome.filter(|_| !again) {
                return Ok(outcome);
            }
        }
        Err(Error::refused("the job moves too fast to be cancelled, try again")
            .with_job(handle.job))
    }

    /// Cancels a job at the place where it was found. With `store_anyway`, stores a cancellation
    /// also when the job has moved since. Returns the answer of `cancel.lua`.
    async fn cancel_at(
        &self,
        handle: &Handle,
        found: Option<&JobView>,
        store_anyway: bool,
    ) -> Result<String, Error> {
        let keys = self.keys(found.map_or(&handle.partition, |view| &view.handle.partition));
        let place = found.map(|view| (view.state, view.handle.place.as_ref()));
        let lane = match place {
            Some((_, Some(Place::Entry(lane, _)))) => keys.lane(*lane),
            _ => keys.ready[0].as_str(),
        };
        let (place, at) = match place {
            Some((JobState::Scheduled | JobState::Retrying, place)) => waits_at(place),
            Some((_, Some(place @ (Place::Entry(..) | Place::Group(..))))) => waits_at(Some(place)),
            _ => ("", vec![]),
        };
        let plain = match found.map(|view| &view.content) {
            Some(Content::Plain(text, _)) => text.as_slice(),
            _ => &[],
        };
        let kept = found.and_then(JobView::completion_kept);
        let due = match &handle.place {
            Some(Place::Due(at)) => at.millis(),
            _ => 0,
        };
        let id = found.map_or(handle.job, JobView::id);
        let (record, receipt) = (keys.result(id), keys.sent(id));
        let own = [
            lane,
            &keys.due,
            &keys.bodies,
            &keys.dead,
            &keys.cancelled,
            &keys.stats,
            &keys.meta,
            &record,
            &keys.batches,
            &keys.batches_dropped,
            &keys.unique,
        ];
        let generated = id.generated_at().is_some();
        let of_names = [receipt.as_str(), &keys.schedules.queued];
        let of_names = of_names.into_iter().filter(|_| !generated);
        let mut cmd = scripts::call(
            &scripts::CANCEL,
            own.into_iter().chain(of_names).chain(keys_of(place, &keys)),
        );
        cmd.arg(id.as_bytes()).arg(place).arg(at).arg(plain);
        cmd.arg(Completion::Cancelled(CANCELLED_ON_REQUEST.into()).encode());
        cmd.arg(kept.map(|kept| clamped_millis(kept).to_string()).unwrap_or_default());
        cmd.arg(&keys.control).arg(due).arg(MAX_CANCELLATIONS).arg(u8::from(store_anyway));
        cmd.arg(u8::from(generated));
        cmd.arg(found.map_or(id, |view| view.handle.job).as_bytes());
        let (key, since) = found.map(JobView::held_key).unwrap_or_default();
        cmd.arg(key).arg(since);
        reply::text(self.command(&cmd).await?)
    }
}

/// Reads the answer of `cancel.lua`; `None` when the job has moved.
fn read(answer: &str) -> Result<Option<Cancellation>, Error> {
    Ok(Some(match answer {
        "removed" => Cancellation::Removed,
        "running" => Cancellation::Stopping,
        "noted" => Cancellation::Noted,
        "dead" => Cancellation::Dead,
        "ended" => Cancellation::Ended,
        "again" => return Ok(None),
        "full" => {
            return Err(Error::refused(format!(
                "{MAX_CANCELLATIONS} cancellations of running or missing jobs are stored already: \
                 drain or purge the queue instead"
            )));
        }
        other => return Err(Error::protocol(format!("cancel.lua answered {other:?}"))),
    }))
}

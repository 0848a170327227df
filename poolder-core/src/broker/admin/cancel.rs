//! Cancelling a job wherever it is. A job that waits is removed at once. For a job that runs or
//! cannot be found, a cancellation is stored in `cancelled`. Every node that holds or claims the
//! job checks `cancelled`, and so does every script that would move the job.

use std::fmt;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, Place, State, clamped_millis};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The job waited, and was removed.
    Removed,
    /// The job runs: its handler is asked to stop, and has a moment before it is dropped.
    Stopping,
    /// The job was not found. If it appears within the next 7 days, it will not run.
    Noted,
    /// The job is dead already, and stays dead.
    Dead,
    /// The job has ended already.
    Ended,
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
    /// Cancels a job wherever it is. The job ends as cancelled, unless it completes before the
    /// cancellation reaches it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; repeating the call
    /// is harmless. [`Error::is_refused`] when a million cancellations are stored already, or when
    /// the job moves all the time.
    pub async fn cancel(&self, handle: &Handle) -> Result<Cancellation, Error> {
        for look in 1..=MAX_LOOKS {
            // The first look reads only the place that the handle names: a search is not needed for
            // a job that is still there.
            let found = match look {
                1 => self.look_at_place(handle).await?,
                _ => None,
            };
            let found = match found {
                Some(found) => Some(found),
                None => self.find(handle).await?,
            };
            match self.cancel_at(handle, found.as_ref(), look >= STORE_FROM_LOOK).await?.as_str() {
                "removed" => return Ok(Cancellation::Removed),
                "running" => return Ok(Cancellation::Stopping),
                "noted" => return Ok(Cancellation::Noted),
                "dead" => return Ok(Cancellation::Dead),
                "ended" => return Ok(Cancellation::Ended),
                "full" => {
                    return Err(Error::refused(format!(
                        "{MAX_CANCELLATIONS} cancellations of running or missing jobs are stored \
                         already: drain or purge the queue instead"
                    )));
                }
                "again" => {}
                other => {
                    return Err(Error::protocol(format!("cancel.lua answered {other:?}")));
                }
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
        let (lane, place, entry) = match place {
            Some((_, Some(Place::Entry(lane, entry)))) => (keys.lane(*lane), "lane", &**entry),
            Some((State::Scheduled | State::Retrying, _)) => (keys.ready[0].as_str(), "due", ""),
            _ => (keys.ready[0].as_str(), "", ""),
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
        let record = keys.result(handle.job);
        let all = [
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
        ];
        let mut cmd = scripts::call(&scripts::CANCEL, all);
        cmd.arg(handle.job.as_bytes()).arg(place).arg(entry).arg(plain);
        cmd.arg(Completion::Cancelled(CANCELLED_ON_REQUEST.into()).encode());
        cmd.arg(kept.map(|kept| clamped_millis(kept).to_string()).unwrap_or_default());
        cmd.arg(&keys.control).arg(due).arg(MAX_CANCELLATIONS).arg(u8::from(store_anyway));
        cmd.arg(u8::from(handle.job.generated_at().is_some()));
        reply::text(self.command(&cmd).await?)
    }
}

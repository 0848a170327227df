//! Ending a job wherever it is. What waits is removed at once; what runs, or cannot be found, is
//! ordered to stop: the order stands in `cancelled`, which every node that holds or claims the job
//! heeds, and every script that would move it.

use std::fmt;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, Place, State, clamped_millis};
use crate::policy::decide::CANCELLED_ON_REQUEST;
use crate::stored::Completion;
use crate::view::{Content, JobView};

/// A job that moves is looked for this often before it is ordered to stop wherever it is.
const LOOKS: usize = 3;
/// One that moves even then, again and again, is given up: nothing was done.
const MOST_LOOKS: usize = 10;
/// The most orders that stand at a time.
const MOST_ORDERS: u32 = 1_000_000;

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The job waited, and is gone.
    Removed,
    /// The job runs: its handler is told to stop, and has a moment before it is dropped.
    Stopping,
    /// The job was not found. Should it appear within the next 7 days, it will not run.
    Noted,
    /// The job is dead already, and stays so.
    Dead,
    /// The job has ended already.
    Ended,
}

impl fmt::Display for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "it waited, and is gone",
            Self::Stopping => "it runs, and is told to stop",
            Self::Noted => "not found; it will not run should it appear within 7 days",
            Self::Dead => "it is dead already",
            Self::Ended => "it has ended already",
        })
    }
}

impl Broker {
    /// Cancels a job wherever it is. It ends as cancelled, unless it is done before it hears.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; repeating it does no harm.
    /// [`Error::is_refused`] when a million orders stand already.
    pub async fn cancel(&self, handle: &Handle) -> Result<Cancellation, Error> {
        for look in 1..=MOST_LOOKS {
            // Nobody need look for what is where it was seen.
            let found = match look {
                1 => self.look_at_place(handle).await?,
                _ => None,
            };
            let found = match found {
                Some(found) => Some(found),
                None => self.find(handle).await?,
            };
            match self.cancel_at(handle, found.as_ref(), look >= LOOKS).await?.as_str() {
                "removed" => return Ok(Cancellation::Removed),
                "running" => return Ok(Cancellation::Stopping),
                "noted" => return Ok(Cancellation::Noted),
                "dead" => return Ok(Cancellation::Dead),
                "ended" => return Ok(Cancellation::Ended),
                "full" => {
                    return Err(Error::refused(format!(
                        "{MOST_ORDERS} orders to cancel jobs that were not found stand already: \
                         drain or purge the queue instead"
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

    async fn cancel_at(
        &self,
        handle: &Handle,
        found: Option<&JobView>,
        order_anyway: bool,
    ) -> Result<String, Error> {
        let keys = self.keys(&handle.partition);
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
        cmd.arg(&keys.control).arg(due).arg(MOST_ORDERS).arg(u8::from(order_anyway));
        cmd.arg(u8::from(handle.job.generated_at().is_some()));
        reply::text(self.script(&scripts::CANCEL, &cmd).await?)
    }
}

//! The jobs of the load. Their numbers determine how they end, and their rules when the keys are
//! free.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use super::QUEUE;
use crate::child::{Book, Page};
use crate::ledger::{Ended, Record};

/// The time of a window.
pub(super) const WINDOW: Duration = Duration::from_secs(2);
/// The delay of a debounced job, and the longest one.
pub(super) const DELAY: Duration = Duration::from_millis(700);
pub(super) const MOST: Duration = Duration::from_millis(2_500);

/// The rule of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    Start,
    Done,
    /// Until done, and a job that waits gets the newest data.
    Replace,
    Window,
    Debounce,
    Last,
}

impl Rule {
    pub(crate) const ALL: [Self; 6] =
        [Self::Start, Self::Done, Self::Replace, Self::Window, Self::Debounce, Self::Last];

    /// Returns the rule of this key.
    pub(super) fn of(self, key: u64) -> Unique {
        let rule = match self {
            Self::Start => Unique::until_start(),
            Self::Done => Unique::until_done(),
            Self::Replace => Unique::until_done().replace(),
            Self::Window => Unique::window(WINDOW),
            Self::Debounce => Unique::debounce(DELAY).at_most(MOST),
            Self::Last => Unique::keep_last(),
        };
        rule.by(&(self, key))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "until start",
            Self::Done => "until done",
            Self::Replace => "until done, with new data",
            Self::Window => "window",
            Self::Debounce => "debounce",
            Self::Last => "keep last",
        })
    }
}

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// Completes with a result.
    Result,
    /// Fails at its first attempt, then completes.
    FailsOnce,
    /// Waits once for a moment, then completes.
    Snoozes,
    /// Fails at every attempt.
    Dies,
    /// Cancels itself.
    Cancels,
}

/// Returns how the job with the data of this number ends.
pub(super) fn end_of(number: u64) -> End {
    match number % 16 {
        3 => End::FailsOnce,
        5 => End::Dies,
        9 => End::Cancels,
        12 => End::Snoozes,
        14 => End::Result,
        _ => End::Done,
    }
}

/// A job: its key, and the number of the enqueue whose data it has.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.single", queue = "uniques", attempts = 3, backoff = "100ms", crashes = 50)]
pub(super) struct Single {
    pub(super) rule: Rule,
    pub(super) key: u64,
    pub(super) number: u64,
}

impl Single {
    /// Returns the time that the handler takes: most jobs are short, and some are likely to be hit by
    /// a fault.
    fn takes(&self) -> Duration {
        let millis = if self.number.is_multiple_of(7) { 1_200 } else { 10 + self.number % 5 * 30 };
        Duration::from_millis(millis)
    }
}

/// Returns the pool that a node runs.
pub(super) fn pool(book: Arc<Book>) -> Pool {
    let worker = worker_fn(move |job: Single, cx: Context| {
        let book = Arc::clone(&book);
        async move {
            let (run, Single { rule, key, number }) = (book.next(), job.clone());
            let (id, fence) = (cx.id().to_string(), cx.fence());
            book.write(Record::SingleRun { run, rule, key, number, job: id, fence });
            let mut page = Page::new(book, run);
            tokio::select! {
                () = tokio::time::sleep(job.takes()) => {}
                () = cx.cancelled() => {
                    page.end(Ended::Cancelled);
                    return Err::<_, BoxError>("told to stop".into());
                }
            }
            let (how, outcome) = match end_of(number) {
                End::FailsOnce if cx.attempt() == 1 => (Ended::Failed, Err("not yet".into())),
                End::Dies => (Ended::Failed, Err("never".into())),
                End::Snoozes if fence == 1 => {
                    (Ended::Snoozed, Ok(Snooze(Duration::from_millis(150))))
                }
                End::Cancels => (Ended::Done, Ok(Cancel("it says so".into()))),
                End::Result => (Ended::Done, Ok(Outcome::result(&number)?)),
                _ => (Ended::Done, Ok(Done)),
            };
            page.end(how);
            outcome
        }
    });
    Pool::new(QUEUE).size(6).worker(worker)
}

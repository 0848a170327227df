//! The search of a lane for the entries of a job id, with calls of a bounded script.

use redis::{Cmd, Value};

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error};

/// The most entries that one search of a lane reads.
const MAX_ENTRIES: i64 = 10_000;
/// The most entries that one call of `search.lua` reads.
const MAX_STEP: i64 = 500;

/// The entries of a lane that a search reads.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Among {
    /// The entries that a consumer holds.
    Claimed,
    All,
}

/// A search of a lane, which goes on from one entry of the job to the next.
pub(in crate::broker) struct LaneSearch<'a> {
    stream: &'a str,
    job: &'a [u8],
    among: Among,
    /// The position from which the next call searches. Empty at the end of the lane.
    from: String,
    last: &'a str,
    /// How many entries may still be read.
    left: i64,
}

/// The result of the next step of a search.
pub(in crate::broker) enum Next {
    Found(EntryId),
    /// No more entries of the job are there.
    End,
    /// The lane has more entries than a search reads.
    GivenUp,
}

impl<'a> LaneSearch<'a> {
    /// Creates a search of the entries of a stream between two ids, both included.
    pub(in crate::broker) fn new(
        (stream, among): (&'a str, Among),
        job: &'a [u8],
        (first, last): (&str, &'a str),
    ) -> Self {
        Self { stream, job, among, from: first.to_owned(), last, left: MAX_ENTRIES }
    }

    /// Finds the next entry of the job.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or when its reply cannot be read.
    pub(in crate::broker) async fn next(&mut self, broker: &Broker) -> Result<Next, Error> {
        while let Some(cmd) = self.call() {
            if let Some(next) = self.take(broker.command(&cmd).await?)? {
                return Ok(next);
            }
        }
        Ok(if self.is_at_end() { Next::End } else { Next::GivenUp })
    }

    /// Returns the call that goes on; `None` at the end, and when the search has read enough.
    pub(in crate::broker) fn call(&self) -> Option<Cmd> {
        if self.is_done() {
            return None;
        }
        let among = match self.among {
            Among::Claimed => "claimed",
            Among::All => "all",
        };
        let mut cmd = scripts::call(&scripts::SEARCH, [self.stream]);
        cmd.arg(self.job).arg(&self.from).arg(self.last).arg(among);
        cmd.arg(MAX_STEP.min(self.left));
        Some(cmd)
    }

    /// Takes the reply to a call. Returns the entry that it has found, if any.
    ///
    /// # Errors
    /// [`Error::is_protocol`] for a reply of another form.
    pub(in crate::broker) fn take(&mut self, reply: Value) -> Result<Option<Next>, Error> {
        let [found, next, seen] = reply::items::<3>(reply)?;
        let (found, next) = (reply::text(found)?, reply::text(next)?);
        self.left -= reply::int(seen)?.max(1);
        if found.is_empty() {
            self.from = next;
            return Ok(None);
        }
        self.from = format!("({found}");
        Ok(Some(Next::Found(found.into())))
    }

    /// Returns true when no call is left to make.
    pub(in crate::broker) fn is_done(&self) -> bool {
        self.is_at_end() || self.left <= 0
    }

    /// Returns true when all entries were read.
    pub(in crate::broker) fn is_at_end(&self) -> bool {
        self.from.is_empty()
    }

    /// Ends the search before the end of the lane.
    pub(in crate::broker) fn give_up(&mut self) {
        self.left = 0;
    }
}

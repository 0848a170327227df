//! The times of a claimed job, worked out when a caller asks: most do not.

use crate::job::{EntryId, JobId, Timestamp};

/// The times of a claimed job, as far as its entry, its id and its counters tell them.
#[derive(Debug, Clone)]
pub struct ClaimTimes {
    pub(super) id: JobId,
    /// The id of the entry, which begins with the time at which the server added it.
    pub(super) entry: EntryId,
    pub(super) generation: Option<Timestamp>,
    /// True when the job was not tried before.
    pub(super) fresh: bool,
}

impl ClaimTimes {
    /// Returns the time from which on a cancellation means the job, by the server's clock: of a job
    /// whose id is derived from a name, its generation; of another job that was not tried before,
    /// the time of its entry. `None` when it is not known.
    #[must_use]
    pub fn began_at(&self) -> Option<Timestamp> {
        self.generation.or_else(|| if self.fresh { self.ready_at() } else { None })
    }

    /// Returns the time at which the job was enqueued: its generation by the server's clock, else
    /// the time in its id by the clock of the producer, but no later than its entry. A job with an
    /// id of another kind was enqueued when it [began](Self::began_at).
    #[must_use]
    pub fn enqueued_at(&self) -> Option<Timestamp> {
        let in_id = || {
            let generated = self.id.generated_at()?;
            Some(self.ready_at().map_or(generated, |ready| generated.min(ready)))
        };
        self.generation.or_else(in_id).or_else(|| self.began_at())
    }

    /// Returns the time at which the job entered its lane, by the server's clock; `None` for an id
    /// of an entry that begins with no time.
    #[must_use]
    pub fn ready_at(&self) -> Option<Timestamp> {
        let (millis, _) = self.entry.split_once('-')?;
        millis.parse().ok().map(Timestamp::from_millis)
    }
}

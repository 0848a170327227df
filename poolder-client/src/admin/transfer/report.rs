//! The sums of an export, and the report of an import.

use poolder_core::broker::Imported;
use serde::{Deserialize, Serialize};

/// The content of an export in numbers. It is its last line as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportSums {
    /// The number of queues.
    pub queues: u64,
    /// The number of schedules.
    pub schedules: u64,
    /// The number of jobs.
    pub jobs: u64,
    /// The number of jobs that ran: they are ready in the export.
    pub ran: u64,
    /// The number of jobs that stand for batches, whose entries an export does not hold.
    pub batches: u64,
    /// The number of jobs that are too large to be read.
    pub too_large: u64,
}

impl ExportSums {
    /// Returns the number of jobs that are left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.batches.saturating_add(self.too_large)
    }
}

/// The numbers of jobs and schedules that an import has stored, or would store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// True for a dry run, which looks at the lines alone: it does not know what is there already.
    pub dry_run: bool,
    /// The number of lines.
    pub lines: u64,
    /// The number of jobs in the lines.
    pub jobs: u64,
    /// The number of jobs that were stored.
    pub stored: u64,
    /// The number of jobs that were there already, or were imported within the last 7 days.
    pub there: u64,
    /// The number of unique jobs that were left out, since another job holds their key.
    pub key_is_held: u64,
    /// The number of jobs that were left out, since 16 jobs of their id are there.
    pub no_room: u64,
    /// The number of schedules in the lines.
    pub schedules: u64,
    /// The number of schedules that were stored; the others were there.
    pub schedules_stored: u64,
    /// The number of queues in the lines.
    pub queues: u64,
    /// True when the last line of the export is missing: it was cut off.
    pub is_cut: bool,
}

impl ImportReport {
    /// Counts the outcome for a job.
    pub(super) fn count(&mut self, outcome: Imported) {
        match outcome {
            Imported::Stored => self.stored += 1,
            Imported::KeyIsHeld => self.key_is_held += 1,
            Imported::NoRoom => self.no_room += 1,
            _ => self.there += 1,
        }
    }
}

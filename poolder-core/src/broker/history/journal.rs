//! The journal of a namespace.

use crate::broker::Broker;
use crate::history::{JournalEntry, JournalFilter, JournalRecord, LogId, LogPage};
use crate::job::Error;

impl Broker {
    /// Adds a record to the journal, and returns the id of the entry.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn add_to_journal(&self, record: &JournalRecord) -> Result<LogId, Error> {
        self.add_to_log(&self.roster_keys().history.journal, record).await
    }

    /// Returns a page of the journal, the latest entry first: at most `most` entries that satisfy
    /// the filter, of those before the entry `before`.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn journal(
        &self,
        filter: &JournalFilter,
        before: Option<LogId>,
        most: usize,
    ) -> Result<LogPage<JournalEntry>, Error> {
        let key = &self.roster_keys().history.journal;
        let read = |id, record: JournalRecord| {
            filter.is_satisfied_by(&record).then(|| JournalEntry::new(id, record))
        };
        self.read_log(key, (before, filter.oldest()), most, read).await
    }
}

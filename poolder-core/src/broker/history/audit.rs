//! The audit of a namespace.

use crate::broker::Broker;
use crate::history::{AuditEntry, AuditFilter, AuditRecord, LogId, LogPage};
use crate::job::Error;

impl Broker {
    /// Adds a record to the audit, and returns the id of the entry.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn add_to_audit(&self, record: &AuditRecord) -> Result<LogId, Error> {
        self.add_to_log(&self.roster_keys().history.audit, record).await
    }

    /// Returns a page of the audit, the latest entry first: at most `most` entries that satisfy the
    /// filter, of those before the entry `before`.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<LogId>,
        most: usize,
    ) -> Result<LogPage<AuditEntry>, Error> {
        let key = &self.roster_keys().history.audit;
        let read = |id, record: AuditRecord| {
            filter.is_satisfied_by(&record).then(|| AuditEntry::new(id, record))
        };
        self.read_log(key, (before, filter.oldest()), most, read).await
    }
}

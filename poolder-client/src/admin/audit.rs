//! Reads the audit: who has changed what.

use poolder_core::Error;
use poolder_core::history::{AuditEntry, AuditFilter, LogId, LogPage};

use crate::client::Client;

impl Client {
    /// Returns a page of the audit, the latest entry first: at most `most` entries (never more than
    /// 500) that satisfy the filter, of those before the entry `before`. A page looks at some 5,000
    /// entries or fewer, and says how many. The last 10,000 entries are kept.
    ///
    /// Each change that is made with this library leaves an entry, with its
    /// [actor](Client::acting_as). A change of many jobs leaves one when it begins and one when it
    /// ends, so that one whose process has died is seen by its missing end.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::history::AuditFilter;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let drains = AuditFilter::default().action("queue.*").target("mail");
    /// for entry in client.audit(&drains, None, 20).await?.entries {
    ///     let record = entry.record;
    ///     println!("{} {} {}: {}", entry.at, record.actor, record.action, record.changed);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<LogId>,
        most: usize,
    ) -> Result<LogPage<AuditEntry>, Error> {
        self.broker().audit(filter, before, most).await
    }
}

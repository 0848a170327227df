//! Reads the journal: what has happened to the nodes and partitions of a fleet.

use poolder_core::Error;
use poolder_core::history::{JournalEntry, JournalFilter, LogId, LogPage};

use crate::client::Client;

impl Client {
    /// Returns a page of the journal, the latest entry first: at most `most` entries (never more
    /// than 500) that satisfy the filter, of those before the entry `before`. A page looks at some
    /// 5,000 entries or fewer, and says how many. The last 10,000 entries are kept.
    ///
    /// Nodes write into it when they come, leave, die or lead, when jobs are taken back, become
    /// suspects or are buried for crashes, when a settlement is refused, and when the first node of a
    /// deploy runs. The changes of operators are in the [audit](Client::audit).
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::history::{JournalEvent, JournalFilter};
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let deaths = JournalFilter::default().event(JournalEvent::NodeDied);
    /// for entry in client.journal(&deaths, None, 20).await?.entries {
    ///     println!("{} {} {}", entry.at, entry.record.event, entry.record.node);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn journal(
        &self,
        filter: &JournalFilter,
        before: Option<LogId>,
        most: usize,
    ) -> Result<LogPage<JournalEntry>, Error> {
        self.broker().journal(filter, before, most).await
    }
}

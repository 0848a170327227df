//! Enqueueing by hand.

use poolder_core::broker::{PreparedJob, Receipt, Stored};
use poolder_core::{Error, Handle};

use crate::client::Client;
use crate::state::audit::Change;

impl Client {
    /// Stores a job that an operator has made, and records it in the [audit](Client::audit), also
    /// without an [actor](Client::acting_as). [`Client::enqueue`] records nothing: it is the ordinary
    /// work of programs.
    ///
    /// # Errors
    /// As those of an awaited [`Client::enqueue`].
    pub async fn enqueue_by_hand(&self, job: PreparedJob) -> Result<Receipt, Error> {
        let (kind, target) = (job.envelope.kind().to_owned(), job.partition.clone());
        let target = Handle { partition: target, job: job.envelope.id(), place: None };
        let stored = async {
            let mut receipts = self.enqueue_prepared(vec![Ok(job)]).await;
            receipts.pop().unwrap_or_else(|| Err(Error::protocol("the receipt is missing")))
        };
        let change = || Change::new("job.enqueue", &target).detail(format_args!("kind {kind}"));
        let is_new = |receipt: &Receipt| match receipt.stored {
            Stored::Already | Stored::Duplicate(_) => 0,
            _ => 1,
        };
        self.auditor().record(change, is_new, stored).await
    }
}

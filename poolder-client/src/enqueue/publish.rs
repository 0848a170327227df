//! The last change of a job before it is stored.

use poolder_core::Error;
use poolder_core::broker::{PreparedJob, When};

use crate::client::Client;

impl Client {
    /// Makes the time within which a job starts a moment, counted from the time at which the job is
    /// ready.
    pub(crate) async fn publish(&self, new: &mut PreparedJob) -> Result<(), Error> {
        if new.envelope.expires_in().is_none() {
            return Ok(());
        }
        // Boxed, so that an enqueue of a job that does not expire carries no second future.
        let now = Box::pin(self.clock().now(self.broker())).await;
        let ready = now.map(|now| match new.when {
            When::In(delay) => now + delay,
            When::At(at) => at.max(now),
            _ => now,
        });
        let published = ready.and_then(|ready| new.envelope.clone().published(ready));
        new.envelope = published.map_err(|error| error.with_job(new.envelope.id()))?;
        Ok(())
    }
}

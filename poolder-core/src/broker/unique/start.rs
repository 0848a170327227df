//! Freeing the key of a unique job that starts.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};
use crate::stored::{Claim, since};

impl Broker {
    /// Frees the key of a job whose rule ends at the start. Returns whether the job held it; false as
    /// well for a job with another rule, or without one.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; the key is then freed
    /// by the end of the job.
    pub async fn free_key_at_start(
        &self,
        partition: &Partition,
        claim: &Claim,
    ) -> Result<bool, Error> {
        let Some(held) = claim.envelope.unique().filter(|held| held.mode.ends_at_start()) else {
            return Ok(false);
        };
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.free_key(partition, held.key, claim.envelope.id()));
        }
        let keys = self.keys(partition);
        let id = claim.envelope.id();
        let mut cmd = scripts::call(&scripts::UNIQUE_START, [keys.unique.as_str()]);
        cmd.arg(held.key.as_bytes()).arg(id.as_bytes()).arg(since(id, &claim.counters));
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }
}

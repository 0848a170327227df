//! The server's clock, as this process knows it: read once a minute at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use poolder_core::broker::Broker;
use poolder_core::{Error, Timestamp};

/// The time for which a reading is used. Two clocks differ by little more after it, and the clock of
/// another server after a failover is known soon.
const USED_FOR: Duration = Duration::from_secs(60);

/// The last reading of the server's clock.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<(Instant, Timestamp)>>);

impl ServerClock {
    /// Returns the time by the server's clock, for a job that is sent now.
    ///
    /// # Errors
    /// Never [`Error::is_unknown`]: the job is not sent.
    pub(crate) async fn now(&self, broker: &Broker) -> Result<Timestamp, Error> {
        #[cfg(feature = "testing")]
        if broker.captured().is_some() {
            return broker.server_now().await;
        }
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, server)) = known.filter(|(read, _)| read.elapsed() < USED_FOR) {
            return Ok(server + read.elapsed());
        }
        let asked = Instant::now();
        let server = broker.server_now().await.map_err(|error| match error.is_unknown() {
            true => Error::refused(format!("nothing is sent, since a read failed before: {error}")),
            false => error,
        })?;
        // The server has read its clock about half a round trip ago.
        let server = server + asked.elapsed() / 2;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), server));
        Ok(server)
    }
}

//! The start of a claimed job: until when it may start, and its counters from then on.

use crate::job::Timestamp;
use crate::policy::Counters;
use crate::stored::wire::Claim;

impl Claim {
    /// Returns the time after which the job does not start, by the server's clock. `None` once an
    /// attempt has begun, and for a job that does not expire.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.envelope.expires_at().filter(|_| !self.counters.has_begun())
    }

    /// Returns the counters of the job from the beginning of its attempt on.
    #[must_use]
    pub fn counters_at_start(&self) -> Counters {
        let counters = self.counters.clone();
        if self.expires_at().is_some() { counters.begun() } else { counters }
    }
}

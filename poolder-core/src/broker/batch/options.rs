//! The options of a batcher.

use std::time::Duration;

use crate::job::{Error, Headers, Policy, check_expires_in};

/// The largest allowed limit; more entries need more batches.
const MAX_LIMIT: u32 = 1_000_000;

/// The limits at which a batch is sealed, and the retry policy of its job.
///
/// The first node or client that declares the options stores them, and every pusher uses the stored
/// options. Programs that declare other options under the same [`revision`](Self::revision) get an
/// error. A higher revision replaces the stored options, a lower one leaves them as they are.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::broker::BatchOptions;
///
/// let options = BatchOptions::default().limit(1_000).timeout(Duration::from_secs(30));
/// assert_eq!(options.max_groups, 10_000);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BatchOptions {
    /// The most entries in a batch: 1 to 1,000,000. Default 100.
    pub limit: u32,
    /// The longest time from a batch's first entry until it is sealed; `None` for no limit.
    /// Default 10 s.
    pub timeout: Option<Duration>,
    /// The most bytes of entries in a batch, as they are stored; `None` (default) for no limit.
    pub max_bytes: Option<u64>,
    /// The most entries that wait, in filling and in sealed batches; `None` (default) for no
    /// limit. Entries of dead batches do not count.
    pub max_waiting: Option<u64>,
    /// The most groups that gather entries at once. Default 10,000.
    pub max_groups: u32,
    /// True to give the handler the last entry first. Default false.
    pub lifo: bool,
    /// Attempts, backoff and timeout of the batch job. Default 25 attempts.
    pub policy: Policy,
    /// The headers of the batch job. Default none.
    pub headers: Headers,
    /// The time within which the batch job starts, counted from the sealing of its list; `None`
    /// (default) for no limit.
    pub expires_in: Option<Duration>,
    /// The revision of these options, from 0 (the default). Each change needs a higher revision.
    pub revision: u32,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            limit: 100,
            timeout: Some(Duration::from_secs(10)),
            max_bytes: None,
            max_waiting: None,
            max_groups: 10_000,
            lifo: false,
            policy: Policy::default(),
            headers: Headers::new(),
            expires_in: None,
            revision: 0,
        }
    }
}

impl BatchOptions {
    /// Sets the most entries in a batch.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the longest time from a batch's first entry until it is sealed; `None` stands for no
    /// limit.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the most bytes of entries in a batch.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets the most entries that wait, in filling and in sealed batches.
    #[must_use]
    pub fn max_waiting(mut self, entries: u64) -> Self {
        self.max_waiting = Some(entries);
        self
    }

    /// Sets the most groups that gather entries at once.
    #[must_use]
    pub fn max_groups(mut self, groups: u32) -> Self {
        self.max_groups = groups;
        self
    }

    /// Gives the handler the last entry first.
    #[must_use]
    pub fn lifo(mut self) -> Self {
        self.lifo = true;
        self
    }

    /// Sets the policy of the batch job.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a header to the batch job, or replaces the one of this name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the time within which the batch job starts, counted from the sealing of its list. A batch
    /// that is not started by then is cancelled, with all of its entries. `None` stands for no limit.
    #[must_use]
    pub fn expires_in(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.expires_in = time.into();
        self
    }

    /// Sets the revision of these options.
    #[must_use]
    pub fn revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a limit of 0 or above 1,000,000, a timeout of 0, a maximum of 0,
    /// a time of 0 within which batches start, an invalid policy, or headers that are not allowed.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::invalid(text));
        if self.limit == 0 || self.limit > MAX_LIMIT {
            return refuse(format!(
                "limit {} is not allowed: a batch has 1 to {MAX_LIMIT} entries",
                self.limit
            ));
        }
        if self.timeout.is_some_and(|timeout| timeout < Duration::from_millis(1)) {
            return refuse(
                "timeout is 0: use 1 ms or more, or no timeout to seal by limit only".into(),
            );
        }
        for (what, zero) in [
            ("max_bytes", self.max_bytes == Some(0)),
            ("max_waiting", self.max_waiting == Some(0)),
            ("max_groups", self.max_groups == 0),
        ] {
            if zero {
                return refuse(format!(
                    "{what} is 0, so that nothing could be pushed: use 1 or more"
                ));
            }
        }
        self.headers.check()?;
        self.expires_in.map_or(Ok(()), check_expires_in)?;
        self.policy.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_be_followed_are_refused() {
        let usual = BatchOptions::default;
        let bad = [
            BatchOptions { limit: 0, ..usual() },
            BatchOptions { limit: 1_000_001, ..usual() },
            BatchOptions { timeout: Some(Duration::ZERO), ..usual() },
            BatchOptions { max_bytes: Some(0), ..usual() },
            BatchOptions { max_waiting: Some(0), ..usual() },
            BatchOptions { max_groups: 0, ..usual() },
            BatchOptions { expires_in: Some(Duration::ZERO), ..usual() },
            BatchOptions { policy: Policy::default().attempts(0), ..usual() },
        ];
        assert!(bad.iter().all(|options| options.check().is_err_and(|error| error.is_invalid())));
        assert!(usual().check().is_ok());
    }
}

//! Logs one line when requests to the server begin to fail and one when they no longer do, however
//! many parts of the node notice it.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poolder_core::Error;

/// An outage is over when no request has failed for this long: longer than a part of the node waits
/// for a reply and then pauses.
const QUIET: Duration = Duration::from_secs(8);

/// The outage of the server as this node sees it.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    outage: Mutex<Option<Outage>>,
}

/// An outage that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    began: Instant,
    last_failure: Instant,
    failures: u64,
}

impl Outages {
    /// Reports that a request has failed; `at` names the partition or queue, and `request` says what
    /// has failed. Only the first failure of an outage is a warning. A server that answers with an
    /// error is no outage: each such error is a warning.
    pub(crate) fn failed(&self, at: &dyn Display, request: &str, error: &Error) {
        if !(error.is_refused() || error.is_unknown()) {
            tracing::warn!(at = %at, request, %error, "a request to the server failed");
            return;
        }
        if note(&mut self.outage(), Instant::now()) {
            tracing::warn!(
                at = %at, request, %error,
                "the server does not answer; running jobs go on, and requests are repeated until \
                 it does"
            );
        } else {
            tracing::debug!(at = %at, request, %error, "a request to the server failed");
        }
    }

    /// Reports that the server has acknowledged a beat.
    pub(crate) fn answered(&self) {
        if let Some(outage) = end(&mut self.outage(), Instant::now()) {
            let took = outage.last_failure.saturating_duration_since(outage.began);
            tracing::warn!(failures = outage.failures, ?took, "the server answers again");
        }
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes a failure. Returns true when an outage begins with it.
fn note(outage: &mut Option<Outage>, now: Instant) -> bool {
    match outage {
        Some(outage) => {
            outage.last_failure = now;
            outage.failures += 1;
            false
        }
        None => {
            *outage = Some(Outage { began: now, last_failure: now, failures: 1 });
            true
        }
    }
}

/// Ends an outage without a recent failure, and returns it.
fn end(outage: &mut Option<Outage>, now: Instant) -> Option<Outage> {
    outage.take_if(|outage| now.saturating_duration_since(outage.last_failure) >= QUIET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_line_at_its_begin_and_one_at_its_end() {
        let (mut outage, start) = (None, Instant::now());
        assert_eq!(end(&mut outage, start), None);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(note(&mut outage, at(0)));
        assert!(!note(&mut outage, at(1)));
        assert_eq!(end(&mut outage, at(6)), None, "another part may still fail");
        assert!(!note(&mut outage, at(7)));
        let ended = end(&mut outage, at(15)).unwrap();
        assert_eq!((ended.began, ended.last_failure, ended.failures), (at(0), at(7), 3));
        assert_eq!(end(&mut outage, at(16)), None);
        assert!(note(&mut outage, at(17)), "the next outage is another one");
    }
}

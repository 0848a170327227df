//! What operators ordered for a partition, as this node knows it.

use std::collections::HashSet;
use std::sync::Arc;

use poolder_core::JobId;
use poolder_core::broker::Commands;

/// The orders that stand, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownCommands {
    /// Nothing is claimed before they are known.
    known: Option<Commands>,
    cancelled: CancelFilter,
}

/// Jobs that may have been cancelled. It is a sieve: what it holds must be asked about, what it
/// does not hold was not cancelled when it was filled.
#[derive(Debug, Clone)]
pub(crate) enum CancelFilter {
    /// Only these.
    Only(Arc<HashSet<JobId>>),
    /// Too many to list: any.
    MaybeAny,
}

impl Default for CancelFilter {
    fn default() -> Self {
        Self::Only(Arc::default())
    }
}

impl KnownCommands {
    pub(crate) fn new(orders: Commands, cancelled: CancelFilter) -> Self {
        Self { known: Some(orders), cancelled }
    }

    /// What was known last.
    pub(crate) fn known(&self) -> Option<Commands> {
        self.known
    }

    /// True when the partition is known not to be paused.
    pub(crate) fn permits_claims(&self) -> bool {
        self.known.is_some_and(|orders| orders.paused.is_none())
    }

    /// True when it is known to be paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.known.is_some_and(|orders| orders.paused.is_some())
    }

    /// True when the server must be asked about this job.
    pub(crate) fn may_cancel(&self, job: JobId) -> bool {
        match &self.cancelled {
            CancelFilter::Only(jobs) => jobs.contains(&job),
            CancelFilter::MaybeAny => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poolder_core::Timestamp;

    #[test]
    fn nothing_may_be_claimed_before_the_orders_are_known() {
        let standing = KnownCommands::default();
        assert!(!standing.permits_claims() && !standing.is_paused());
        let go = KnownCommands::new(Commands::default(), CancelFilter::default());
        assert!(go.permits_claims());
        let paused = Commands { number: 1, paused: Some(Timestamp::from_millis(5)) };
        let paused = KnownCommands::new(paused, CancelFilter::MaybeAny);
        assert!(!paused.permits_claims() && paused.is_paused());
    }

    #[test]
    fn the_sieve_lets_nothing_cancelled_through() {
        let (one, other) = (JobId::generate(), JobId::generate());
        let some = CancelFilter::Only(Arc::new(HashSet::from([one])));
        let some = KnownCommands::new(Commands::default(), some);
        assert!(some.may_cancel(one) && !some.may_cancel(other));
        assert!(KnownCommands::new(Commands::default(), CancelFilter::MaybeAny).may_cancel(other));
    }
}

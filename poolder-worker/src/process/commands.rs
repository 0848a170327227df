//! The operators' commands for a partition (pause and cancel), as far as this node knows them.

use std::collections::HashSet;
use std::sync::Arc;

use poolder_core::JobId;
use poolder_core::broker::Commands;

/// The commands in force for a partition, as of the last read from the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownCommands {
    /// The commands of the last read; `None` before the first. Nothing is claimed until then.
    known: Option<Commands>,
    cancelled: CancelFilter,
}

/// Over-approximation of the cancelled jobs, like a Bloom filter: a hit must be confirmed with the
/// server; a miss is certain as of the moment at which the filter was filled.
#[derive(Debug, Clone)]
pub(crate) enum CancelFilter {
    /// Only these jobs may have been cancelled.
    Only(Arc<HashSet<JobId>>),
    /// The cancelled jobs are too many to list: any job may have been cancelled.
    MaybeAny,
}

impl Default for CancelFilter {
    fn default() -> Self {
        Self::Only(Arc::default())
    }
}

impl KnownCommands {
    pub(crate) fn new(commands: Commands, cancelled: CancelFilter) -> Self {
        Self { known: Some(commands), cancelled }
    }

    /// Returns the commands of the last read; `None` before the first.
    pub(crate) fn known(&self) -> Option<Commands> {
        self.known
    }

    /// Returns true when the partition is known not to be paused.
    pub(crate) fn permits_claims(&self) -> bool {
        self.known.is_some_and(|commands| commands.paused.is_none())
    }

    /// Returns true when the queue is known to have limits.
    pub(crate) fn is_limited(&self) -> bool {
        self.known.is_some_and(|commands| commands.limited)
    }

    /// Returns true when the partition is known to be paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.known.is_some_and(|commands| commands.paused.is_some())
    }

    /// Returns true when the server must be asked whether this job was cancelled.
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
    fn nothing_may_be_claimed_before_the_commands_are_known() {
        let unknown = KnownCommands::default();
        assert!(!unknown.permits_claims() && !unknown.is_paused());
        let unpaused = KnownCommands::new(Commands::default(), CancelFilter::default());
        assert!(unpaused.permits_claims());
        let time = Some(Timestamp::from_millis(5));
        let paused = Commands { number: 1, paused: time, limited: false };
        let paused = KnownCommands::new(paused, CancelFilter::MaybeAny);
        assert!(!paused.permits_claims() && paused.is_paused());
    }

    #[test]
    fn the_filter_misses_no_cancelled_job() {
        let (one, other) = (JobId::generate(), JobId::generate());
        let some = CancelFilter::Only(Arc::new(HashSet::from([one])));
        let some = KnownCommands::new(Commands::default(), some);
        assert!(some.may_cancel(one) && !some.may_cancel(other));
        assert!(KnownCommands::new(Commands::default(), CancelFilter::MaybeAny).may_cancel(other));
    }
}

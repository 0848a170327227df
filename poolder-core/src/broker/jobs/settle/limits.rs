//! The limits for keeping dead jobs.

use std::time::Duration;

/// The limits for keeping dead jobs, and whether hooks are told of them. Default 10,000 jobs and 90
/// days, and no hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLimits {
    /// The maximum number of dead jobs. The oldest are dropped first, and are counted.
    pub count: u64,
    /// The maximum age of a dead job, counted from its death.
    pub age: Duration,
    /// True to record each burial for the hooks, which [`Broker::take_deaths`] reads.
    ///
    /// [`Broker::take_deaths`]: crate::broker::Broker::take_deaths
    pub hooks: bool,
}

impl Default for DeadLimits {
    fn default() -> Self {
        Self { count: 10_000, age: Duration::from_secs(90 * 24 * 60 * 60), hooks: false }
    }
}

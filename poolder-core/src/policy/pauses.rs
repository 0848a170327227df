//! The pauses between the tries of a request that fails.

use std::time::Duration;

/// The pauses between the tries of a request that fails: each is twice as long as the one before,
/// up to a limit.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::policy::Pauses;
///
/// let mut pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(150));
/// let found: Vec<u128> = (0..3).map(|_| pauses.after_failure().as_millis()).collect();
/// assert_eq!(found, [50, 100, 150]);
/// pauses.after_success();
/// assert_eq!(pauses.after_failure().as_millis(), 50);
/// ```
#[derive(Debug, Clone)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    /// Creates the pauses from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Returns the pause before the next try.
    pub fn after_failure(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause
    }

    /// Begins again with the first pause.
    pub fn after_success(&mut self) {
        self.next = self.first;
    }
}

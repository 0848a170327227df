//! Policies: the limits of a job's attempts and the waits between them.

use std::time::Duration;

use crate::job::{Error, LONGEST};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The limits of a job: how long an attempt may take, how many attempts it has, and how long it
/// waits between them.
///
/// A policy that differs from the default is stored with the job, so that any node can settle a job
/// whose code it does not have. Durations of more than ten years count as ten years.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::{Backoff, Policy};
///
/// let policy = Policy::default()
///     .attempts(5)
///     .backoff(Backoff::Fixed(Duration::from_secs(1)))
///     .timeout(Duration::from_secs(30));
/// assert_eq!(policy.backoff.delay(1, 0.0), Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The total number of attempts, the first included. Default 25.
    pub attempts: u32,
    /// The wait between attempts. Default [`Backoff::Polynomial`].
    pub backoff: Backoff,
    /// The longest one attempt may take; `None` for no limit. Default 30 minutes.
    pub timeout: Option<Duration>,
    /// The time after the first failure within which another attempt may start; `None` (default)
    /// for no limit.
    pub retry_for: Option<Duration>,
    /// The number of crashes at which the job is buried, if it was a suspect before the last one.
    /// Default 3.
    pub crashes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 25,
            backoff: Backoff::Polynomial,
            timeout: Some(Duration::from_secs(30 * 60)),
            retry_for: None,
            crashes: 3,
        }
    }
}

impl Policy {
    /// Sets the total number of attempts, the first included.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the wait between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the longest time one attempt may take; `None` stands for no limit. Default 30 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the time after the first failure within which another attempt may start; `None`, the
    /// default, stands for no limit.
    #[must_use]
    pub fn retry_for(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.retry_for = window.into();
        self
    }

    /// Sets the number of crashes at which a suspect is buried.
    #[must_use]
    pub fn crashes(mut self, crashes: u32) -> Self {
        self.crashes = crashes;
        self
    }

    /// Checks that all settings of the policy are allowed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for 0 attempts, a zero timeout, a crash limit below 2, and a list of
    /// waits that is empty or longer than 64.
    pub fn check(&self) -> Result<(), Error> {
        if self.attempts == 0 {
            return Err(Error::invalid("attempts is 0: a job needs at least 1 attempt"));
        }
        if self.timeout == Some(Duration::ZERO) {
            return Err(Error::invalid("timeout is 0: set a time, or None for no limit"));
        }
        if self.crashes < 2 {
            return Err(Error::invalid(
                "crashes is below 2: another job may have caused the first crash, use 2 or more",
            ));
        }
        match &self.backoff {
            Backoff::List(waits) if waits.is_empty() || waits.len() > MAX_LIST => {
                Err(Error::invalid(format!("a backoff list has 1 to {MAX_LIST} waits")))
            }
            _ => Ok(()),
        }
    }
}

const MAX_LIST: usize = 64;

/// The wait after the n-th failed attempt.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Backoff {
    /// n⁴ + 15 seconds, up to 10 % more or less, at most 24 hours: 16 s, 31 s, 96 s, 271 s, …
    #[default]
    Polynomial,
    /// `base` × 2ⁿ⁻¹, up to 10 % more or less, at most `cap`.
    Exponential {
        /// The first wait.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
    /// `step` × n, at most `cap`.
    Linear {
        /// The time that each failure adds.
        step: Duration,
        /// The longest wait.
        cap: Duration,
    },
    /// The same wait each time.
    Fixed(Duration),
    /// These waits one after another; the last one repeats. 1 to 64 waits.
    List(Vec<Duration>),
}

impl Backoff {
    /// Returns the wait after `failures` failed attempts (1 or more). `jitter` is a random number
    /// from −1 to 1; backoffs with jitter scale it to ±10 %, the others ignore it.
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let n = failures.max(1);
        match self {
            Self::Polynomial => {
                let seconds = u64::from(n).saturating_pow(4).saturating_add(15);
                spread(Duration::from_secs(seconds.min(DAY.as_secs())), jitter).min(DAY)
            }
            Self::Exponential { base, cap } => {
                let factor = 1_u32.checked_shl(n - 1).unwrap_or(u32::MAX);
                spread(base.saturating_mul(factor).min(*cap), jitter).min(*cap)
            }
            Self::Linear { step, cap } => step.saturating_mul(n).min(*cap),
            Self::Fixed(wait) => *wait,
            Self::List(waits) => {
                let index = (n as usize).min(waits.len()).saturating_sub(1);
                waits.get(index).copied().unwrap_or_default()
            }
        }
    }
}

fn spread(wait: Duration, jitter: f64) -> Duration {
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(-1.0, 1.0) };
    wait.min(LONGEST).mul_f64(1.0 + 0.1 * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: &Backoff, failures: u32) -> u64 {
        backoff.delay(failures, 0.0).as_secs()
    }

    #[test]
    fn the_default_grows_with_the_fourth_power_and_stops_at_a_day() {
        let waits: Vec<u64> =
            [1, 2, 3, 4, 18, 25].map(|n| seconds(&Backoff::Polynomial, n)).to_vec();
        assert_eq!(waits, [16, 31, 96, 271, 86_400, 86_400]);
        assert_eq!(Backoff::Polynomial.delay(u32::MAX, 1.0), DAY);
        let first = Backoff::Polynomial.delay(1, -1.0);
        assert_eq!(first, Duration::from_secs_f64(14.4));
    }

    #[test]
    fn each_form_follows_its_rule() {
        let s = Duration::from_secs;
        let exponential = Backoff::Exponential { base: s(2), cap: s(60) };
        assert_eq!([1, 2, 3, 9, 40].map(|n| seconds(&exponential, n)), [2, 4, 8, 60, 60]);
        let linear = Backoff::Linear { step: s(10), cap: s(25) };
        assert_eq!([1, 2, 3].map(|n| seconds(&linear, n)), [10, 20, 25]);
        let list = Backoff::List(vec![s(1), s(5)]);
        assert_eq!([1, 2, 3].map(|n| seconds(&list, n)), [1, 5, 5]);
        assert_eq!(Backoff::Fixed(s(7)).delay(3, 1.0), s(7));
    }

    #[test]
    fn the_longest_wait_can_be_varied() {
        let most = Duration::MAX;
        let backoff = Backoff::Exponential { base: most, cap: most };
        assert!(backoff.delay(u32::MAX, 1.0) <= LONGEST.mul_f64(1.1));
        assert_eq!(backoff.delay(1, f64::NAN), LONGEST, "no jitter");
    }

    #[test]
    fn a_policy_that_cannot_be_followed_is_refused() {
        assert!(Policy::default().check().is_ok());
        let bad = [
            Policy::default().attempts(0),
            Policy::default().timeout(Duration::ZERO),
            Policy::default().crashes(1),
            Policy::default().backoff(Backoff::List(vec![])),
        ];
        assert!(bad.iter().all(|policy| policy.check().is_err_and(|error| error.is_invalid())));
    }
}

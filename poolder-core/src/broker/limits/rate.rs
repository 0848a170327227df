//! The rate at which the jobs of a queue or of a group start.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::job::Error;

/// The longest window of a rate, and the longest time in which an empty bucket becomes full.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The shortest window of a rate.
const SHORTEST: Duration = Duration::from_millis(1);

/// How many jobs start in a time, in all nodes together. A job takes a token when it starts, or as
/// many as its cost says; tokens come back one at a time, at even intervals, by the server's clock.
///
/// ```
/// use std::time::Duration;
/// use poolder_core::broker::Rate;
///
/// const SECOND: Duration = Duration::from_secs(1);
/// // Never more than 100 jobs start in any 10 seconds, up to 10 of them at once.
/// let usual = Rate::per(100, 10 * SECOND);
/// // Never more than 100, one at a time.
/// let even = Rate::per(100, 10 * SECOND).burst(1);
/// // 100 on average; up to 50 at once, so that up to 150 start in some 10 seconds.
/// let loose = Rate::per(100, 10 * SECOND).bucket(50);
/// # let _ = (usual, even, loose);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rate {
    /// The number of jobs, or of units of their cost.
    pub count: u32,
    /// The time in which so many start. Serialized in milliseconds.
    #[serde(rename = "window_ms", serialize_with = "serialize_millis")]
    pub window: Duration,
    /// The number of tokens of a full bucket: so many jobs start at once after a quiet time.
    pub burst: u32,
    /// True when the number is an average, and more may start in some windows.
    pub is_loose: bool,
}

fn serialize_millis<S: Serializer>(window: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(window.as_secs_f64() * 1_000.0)
}

impl Rate {
    /// Creates a rate: never more than `count` jobs start in any time of this length. A tenth of
    /// them, rounded up, may start at once. The window is 1 ms to 31 days, in whole microseconds.
    #[must_use]
    pub const fn per(count: u32, window: Duration) -> Self {
        let window = Duration::new(window.as_secs(), window.subsec_micros() * 1_000);
        Self { count, window, burst: count.div_ceil(10), is_loose: false }
    }

    /// Sets how many jobs may start at once, 1 up to the number of the rate. The more there are, the
    /// slower tokens come back, since the number holds for every window. With 1 the jobs start at
    /// even intervals, and time in which none starts is not made up for.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst, is_loose: false, ..self }
    }

    /// Makes the number an average, and sets how many jobs may start at once. In some windows the
    /// number and so many more start.
    #[must_use]
    pub const fn bucket(self, burst: u32) -> Self {
        Self { burst, is_loose: true, ..self }
    }

    /// Returns the time after which a token comes back, in microseconds, rounded up.
    fn step(self) -> u64 {
        let window = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        let behind_burst = self.count.saturating_sub(self.burst).saturating_add(1);
        window.div_ceil(u64::from(if self.is_loose { self.count } else { behind_burst }).max(1))
    }

    /// Checks the rate of `what`.
    ///
    /// # Errors
    /// [`Error::is_invalid`], which says what to do instead.
    pub(super) fn check(self, what: &str) -> Result<(), Error> {
        let Self { count, window, burst, is_loose } = self;
        let most = if is_loose { u32::MAX } else { count };
        let micros = window.as_micros();
        let why = if count == 0 {
            "lets no job start: use at least 1, or pause the queue".to_owned()
        } else if !(SHORTEST..=LONGEST).contains(&window) {
            format!("is one per {window:?}: use a time of 1 ms to 31 days")
        } else if burst == 0 || burst > most {
            format!("lets {burst} jobs start at once: use 1 to {count}, or `bucket` for an average")
        } else if micros < u128::from(if is_loose { count } else { count - burst + 1 }) {
            format!(
                "lets {count} start in {window:?}, more than one in a microsecond: use a smaller \
                 number, or no rate"
            )
        } else if u128::from(self.step()) * u128::from(burst) > LONGEST.as_micros() {
            format!(
                "lets {burst} start at once, which takes more than 31 days to come back: use a \
                 smaller burst"
            )
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("{what} {why}")))
    }

    /// Returns the stored form: the time of a token in µs, the tokens of a full bucket, and the
    /// window in µs, which the scripts read; then the number, and 1 for an average.
    pub(super) fn encode(self) -> String {
        let Self { count, window, burst, is_loose } = self;
        let (step, window) = (self.step(), window.as_micros());
        format!("{step},{burst},{window},{count},{}", u8::from(is_loose))
    }

    /// Reads the stored form; `None` for a text that is no rate.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let numbers: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
        let [_, burst, window, count, loose] = numbers.ok()?.try_into().ok()?;
        Some(Self {
            count: count.try_into().ok()?,
            window: Duration::from_micros(window),
            burst: burst.try_into().ok()?,
            is_loose: loose == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_lets_no_more_start_in_any_window() {
        for (count, burst) in [(1, 1), (2, 1), (10, 1), (10, 10), (100, 10), (99, 13), (7, 3)] {
            let rate = Rate::per(count, SECOND).burst(burst);
            rate.check("it").unwrap();
            // Within a window the burst starts, and a job a step; the last one at its very end.
            let most = u64::from(burst) + (1_000_000 - 1) / rate.step();
            assert!(most <= u64::from(count), "{count} with {burst}: {most}");
        }
        assert_eq!(Rate::per(100, SECOND).burst, 10);
        assert_eq!(Rate::per(1, SECOND).burst, 1);
        let loose = Rate::per(100, SECOND).bucket(1_000);
        loose.check("it").unwrap();
        assert_eq!(loose.step(), 10_000);
    }

    #[test]
    fn absurd_rates_are_errors_that_say_what_to_do() {
        let day = 86_400 * SECOND;
        let bad = [
            (Rate::per(0, SECOND), "use at least 1"),
            (Rate::per(1, Duration::ZERO), "1 ms to 31 days"),
            (Rate::per(1, Duration::from_nanos(999)), "1 ms to 31 days"),
            (Rate::per(1, Duration::MAX), "1 ms to 31 days"),
            (Rate::per(10, SECOND).burst(0), "use 1 to 10"),
            (Rate::per(10, SECOND).burst(11), "use 1 to 10"),
            (Rate::per(u32::MAX, SECOND), "a smaller number"),
            (Rate::per(2_000_000, SECOND).bucket(1), "a smaller number"),
            (Rate::per(1, 31 * day).bucket(2), "a smaller burst"),
            (Rate::per(u32::MAX, 31 * day).bucket(0), "use 1 to"),
        ];
        for (rate, mend) in bad {
            let error = rate.check("the rate of a queue").unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(mend), "{rate:?}: {error}");
        }
        let good = [
            Rate::per(1, 31 * day),
            Rate::per(u32::MAX, 31 * day),
            Rate::per(900_000, SECOND),
            Rate::per(1, SHORTEST),
            Rate::per(1_000, SECOND).burst(1_000),
        ];
        for rate in good {
            rate.check("it").unwrap_or_else(|error| panic!("{rate:?}: {error}"));
        }
    }

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_no_rate() {
        for rate in [Rate::per(100, 10 * SECOND), Rate::per(7, SECOND).bucket(50)] {
            assert_eq!(Rate::decode(&rate.encode()), Some(rate));
        }
        assert_eq!(Rate::per(100, 10 * SECOND).encode(), "109891,10,10000000,100,0");
        for text in ["", "1", "1,2,3,4", "1,2,3,4,5,6", "a,b,c,d,e", "1,2,3,99999999999,0"] {
            assert_eq!(Rate::decode(text), None, "{text:?}");
        }
    }
}

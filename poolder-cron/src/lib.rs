//! Timings of recurring jobs: cron expressions, intervals and time zones.
//!
//! This is a separate crate, since two crates need the same results: `poolder-core`, which computes
//! the ticks of stored schedules, and `poolder-macros`, which refuses a bad expression at compile
//! time. No function uses a clock. The rules of a time zone are read from the system's zone files
//! when the zone is named first, see [`ZoneData`]. Moments are milliseconds since 1970 UTC.
//! Without the feature `expressions` the crate only parses lengths of time, with [`span`].
//!
//! ```
//! use poolder_cron::{Timing, Zone};
//!
//! let berlin: Zone = "Europe/Berlin".parse()?;
//! let nightly: Timing = "30 2 * * Mon-Fri".parse()?;
//! let after = 1_774_656_000_000; // Saturday, 2026-03-28
//! let monday = nightly.next(berlin, 0, after).unwrap();
//! assert_eq!(monday, 1_774_830_600_000); // Monday 02:30 summer time, 00:30 UTC
//!
//! assert!("0 0 30 2 *".parse::<Timing>().unwrap_err().to_string().contains("never"));
//! # Ok::<(), poolder_cron::InvalidTiming>(())
//! ```

use std::fmt;

#[cfg(feature = "expressions")]
mod expression;
#[cfg(feature = "expressions")]
mod field;
mod span;
#[cfg(feature = "expressions")]
mod timing;
#[cfg(feature = "expressions")]
mod zone;

#[cfg(feature = "expressions")]
pub use expression::Expression;
pub use span::{MAX_SPAN, span};
#[cfg(feature = "expressions")]
pub use timing::{MIN_INTERVAL, Timing};
#[cfg(feature = "expressions")]
pub use zone::{Zone, ZoneData};

/// The error for a text or an interval that is refused: a sentence with the reason and what to use
/// instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTiming(String);

impl InvalidTiming {
    #[cfg(feature = "expressions")]
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for InvalidTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidTiming {}

/// Returns the first 80 characters of a user's text, for an error.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

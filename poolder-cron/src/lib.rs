//! When recurring things happen: cron expressions, intervals and time zones as Poolder means them.
//!
//! A crate of its own because two need the same answer: `poolder-core`, which works out the ticks
//! of stored schedules, and `poolder-macros`, which refuses a bad expression at compile time. It
//! is pure: no clock, no I/O. Moments are milliseconds since 1970 UTC.
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
//! # Ok::<(), poolder_cron::Invalid>(())
//! ```

mod expression;
mod field;
mod span;
mod timing;
mod zone;

use std::fmt;

pub use expression::Expression;
pub use span::{MAX_SPAN, span};
pub use timing::{MIN_INTERVAL, Timing};
pub use zone::Zone;

/// What is wrong with a text, in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// A user's text as it may be shown in a message: not too long.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

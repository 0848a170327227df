//! Decisions: the next step of a job whose claim has ended, and the slot of an addressed pool that
//! a job goes to.
//!
//! A node asks [`decide`](decide::decide) whenever a claim has ended; a producer of an addressed
//! pool asks [`dispatch`] for the slot. Both are plain functions, so that they can be tested, and
//! computed elsewhere, without a server.
//!
//! ```
//! use poolder_core::policy::decide::{Ending, Transition, decide};
//! use poolder_core::{Counters, Facts, Outcome, Policy, Timestamp};
//!
//! let (policy, counters) = (Policy::default(), Counters::default());
//! let facts = Facts::at(Timestamp::from_millis(1_774_656_000_000));
//! let next = decide(&policy, &counters, Ending::Outcome(Outcome::Done), facts);
//! assert_eq!(next, Transition::Complete);
//! ```
//!
//! Pure; imports `job` only.

mod attempt;
mod counters;
pub mod decide;
pub mod dispatch;
mod error_id;
mod fingerprint;
mod history;
mod next_step;
mod pauses;

pub use attempt::{Attempt, Facts};
pub use counters::Counters;
pub use error_id::ErrorId;
pub use pauses::Pauses;

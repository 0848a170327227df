//! Decisions: the next step of a job whose claim has ended, and the slot of an addressed pool that
//! a job goes to.
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

//! The queue of a test, in memory, in which a broker without a server stores, and the clock that
//! the test moves. Behind the feature `testing`.
//!
//! Jobs, batches and schedules go from state to state as the scripts would move them. Left out
//! is everything that several processes share: claims that expire, leases, rescues.
//!
//! | file | contents |
//! |---|---|
//! | `state` | the state, which the other files change |
//! | `jobs` | jobs: stored, claimed, settled |
//! | `looks` | jobs as callers and operators see them, and what these change |
//! | `batches` | entries that gather, and the batches made of them |
//! | `schedules` | schedules, and the jobs of their ticks |
//! | `time` | the clock, and everything that its advance makes due |

mod batches;
mod jobs;
mod looks;
#[cfg(feature = "schedules")]
mod schedules;
mod state;
mod time;
mod unique;

pub(crate) use batches::{PushEnd, PushResult, PushStop};
pub(crate) use looks::CancelledJob;
pub use looks::ListedJob;
#[cfg(feature = "schedules")]
pub(crate) use schedules::SchedulePut;
#[cfg(feature = "schedules")]
pub(crate) use state::CapturedSchedule;
pub(crate) use state::{BatchChange, BatcherRules, NewJob, StoredJob};
pub use state::{Captured, JobNumber};

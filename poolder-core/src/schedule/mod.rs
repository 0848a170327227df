//! Schedules of recurring jobs. Pure, as the rest of the upper half of this crate.
//!
//! | file | content |
//! |---|---|
//! | `spec` | a schedule: its job, its timing, its policies |
//! | `plan` | the plan of a schedule: the ticks that are due, those that run, and the next one |
//! | `record` | the stored form of a schedule, with its owner and its state |
//! | `run` | the last runs of a schedule, and their stored form |

mod plan;
mod record;
mod run;
mod spec;

pub use plan::TickPlan;
pub use record::Status;
pub(crate) use record::{Record, StoredState, spread};
#[cfg(feature = "testing")]
pub(crate) use run::KEPT_RUNS;
pub use run::{ScheduleRun, ScheduleRunEnd};
pub use spec::{Missed, Overlap, Schedule, check_schedule_name};

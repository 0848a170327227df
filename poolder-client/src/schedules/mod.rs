//! Schedules: listed, added, changed, paused, run by hand.

mod changes;
mod handle;
mod many;
mod new_schedule;

pub use changes::{PutSchedule, SetStatus};
pub use handle::Schedules;
pub use new_schedule::NewSchedule;

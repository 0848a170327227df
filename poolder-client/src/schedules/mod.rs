//! The schedules of a queue: listed, added, changed, paused, run by hand.

mod handle;
mod new_schedule;

pub use handle::Schedules;
pub use new_schedule::NewSchedule;

//! What recurs, and when: pure, as the rest of the upper half.
//!
//! | file | what |
//! |---|---|
//! | `spec` | a schedule: its job, its timing, its policies |
//! | `plan` | which ticks are due, which run, which comes next |
//! | `record` | a schedule as it is stored, with who declared it |

mod plan;
mod record;
mod spec;

pub use plan::TickPlan;
pub use record::Status;
pub(crate) use record::{Record, StoredState, spread};
pub use spec::{Missed, Overlap, Schedule, check_schedule_name};

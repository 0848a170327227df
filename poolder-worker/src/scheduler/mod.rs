//! Schedulers: recurring jobs, which may change their own schedules. Imports `run` and `node`.
//!
//! | file | contents |
//! |---|---|
//! | `periodic` | the trait that users implement |
//! | `builder` | the builder of a scheduler: its jobs, their timings and settings |
//! | `job` | a job of a scheduler: its payload, the name and the defaults of its schedule |
//! | `ticker` | the worker that runs the jobs |
//! | `then` | the return values by which a job changes its schedule |
//! | `apply` | the execution of such a return value |
//! | `crontab` | schedules for jobs of any workers |

mod apply;
mod builder;
mod crontab;
mod job;
mod periodic;
mod then;
mod ticker;

pub use builder::Scheduler;
pub use crontab::Crontab;
pub use periodic::Periodic;
pub use then::{IntoThen, Then};

//! Schedulers: code whose jobs recur, and whose jobs may change when they do. Imports `run` and
//! `node`.
//!
//! | file | what it holds |
//! |---|---|
//! | `periodic` | the trait users implement |
//! | `builder` | a scheduler as a part of a node: which jobs, when, and how |
//! | `job` | a job of a scheduler: its payload, the name and the defaults of its schedule |
//! | `ticker` | the worker that runs its jobs |
//! | `then` | the answers by which a job changes its schedule |
//! | `apply` | the execution of such an answer |
//! | `crontab` | schedules of jobs that other workers run |

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

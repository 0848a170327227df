//! One job: its state, its result, its progress, and what an operator does with it.

mod client;
mod result;
mod wait;

pub use client::JobClient;
pub use result::JobResult;
pub use wait::JobWait;

//! The checker: reads the ledger and the last state of Redis, and nothing else.

mod executions;
mod history;
mod verdict;

pub(crate) use history::{Fault, History, Job};
pub(crate) use verdict::{Allowances, Verdict, check};

#[cfg(test)]
mod tests;

//! The checker: checks a run from the ledger and the final contents of Redis alone.

mod executions;
mod history;
mod verdict;

pub(crate) use history::{Fault, History, Job};
pub(crate) use verdict::{Allowances, Verdict, check};

#[cfg(test)]
mod tests;

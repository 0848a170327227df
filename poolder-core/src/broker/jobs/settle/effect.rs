//! [`Effect`]: a change that goes with a settlement.

use crate::job::{Failure, JobId};

/// A change that is applied in the same step as a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Reduces a batch to the entries that were set aside under this name.
    KeepEntries(String),
    /// Moves the entries of a batch that were set aside under this name into a separate dead batch.
    BuryEntries {
        /// The name under which the entries were set aside.
        part: String,
        /// The id of the dead batch.
        id: JobId,
        /// The reason.
        failure: Failure,
    },
    /// Takes so many tokens of the rates of a limited queue and of the group, in place of those that
    /// the job took when it started.
    Charge(u32),
}

/// Returns the tokens that a job takes in place of its cost, if they are named.
pub(super) fn charged(effects: &[Effect]) -> Option<u32> {
    effects.iter().find_map(|effect| match effect {
        Effect::Charge(units) => Some(*units),
        _ => None,
    })
}

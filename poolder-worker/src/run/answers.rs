//! The answers of the server to a batch of settlements.

use poolder_core::{Error, JobId};

use super::mailbox::EntryKey;

/// The answers to a batch of settlements.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The settlements that are done: their entries are no longer held.
    pub(crate) ended: Vec<Ended>,
    /// Entries that cannot be settled. The server still holds them for their consumer.
    pub(crate) given_up: Vec<EntryKey>,
    /// The error of the last settlement that was not answered.
    pub(crate) failed: Option<Error>,
}

/// A settlement that is done.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) key: EntryKey,
    pub(crate) job: JobId,
    /// False when it changed nothing, as the claim was lost, or the settlement applied before.
    pub(crate) applied: bool,
    /// True when an earlier call may have applied it, before the call raised an error.
    pub(crate) repeated: bool,
}

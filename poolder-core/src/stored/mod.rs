//! Writing and reading of the bytes of jobs, counters and completions in Redis. Bytes that are read
//! are never trusted.
//!
//! Pure; imports [`job`](crate::job) and [`policy`](crate::policy).

mod batch;
mod completion;
mod envelope;
mod grouped;
#[cfg(test)]
pub(crate) mod table;
mod unique;
pub mod variant;
mod wire;

pub use batch::BatchPayload;
pub(crate) use batch::check_no_batch;
pub use completion::Completion;
pub use envelope::Envelope;
pub(crate) use envelope::Options;
pub(crate) use grouped::{
    group_field, grouped_value, id_of_unreadable, read_group_field, read_grouped,
};
pub(crate) use unique::{BEHIND, KeyHold, since};
pub use wire::{Claim, ClaimTimes, Entry, Undecodable};
pub(crate) use wire::{
    ClaimedRange, Death, Finish, GROUP, JOB, entry_bytes, head, read_dead, read_entry,
    read_finished, read_waiting, try_read_dead,
};

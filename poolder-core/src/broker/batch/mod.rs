//! Batches: entries gather in a list, a full or old list is sealed, and a job points to it.
//!
//! ```text
//! push ─→ filling list ──(limit, bytes, timeout, flush: renamed)──→ sealed list ←─ batch job
//! ```
//! All keys of a batcher live in one partition, its home. What ends the batch job, ends the list:
//! see [`Settlement`](super::Settlement). A batch job is told by its kind,
//! `poolder.batch/<name>`, and its sealed list is named by its id.
//!
//! | file | what |
//! |---|---|
//! | `options` | limit, timeout and so on, as they are stored and compared |
//! | `push` | entries into a filling list; sealing |
//! | `open` | looking into a filling list, and taking an entry out |
//! | `sealed` | reading a sealed list, and setting entries of it apart |
//! | `inspect` | what there is |
//! | `totals` | what has ever happened |
//! | `timer` | sealing when the time has come |

mod inspect;
mod open;
mod options;
mod push;
mod sealed;
mod timer;
mod totals;

use crate::job::{BATCH_KIND, Error, Partition, QueueName, check_name};

pub use inspect::{BatchState, BatcherSums, OpenBatch, SealedBatch};
pub use open::{Gathering, Popped};
pub use options::BatchOptions;
pub use push::{ListEnd, PushCall, PushVerdict, PushedEntries, Token};
pub use sealed::Payload as BatchPayload;
pub(in crate::broker) use timer::Timer;
pub use totals::BatcherTotals;

/// The most entries that a script takes or that are read at once …
pub const CHUNK: usize = 500;
/// … and about the most bytes, but always at least one entry.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Where a batcher lives: a queue's first partition, and a name in it.
///
/// ```
/// use poolder_core::broker::BatcherHome;
///
/// let home = BatcherHome::new("reports", "rows")?;
/// assert_eq!(home.kind(), "poolder.batch/rows");
/// assert!(BatcherHome::new("reports", "a:b").is_err());
/// # Ok::<(), poolder_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BatcherHome {
    partition: Partition,
    name: Box<str>,
}

impl BatcherHome {
    /// Checks both names: a batcher's is 1 to 64 ASCII letters, digits, `_`, `-` or `.`.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when one of them cannot be.
    pub fn new(queue: &str, name: &str) -> Result<Self, Error> {
        check_name("batcher name", name, 64, "_-.")?;
        Ok(Self { partition: Partition::first(QueueName::new(queue)?), name: name.into() })
    }

    /// The partition in which its entries and jobs are.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The batcher's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of its jobs.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{BATCH_KIND}{}", self.name)
    }
}

/// Checks the name of a group: empty for none, else up to 128 ASCII letters, digits or any of
/// `_-.@/+=,~`.
///
/// # Errors
/// [`Error::is_invalid`] when it cannot be.
pub fn check_group(group: &str) -> Result<(), Error> {
    if group.is_empty() { Ok(()) } else { check_name("group", group, 128, "_-.@/+=,~") }
}

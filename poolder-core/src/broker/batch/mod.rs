//! Batches: entries gather in a list, a full or old list is sealed, and a job points to it.
//!
//! ```text
//! push ─→ filling list ──(limit, bytes, timeout, flush: renamed)──→ sealed list ←─ batch job
//! ```
//! All keys of a batcher are in one partition, its home. A settlement that ends the batch job also
//! removes its list: see [`Settlement`](super::Settlement). A batch job is recognized by its kind,
//! `poolder.batch/<name>`; its sealed list is named by the job's id.
//!
//! | file | content |
//! |---|---|
//! | `options` | the batcher's options, and their limits |
//! | `declare` | storing the options, and comparing them with the stored ones |
//! | `push` | pushing entries into a filling list, and sealing it |
//! | `open` | reading a filling list, and taking an entry out of it |
//! | `sealed` | reading a sealed list, and setting entries of it aside |
//! | `inspect` | the state of a batcher, its filling and its sealed lists |
//! | `totals` | lifetime counters |
//! | `timer` | sealing lists whose timeout has passed |

mod declare;
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
pub(in crate::broker) use timer::Timer;
pub use totals::BatcherTotals;

/// The most entries that one script takes or one read returns.
pub const CHUNK: usize = 500;
/// The approximate most bytes of these entries; a single entry may have more.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The address of a batcher: a queue's first partition, and the batcher's name in it.
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
    /// Builds the address, after checking both names. A batcher's name has 1 to 64 ASCII letters,
    /// digits, `_`, `-` or `.`.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when one of the names is not allowed.
    pub fn new(queue: &str, name: &str) -> Result<Self, Error> {
        check_name("batcher name", name, 64, "_-.")?;
        Ok(Self { partition: Partition::first(QueueName::new(queue)?), name: name.into() })
    }

    /// Returns the partition that holds the batcher's entries and jobs.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// Returns the batcher's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the kind of the batcher's jobs.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{BATCH_KIND}{}", self.name)
    }
}

/// An index that no entry has: a list of Redis has at most 2³² − 1 entries. A later index counts as
/// this one, since a server refuses those above 2⁶³, and scripts those above 2⁵³.
const BEYOND: u64 = u32::MAX as u64;

/// Returns the index of the first and the last of `count` entries, at least one, from an index on.
fn bounds(from: u64, count: usize) -> (u64, u64) {
    let from = from.min(BEYOND);
    (from, from + (count.clamp(1, CHUNK) as u64 - 1))
}

/// Checks the name of a group: empty for no group, else up to 128 ASCII letters, digits or any of
/// `_-.@/+=,~`.
///
/// # Errors
/// [`Error::is_invalid`] when the name is not allowed.
pub fn check_group(group: &str) -> Result<(), Error> {
    if group.is_empty() { Ok(()) } else { check_name("group", group, 128, "_-.@/+=,~") }
}

//! The ids of jobs and of stream entries.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::job::Timestamp;

/// The id of a stream entry, as the server wrote it. Cheap to clone.
pub type EntryId = Arc<str>;

/// The fields of a stream entry, in order.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The id of a job: 128 bits, written as a UUID.
///
/// Ids made by a client are ordered by time and reveal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) Uuid);

impl JobId {
    /// A new id (UUIDv7).
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id in these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// When it was made by [`JobId::generate`], by the clock of that host; `None` for an id that
    /// stands for a name, under which there may be another job later.
    #[must_use]
    pub fn generated_at(&self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(Timestamp::from_millis(millis.saturating_add(i64::from(nanos / 1_000_000))))
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

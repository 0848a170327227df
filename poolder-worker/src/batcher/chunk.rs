//! The size of the chunks in which the entries of a batch are read and copied.

use poolder_core::BatchPayload;
use poolder_core::broker::{CHUNK, CHUNK_BYTES};

/// Returns the number of entries to read at once: about 1 MiB of entries of the average size, and
/// at most 500.
pub(super) fn chunk_len(about: &BatchPayload) -> usize {
    let average = about.bytes / about.entries.max(1);
    usize::try_from(CHUNK_BYTES as u64 / average.max(1)).unwrap_or(CHUNK).clamp(1, CHUNK)
}

//! The size of the chunks in which the entries of a batch are read and copied.

use poolder_core::broker::{BatchPayload, CHUNK, CHUNK_BYTES};

/// How many entries of about the average size are read at once.
pub(super) fn chunk_len(about: &BatchPayload) -> usize {
    let average = about.bytes / about.entries.max(1);
    usize::try_from(CHUNK_BYTES as u64 / average.max(1)).unwrap_or(CHUNK).clamp(1, CHUNK)
}

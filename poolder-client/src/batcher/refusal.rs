//! Errors of a push: an entry is too large, or the batcher is full.

use poolder_core::Error;
use poolder_core::broker::{BatchOptions, BatcherHome, PushVerdict};

/// Returns an error when an entry of this size does not fit into a batch.
pub(super) fn check_fits(options: &BatchOptions, bytes: usize) -> Result<(), Error> {
    match options.max_bytes {
        Some(most) if bytes as u64 > most => Err(too_large(bytes, most)),
        _ => Ok(()),
    }
}

/// Returns the error for entries that were refused; `None` when the verdict is no refusal.
pub(super) fn refusal(
    home: &BatcherHome,
    options: &BatchOptions,
    verdict: PushVerdict,
) -> Option<Error> {
    let name = home.name();
    match verdict {
        PushVerdict::Stored | PushVerdict::Options => None,
        PushVerdict::Full => Some(Error::full(format!(
            "batcher {name:?} holds {} waiting entries, its limit: push later, wait for room with \
             .wait(…), or add workers",
            options.max_waiting.unwrap_or_default()
        ))),
        PushVerdict::Groups => Some(Error::full(format!(
            "batcher {name:?} has {} groups with entries, its limit: push later, or use fewer \
             groups or a shorter timeout",
            options.max_groups
        ))),
    }
}

pub(super) fn too_large(bytes: usize, most: u64) -> Error {
    Error::too_large(format!(
        "the entry has {bytes} bytes, the most is {most}: store the data elsewhere and push a \
         reference to it"
    ))
}

//! What is wrong with a push: an entry that is too large, or a batcher that has no room.

use poolder_core::Error;
use poolder_core::broker::{BatchOptions, BatcherHome, PushVerdict};

/// Says whether an entry of that size fits into a batch.
pub(super) fn check_fits(options: &BatchOptions, bytes: usize) -> Result<(), Error> {
    match options.max_bytes {
        Some(most) if bytes as u64 > most => Err(too_large(bytes, most)),
        _ => Ok(()),
    }
}

/// The error for entries that had no room.
pub(super) fn refusal(
    home: &BatcherHome,
    options: &BatchOptions,
    verdict: PushVerdict,
) -> Option<Error> {
    let name = home.name();
    match verdict {
        PushVerdict::Stored | PushVerdict::Options => None,
        PushVerdict::Full => Some(Error::full(format!(
            "{} entries of batcher {name:?} wait, as many as may: push later, wait for room with \
             .wait(…), or add workers",
            options.max_waiting.unwrap_or_default()
        ))),
        PushVerdict::Groups => Some(Error::full(format!(
            "{} groups of batcher {name:?} gather entries, as many as may: push later, or use \
             fewer groups or a shorter timeout",
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

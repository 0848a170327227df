//! A warning about jobs that are named and are not unique.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The kinds of which it was said.
static SAID: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Logs, once for each kind, that a name does not make a job unique: a second enqueue of a ready job
/// stores a second job of its id.
pub(crate) fn give(kind: &'static str) {
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
        tracing::warn!(
            kind,
            "a name is no rule: each enqueue with `id` stores a job; for one at a time add \
             `unique(Unique::until_done())` or `idempotent`, and `unique(None)` where several are \
             meant"
        );
    }
}

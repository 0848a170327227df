//! Where slots put what they have finished, and the claimer picks it up: many at a time, without
//! a channel hop per job.

use std::sync::{Arc, Mutex, PoisonError};

use poolder_core::broker::{NodeName, Settlement};
use poolder_core::{Claim, EntryId, Lane};
use tokio::sync::Notify;

use crate::context::Context;

/// The entry that a claim holds.
pub(crate) type Key = (Lane, EntryId);

/// A job on its way to a slot.
pub(crate) struct Work {
    pub(crate) claim: Claim,
    pub(crate) cx: Context,
    pub(crate) owner: NodeName,
    /// The server history in which it was claimed.
    pub(crate) history: Option<Arc<str>>,
}

/// What a slot says.
#[expect(clippy::large_enum_variant, reason = "nearly every word is a Finished")]
pub(crate) enum Word {
    /// It is ready for a job.
    Free(usize),
    /// Its job has ended, and it is free. Without a settlement the job is not ours any more.
    Finished(usize, Key, Option<Settlement>),
}

/// A pile of words.
#[derive(Default)]
pub(crate) struct Desk {
    pile: Mutex<Vec<Word>>,
    bell: Notify,
}

impl Desk {
    /// Lays down a word. The pile is bounded by the slots, each of which says one at a time.
    pub(crate) fn put(&self, word: Word) {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        self.bell.notify_one();
    }

    /// Takes the whole pile.
    pub(crate) fn take(&self) -> Vec<Word> {
        std::mem::take(&mut *self.pile.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a word was laid down since the last call returned.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }
}

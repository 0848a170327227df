//! Where slots put what they have finished, and the claimer picks it up: many at a time, without
//! a channel hop per job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::broker::{NodeName, Settlement};
use poolder_core::{Claim, EntryId, Lane};
use tokio::sync::Notify;

use super::context::Context;

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
pub(crate) enum Word {
    /// It is ready for a job.
    Free(usize),
    /// Its job has ended, and it is free. Without a settlement the job is not ours any more.
    Finished(usize, Key, Option<Settlement>),
    /// Its job has ended, and it went on with the next that lay on the desk.
    WentOn(Key, Option<Settlement>),
}

/// Where slots lay down words, and the claimer lays down jobs for whoever is done first: a
/// handler that ends at once is then followed by the next without waking anybody.
#[derive(Default)]
pub(crate) struct Desk {
    board: Mutex<Board>,
    bell: Notify,
}

#[derive(Default)]
struct Board {
    words: Vec<Word>,
    /// Jobs for which there is a free slot that was not woken.
    jobs: VecDeque<Work>,
    /// A handler waited for something since the claimer last asked.
    waited: bool,
}

impl Desk {
    /// Lays down a word. The pile is bounded by the slots and the jobs that were claimed for them.
    pub(crate) fn put(&self, word: Word) {
        self.board().words.push(word);
        self.bell.notify_one();
    }

    /// A slot has ended its job: it takes the next that lies here, or is free.
    pub(crate) fn finish(
        &self,
        slot: usize,
        key: Key,
        settlement: Option<Settlement>,
    ) -> Option<Work> {
        let mut board = self.board();
        let next = board.jobs.pop_front();
        board.words.push(match next {
            Some(_) => Word::WentOn(key, settlement),
            None => Word::Finished(slot, key, settlement),
        });
        drop(board);
        // As long as there is work, what has ended is better settled in one go.
        if next.is_none() {
            self.bell.notify_one();
        }
        next
    }

    /// A handler waits for something: its slot will not come for the next job soon.
    pub(crate) fn waits(&self) {
        let mut board = self.board();
        board.waited = true;
        if !board.jobs.is_empty() {
            drop(board);
            self.bell.notify_one();
        }
    }

    /// Takes all words; the bell is rung for later ones.
    pub(crate) fn take(&self) -> Vec<Word> {
        std::pin::pin!(self.bell.notified()).enable();
        std::mem::take(&mut self.board().words)
    }

    /// Lays down jobs for the slots that are awake.
    pub(crate) fn leave(&self, jobs: impl IntoIterator<Item = Work>) {
        self.board().jobs.extend(jobs);
    }

    /// Takes back the jobs that nobody has come for.
    pub(crate) fn take_back(&self) -> VecDeque<Work> {
        std::mem::take(&mut self.board().jobs)
    }

    /// How many jobs lie here.
    pub(crate) fn jobs(&self) -> usize {
        self.board().jobs.len()
    }

    /// True when a handler has waited for something since this was last asked.
    pub(crate) fn has_waited(&self) -> bool {
        std::mem::take(&mut self.board().waited)
    }

    /// The same, without forgetting it.
    pub(crate) fn waits_somewhere(&self) -> bool {
        self.board().waited
    }

    /// Waits until the bell was rung since the last call returned.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::Lane;

    use super::*;

    fn rings(desk: &Desk) -> bool {
        std::pin::pin!(desk.bell.notified()).enable()
    }

    fn key() -> Key {
        (Lane::Normal, "1-0".into())
    }

    #[tokio::test]
    async fn the_bell_rings_once_there_is_nothing_left_to_go_on_with() {
        let desk = Desk::default();
        assert!(desk.finish(3, key(), None).is_none());
        desk.rung().await;
        assert!(matches!(desk.take().as_slice(), [Word::Finished(3, ..)]));
        desk.put(Word::Free(3));
        desk.take();
        assert!(!rings(&desk), "what was taken is not rung for again");
        desk.waits();
        assert!(!rings(&desk), "nobody waits behind this handler");
        assert!((desk.has_waited(), desk.has_waited()) == (true, false));
    }
}

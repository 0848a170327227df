//! The batch that a handler gets: it reads the entries in chunks and marks those that failed.

use std::collections::VecDeque;
use std::marker::PhantomData;

use poolder_client::BatchEntry;
use poolder_core::broker::{CHUNK, ListEnd};
use poolder_core::{BatchPayload, Error, JobId, RawJob, Timestamp, payload};

use super::chunk::chunk_len;
use super::marks::{Mark, Marks};
use crate::run::context::Context;

/// The entries of a sealed batch. The batch reads them from the server when the handler asks for
/// them, up to 500 or about 1 MiB at a time, so that a large batch fills the memory only when the
/// handler keeps all entries.
///
/// Each entry has an index, from 0, in the order in which the batch returns the entries: the order
/// of their pushes, or the opposite order for a batcher with [`lifo`](super::Batcher::lifo).
/// The batch does not return an entry that cannot be decoded as a `T`: such an entry is buried
/// alone, with the reason.
pub struct Batch<T> {
    cx: Context,
    about: BatchPayload,
    lifo: bool,
    len: u64,
    /// The index of the entry that [`Batch::next`] returns next.
    next: u64,
    /// Entries that were read from the server and not yet returned; the first has the index `next`.
    read: VecDeque<Vec<u8>>,
    marks: Marks,
    entry: PhantomData<fn() -> T>,
}

impl<T: BatchEntry> Batch<T> {
    pub(super) async fn open(cx: Context, about: BatchPayload, lifo: bool) -> Result<Self, Error> {
        let len = cx.client().broker().sealed_len(cx.partition(), cx.id(), &about).await?;
        let (read, marks) = (VecDeque::new(), Marks::default());
        Ok(Self { cx, about, lifo, len, next: 0, read, marks, entry: PhantomData })
    }

    /// Returns the id of the batch, which is the id of its job. The id stays the same when some
    /// entries are done and the rest is tried again; [`Batch::key`] changes then.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.cx.id()
    }

    /// Returns a key for exactly these entries. It is the same in every attempt at them, and
    /// changes when some of them are done and the rest is tried again. To load the entries only
    /// once, store the key with them, in the same transaction.
    #[must_use]
    pub fn key(&self) -> String {
        // The entries that are tried again are always fewer, so that the length makes keys differ.
        format!("{}:{}", self.cx.id(), self.len)
    }

    /// Returns the group of the entries; empty when they have none.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.about.group
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Returns true when there are no entries. A batch that is given to a handler has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the time at which the first entry was pushed, by the server's clock.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.about.since)
    }

    /// Returns the time at which the batch was sealed, by the server's clock.
    #[must_use]
    pub fn sealed(&self) -> Timestamp {
        Timestamp::from_millis(self.about.sealed)
    }

    /// Returns the next entry and its index; `None` after the last.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command;
    /// [`Error::is_gone`] when this node has lost the batch and another node has settled it.
    pub async fn next(&mut self) -> Result<Option<(usize, T)>, Error> {
        while self.next < self.len {
            if self.read.is_empty() {
                self.read_chunk().await?;
            }
            let Some(entry) = self.read.pop_front() else { break };
            let index = self.next;
            self.next += 1;
            match self.decode(&entry) {
                Ok(entry) => return Ok(Some((usize::try_from(index).unwrap_or(0), entry))),
                Err(error) => {
                    tracing::error!(
                        batch = %self.id(), kind = self.cx.kind(), index, %error,
                        "an entry cannot be decoded and is buried alone"
                    );
                    self.marks.set(index, Mark::Unreadable, error.to_string());
                }
            }
        }
        Ok(None)
    }

    /// Returns up to `most` further entries with their indexes; none after the last.
    ///
    /// # Errors
    /// As [`Batch::next`].
    pub async fn next_chunk(&mut self, most: usize) -> Result<Vec<(usize, T)>, Error> {
        let mut chunk = Vec::with_capacity(most.min(self.left()));
        while chunk.len() < most {
            match self.next().await? {
                Some(entry) => chunk.push(entry),
                None => break,
            }
        }
        Ok(chunk)
    }

    /// Returns all entries that were not returned yet, with their indexes.
    ///
    /// # Errors
    /// As [`Batch::next`].
    pub async fn all(&mut self) -> Result<Vec<(usize, T)>, Error> {
        self.next_chunk(usize::MAX).await
    }

    /// Marks an entry to be tried again. When the handler then returns `Done`, the batch goes on
    /// with the entries that are marked so, as the policy says, and unmarked entries are done.
    pub fn retry(&mut self, index: usize, reason: impl Into<String>) {
        self.mark(index, Mark::Retry, reason.into());
    }

    /// Marks an entry that must not be tried again. When the handler then returns `Done`, the
    /// entries that are marked so become a separate dead batch, which can be revived.
    pub fn bury(&mut self, index: usize, reason: impl Into<String>) {
        self.mark(index, Mark::Bury, reason.into());
    }

    /// Counts the entries that were not returned yet as done. Without this call, entries that the
    /// handler never read are tried again.
    pub fn skip_rest(&mut self) {
        self.next = self.len;
        self.read.clear();
    }

    /// Returns the marks, by position in the sealed list, and the number of entries. Entries that
    /// the handler never read are marked to be tried again.
    pub(super) fn into_marks(mut self) -> (Marks, u64) {
        for index in self.next..self.len {
            self.marks.set(index, Mark::Retry, "the handler did not read it".into());
        }
        if self.lifo {
            self.marks.reverse(self.len);
        }
        (self.marks, self.len)
    }

    fn mark(&mut self, index: usize, mark: Mark, reason: String) {
        // The handler may pass an index that no entry has; such a mark has no effect.
        if (index as u64) < self.len {
            self.marks.set(index as u64, mark, reason);
        }
    }

    fn left(&self) -> usize {
        usize::try_from(self.len - self.next).unwrap_or(usize::MAX)
    }

    async fn read_chunk(&mut self) -> Result<(), Error> {
        let count = (chunk_len(&self.about) as u64).min(self.len - self.next);
        let from = if self.lifo { self.len - self.next - count } else { self.next };
        let broker = self.cx.client().broker();
        let count = usize::try_from(count).unwrap_or(CHUNK);
        let start = if self.lifo { ListEnd::Back } else { ListEnd::Front };
        let (partition, id) = (self.cx.partition(), self.cx.id());
        let found = broker.sealed_entries(partition, id, (from, count), start).await?;
        if found.is_empty() {
            return Err(Error::gone(format!(
                "entries of batch {} are gone: this node lost it, and another has settled it",
                self.id()
            )));
        }
        self.read = found.into();
        Ok(())
    }

    fn decode(&self, entry: &[u8]) -> Result<T, Error> {
        payload::decode(RawJob::new(self.cx.kind(), entry))
    }
}

impl<T> std::fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("id", &self.cx.id())
            .field("group", &self.about.group)
            .field("len", &self.len)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

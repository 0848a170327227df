//! A batch as its handler sees it: entries that come in chunks, and marks for those that failed.

use std::collections::VecDeque;
use std::marker::PhantomData;

use poolder_client::BatchEntry;
use poolder_core::broker::{BatchPayload, CHUNK};
use poolder_core::{Error, Format, JobId, RawJob, Timestamp, payload};

use super::chunk::chunk_len;
use super::marks::{Mark, Marks};
use crate::run::context::Context;

/// Entries that were sealed together. They are read from the server as they are asked for, up to
/// 500 or about 1 MiB at a time, so that a large batch is in memory only where the handler keeps
/// it.
///
/// Entries have an index, from 0, in the order in which they are handed out: that of their pushes,
/// or the other way round for a batcher in reverse. An entry that cannot be read as a `T` is not
/// handed out; it is buried alone, with the reason.
pub struct Batch<T> {
    cx: Context,
    about: BatchPayload,
    reverse: bool,
    len: u64,
    /// The index of the next entry to be handed out.
    next: u64,
    /// Entries from `next` on.
    read: VecDeque<Vec<u8>>,
    marks: Marks,
    entry: PhantomData<fn() -> T>,
}

impl<T: BatchEntry> Batch<T> {
    pub(super) async fn open(
        cx: Context,
        about: BatchPayload,
        reverse: bool,
    ) -> Result<Self, Error> {
        let len = cx.client().broker().sealed_len(cx.partition(), cx.id()).await?;
        let (read, marks) = (VecDeque::new(), Marks::default());
        Ok(Self { cx, about, reverse, len, next: 0, read, marks, entry: PhantomData })
    }

    /// The batch's id, which is that of its job. What is left of it after entries were done keeps
    /// it: see [`Batch::key`] for what names the entries.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.cx.id()
    }

    /// Names exactly these entries: the same in every attempt at them, and another one once some of
    /// them are done and the rest is tried again. Note it where the entries go, in the same
    /// transaction, to load them once.
    #[must_use]
    pub fn key(&self) -> String {
        // What is left of a batch is always less.
        format!("{}:{}", self.cx.id(), self.len)
    }

    /// The group whose entries these are; empty for none.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.about.group
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// True when there are none. A batch that comes to a handler has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the first entry came, by the server's clock.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.about.since)
    }

    /// When it was sealed, by the server's clock.
    #[must_use]
    pub fn sealed(&self) -> Timestamp {
        Timestamp::from_millis(self.about.sealed)
    }

    /// The next entry and its index; `None` after the last.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; [`Error::is_gone`] when the batch was settled
    /// elsewhere, because this node lost it.
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
                        "an entry cannot be read, it is buried alone"
                    );
                    self.marks.set(index, Mark::Unreadable, error.to_string());
                }
            }
        }
        Ok(None)
    }

    /// The next entries, at most so many, with their indexes; none after the last.
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

    /// All entries that were not handed out yet, with their indexes.
    ///
    /// # Errors
    /// As [`Batch::next`].
    pub async fn all(&mut self) -> Result<Vec<(usize, T)>, Error> {
        self.next_chunk(usize::MAX).await
    }

    /// Marks an entry that failed: when the handler returns that it is done, this entry and others
    /// so marked go on alone, as the policy says, and what is not marked is done with.
    pub fn retry(&mut self, index: usize, reason: impl Into<String>) {
        self.mark(index, Mark::Retry, reason.into());
    }

    /// Marks an entry that is not to be tried again: when the handler returns that it is done,
    /// this entry and others so marked become a dead batch of their own, which can be revived.
    pub fn bury(&mut self, index: usize, reason: impl Into<String>) {
        self.mark(index, Mark::Bury, reason.into());
    }

    /// Counts what was not handed out as done. Without this, entries that the handler never read
    /// are tried again.
    pub fn skip_rest(&mut self) {
        self.next = self.len;
        self.read.clear();
    }

    /// The marks, and how many entries there are and were handed out.
    pub(super) fn into_marks(mut self) -> (Marks, u64) {
        for index in self.next..self.len {
            self.marks.set(index, Mark::Retry, "the handler did not read it".into());
        }
        if self.reverse {
            self.marks.turn_round(self.len);
        }
        (self.marks, self.len)
    }

    fn mark(&mut self, index: usize, mark: Mark, reason: String) {
        // There is nothing to be done about an entry that there is not.
        if (index as u64) < self.len {
            self.marks.set(index as u64, mark, reason);
        }
    }

    fn left(&self) -> usize {
        usize::try_from(self.len - self.next).unwrap_or(usize::MAX)
    }

    async fn read_chunk(&mut self) -> Result<(), Error> {
        let count = (chunk_len(&self.about) as u64).min(self.len - self.next);
        let from = if self.reverse { self.len - self.next - count } else { self.next };
        let broker = self.cx.client().broker();
        let count = usize::try_from(count).unwrap_or(CHUNK);
        let found = broker.sealed_entries(self.cx.partition(), self.cx.id(), from, count).await?;
        if found.len() < count {
            return Err(Error::gone(format!(
                "entries of batch {} are gone: this node lost it, and another has settled it",
                self.id()
            )));
        }
        self.read = found.into();
        if self.reverse {
            self.read.make_contiguous().reverse();
        }
        Ok(())
    }

    fn decode(&self, entry: &[u8]) -> Result<T, Error> {
        let kind = self.cx.kind();
        payload::decode(RawJob { kind, version: 1, format: Format::MessagePack, payload: entry })
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

//! Entries of a batcher: pushed from any host, listed, popped, sealed early.

use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};

use poolder_core::broker::{
    BatchOptions, BatcherSums, CHUNK, ListEnd, OpenBatch, Popped, SealedBatch, check_group,
};
use poolder_core::{Error, Format, JobId, MAX_PAYLOAD, RawJob, payload};

use crate::batcher::BatchEntry;
use crate::batcher::refusal::too_large;
use crate::batcher::shared::BatcherState;

/// Handle of one group of one batcher, for entries of type `T`; made by
/// [`Client::batcher`](crate::Client::batcher). Cheap to clone. Pushes of all handles of a client
/// share calls.
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let rows = client.batcher::<(u64, String)>("rows")?;
/// rows.push((7, "seven".into())).await?;
/// rows.group("tenant-42")?.push_many([(8, "eight".into()), (9, "nine".into())]).await.all()?;
/// rows.flush().await?;
/// # Ok(()) }
/// ```
pub struct BatcherHandle<T> {
    pub(super) shared: Arc<BatcherState>,
    pub(super) group: Arc<str>,
    entry: PhantomData<fn(T) -> T>,
}

impl<T: BatchEntry> BatcherHandle<T> {
    pub(crate) fn new(shared: Arc<BatcherState>) -> Self {
        Self { shared, group: "".into(), entry: PhantomData }
    }

    /// Returns the handle of another group of the same batcher. Each group gathers its own batches.
    /// The name of a group is up to 128 ASCII letters, digits or any of `_-.@/+=,~`.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub fn group(&self, group: impl AsRef<str>) -> Result<Self, Error> {
        check_group(group.as_ref())?;
        Ok(Self { group: group.as_ref().into(), ..self.clone() })
    }

    /// Stores the batcher's options unless they are stored already, so that pushes need not wait
    /// for the batcher's first node. Returns the options in effect: the stored ones if their
    /// revision is later.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when other options are stored under the same revision.
    pub async fn declare(&self, options: BatchOptions) -> Result<BatchOptions, Error> {
        let stored = self.shared.broker.declare_batcher(&self.shared.home, &options).await?;
        self.declare_later(options);
        self.shared.forget_options();
        Ok(stored)
    }

    /// Declares the options later, with the first push.
    #[doc(hidden)]
    pub fn declare_later(&self, options: BatchOptions) {
        let declared = &self.shared.declared;
        *declared.write().unwrap_or_else(PoisonError::into_inner) = Some(options);
    }

    /// Removes the entry at this index, counted from 0, from the open list and returns the entry.
    /// The generation of the list does not matter.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is no such entry, [`Error::is_codec`] when the entry is not a
    /// `T`: the entry is removed nevertheless, and the error's text says so.
    pub async fn pop_at(&self, index: u64) -> Result<Popped<T>, Error> {
        self.pop(None, index).await
    }

    /// Removes and returns an entry like [`BatcherHandle::pop_at`], but only if the list still has
    /// this generation, as returned by [`BatcherHandle::list`].
    ///
    /// # Errors
    /// As [`BatcherHandle::pop_at`]; [`Error::is_gone`] also when the list was sealed meanwhile.
    pub async fn pop_at_of(&self, generation: u64, index: u64) -> Result<Popped<T>, Error> {
        self.pop(Some(generation), index).await
    }

    async fn pop(&self, generation: Option<u64>, index: u64) -> Result<Popped<T>, Error> {
        let BatcherState { home, broker, .. } = &*self.shared;
        let popped = broker.pop_entry(home, &self.group, generation, index).await?;
        let entry = self.decode(&popped.entry).map_err(|error| {
            Error::codec(format!("entry {index} was taken out, but is not of this type: {error}"))
        })?;
        Ok(Popped { entry, generation: popped.generation })
    }

    /// Returns the number of entries in the group's open list.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn len(&self) -> Result<u64, Error> {
        self.shared.broker.batch_len(&self.shared.home, &self.group).await
    }

    /// Returns true when the group's open list is empty.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    /// Seals the group's open list, however few entries it holds. Returns the batch job, or `None`
    /// when the list is empty.
    ///
    /// # Errors
    /// [`Error::is_unknown`] when the reply was lost; calling it again does no harm.
    pub async fn flush(&self) -> Result<Option<JobId>, Error> {
        self.shared.broker.flush_batch(&self.shared.home, &self.group).await
    }

    /// Reads up to 500 entries of the group's open list, starting at index `from`.
    ///
    /// # Errors
    /// [`Error::is_codec`] when an entry is not a `T`.
    pub async fn list(&self, from: u64) -> Result<Listed<T>, Error> {
        let BatcherState { home, broker, .. } = &*self.shared;
        let seen = broker.gathering(home, &self.group, from, CHUNK).await?;
        let entries = seen.entries.iter().map(|entry| self.decode(entry));
        Ok(Listed {
            generation: seen.generation,
            len: seen.len,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Reads up to 500 entries of a sealed batch, starting at index `from`, in the order of pushes.
    /// Large entries are fewer, about 1 MiB; there are none behind the last.
    ///
    /// # Errors
    /// [`Error::is_codec`] when an entry is not a `T`.
    pub async fn list_sealed(&self, batch: JobId, from: u64) -> Result<Vec<T>, Error> {
        let partition = self.shared.home.partition();
        let entries = self
            .shared
            .broker
            .sealed_entries(partition, batch, (from, CHUNK), ListEnd::Front)
            .await?;
        entries.iter().map(|entry| self.decode(entry)).collect()
    }

    /// Returns the groups that have an open list, at most `most` of them.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open(&self, most: usize) -> Result<Vec<OpenBatch>, Error> {
        self.shared.broker.open_batches(&self.shared.home, most).await
    }

    /// Returns the sealed batches of all groups that are not done, at most `most` of them, in no
    /// order.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed(&self, most: usize) -> Result<Vec<SealedBatch>, Error> {
        self.shared.broker.sealed_batches(&self.shared.home, most).await
    }

    /// Returns the batcher's counts of groups, entries and batches.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sums(&self) -> Result<BatcherSums, Error> {
        self.shared.broker.batcher_sums(&self.shared.home).await
    }

    pub(super) fn encode(&self, entry: &T) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(64);
        payload::encode(entry, &mut bytes)?;
        if bytes.len() > MAX_PAYLOAD {
            return Err(too_large(bytes.len(), MAX_PAYLOAD as u64));
        }
        Ok(bytes)
    }

    fn decode(&self, entry: &[u8]) -> Result<T, Error> {
        let kind = self.shared.home.name();
        payload::decode(RawJob { kind, version: 1, format: Format::MessagePack, payload: entry })
    }
}

/// A part of a group's open list, as returned by [`BatcherHandle::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The generation of the list, for [`BatcherHandle::pop_at_of`]; `None` when the list is empty.
    pub generation: Option<u64>,
    /// Number of entries in the whole list.
    pub len: u64,
    /// The entries from the requested index on, at most 500.
    pub entries: Vec<T>,
}

impl<T> Clone for BatcherHandle<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            group: Arc::clone(&self.group),
            entry: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for BatcherHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatcherHandle")
            .field("home", &self.shared.home)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

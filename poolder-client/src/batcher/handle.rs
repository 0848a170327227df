//! Entries of a batcher: pushed from any host, listed, popped, sealed early.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use poolder_core::broker::{
    BatchOptions, BatcherHome, BatcherSums, CHUNK, ListEnd, OpenBatch, Popped, SealedBatch,
    check_group,
};
use poolder_core::{Error, JobId, MAX_PAYLOAD, RawJob, payload};
use serde::Serialize;

use crate::batcher::BatchEntry;
use crate::batcher::refusal::too_large;
use crate::batcher::shared::BatcherState;
use crate::state::audit::{Auditor, Change};

/// Handle of one group of one batcher, for entries of type `T`; made by
/// [`Client::batcher`](crate::Client::batcher). Cheap to clone. Pushes of all handles of a client
/// share calls.
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let rows = client.batcher::<(u64, String)>("rows");
/// rows.push((7, "seven".into())).await?;
/// rows.group("tenant-42").push_many([(8, "eight".into()), (9, "nine".into())]).await.all()?;
/// rows.flush().await?;
/// # Ok(()) }
/// ```
pub struct BatcherHandle<T> {
    /// The state of the batcher, or the error of the name of the batcher, its queue or its group.
    state: Result<Arc<BatcherState>, Arc<Error>>,
    pub(super) group: Arc<str>,
    auditor: Auditor,
    entry: PhantomData<fn(T) -> T>,
}

impl<T: BatchEntry> BatcherHandle<T> {
    pub(crate) fn new(state: Result<Arc<BatcherState>, Error>, auditor: Auditor) -> Self {
        Self { state: state.map_err(Arc::new), group: "".into(), auditor, entry: PhantomData }
    }

    pub(super) fn shared(&self) -> Result<&Arc<BatcherState>, Error> {
        self.state.as_ref().map_err(|error| error.repeated())
    }

    /// Returns the handle of another group of the same batcher. Each group gathers its own batches.
    /// The name of a group is up to 128 ASCII letters, digits or any of `_-.@/+=,~`; another name is
    /// the error of each call.
    #[must_use]
    pub fn group(&self, group: impl AsRef<str>) -> Self {
        let group = group.as_ref();
        let state = match check_group(group) {
            Ok(()) => self.state.clone(),
            Err(error) => self.state.clone().and(Err(Arc::new(error))),
        };
        Self { state, group: group.into(), auditor: self.auditor.clone(), entry: PhantomData }
    }

    /// Stores the batcher's options unless they are stored already, so that pushes need not wait
    /// for the batcher's first node. Returns the options in effect: the stored ones if their
    /// revision is later.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when other options are stored under the same revision.
    pub async fn declare(&self, options: BatchOptions) -> Result<BatchOptions, Error> {
        let shared = self.shared()?;
        let stored = shared.broker.declare_batcher(&shared.home, &options).await?;
        self.declare_later(options);
        shared.forget_options();
        Ok(stored)
    }

    /// Declares the options later, with the first push.
    #[doc(hidden)]
    pub fn declare_later(&self, options: BatchOptions) {
        if let Ok(shared) = &self.state {
            *shared.declared.write().unwrap_or_else(PoisonError::into_inner) = Some(options);
        }
    }

    /// Removes the entry at this index, counted from 0, from the open list when awaited, and returns
    /// the entry.
    pub fn pop(&self, index: u64) -> Pop<T> {
        Pop { handle: self.clone(), index, generation: None }
    }

    /// Returns the number of entries in the group's open list.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn len(&self) -> Result<u64, Error> {
        let shared = self.shared()?;
        shared.broker.batch_len(&shared.home, &self.group).await
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
        let shared = self.shared()?;
        let sealed = shared.broker.flush_batch(&shared.home, &self.group);
        let change = || self.change("batch.flush", &shared.home);
        self.auditor.record(change, |job| u64::from(job.is_some()), sealed).await
    }

    /// Reads up to 500 entries of the group's open list, starting at index `from`.
    ///
    /// # Errors
    /// [`Error::is_codec`] when an entry is not a `T`.
    pub async fn list(&self, from: u64) -> Result<Listed<T>, Error> {
        let BatcherState { home, broker, .. } = &**self.shared()?;
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
        let BatcherState { home, broker, .. } = &**self.shared()?;
        let range = (from, CHUNK);
        let entries = broker.sealed_entries(home.partition(), batch, range, ListEnd::Front).await?;
        entries.iter().map(|entry| self.decode(entry)).collect()
    }

    /// Returns the groups that have an open list, at most `most` of them.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open(&self, most: usize) -> Result<Vec<OpenBatch>, Error> {
        let shared = self.shared()?;
        shared.broker.open_batches(&shared.home, most).await
    }

    /// Returns the sealed batches of all groups that are not done, at most `most` of them, in no
    /// order.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed(&self, most: usize) -> Result<Vec<SealedBatch>, Error> {
        let shared = self.shared()?;
        shared.broker.sealed_batches(&shared.home, most).await
    }

    /// Returns the batcher's counts of groups, entries and batches.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sums(&self) -> Result<BatcherSums, Error> {
        let shared = self.shared()?;
        shared.broker.batcher_sums(&shared.home).await
    }

    /// Returns the change of the open list of the group.
    fn change(&self, action: &'static str, home: &BatcherHome) -> Change {
        let (queue, name) = (&home.partition().queue, home.name());
        let change = Change::ordinary(action, format_args!("{queue}/{name}"));
        if self.group.is_empty() {
            change
        } else {
            change.detail(format_args!("group {}", self.group))
        }
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
        payload::decode(RawJob::new(self.shared()?.home.name(), entry))
    }
}

/// A removal of one entry; made by [`BatcherHandle::pop`]. Awaiting it removes the entry; before
/// that nothing happens.
#[derive(Debug)]
#[must_use = "nothing is removed until this is awaited"]
pub struct Pop<T> {
    handle: BatcherHandle<T>,
    index: u64,
    generation: Option<u64>,
}

impl<T> Pop<T> {
    /// Removes the entry only if the list still has this generation, as returned by
    /// [`BatcherHandle::list`]. Without it the generation does not matter.
    pub fn in_generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }
}

impl<T: BatchEntry> IntoFuture for Pop<T> {
    /// The entry. Errors: [`Error::is_not_found`] when there is no such entry, [`Error::is_gone`]
    /// when the list was sealed meanwhile; [`Error::is_codec`] when the entry is not a `T`: the
    /// entry is removed nevertheless, and the error's text says so.
    type Output = Result<Popped<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, index, generation } = self;
        Box::pin(async move {
            let BatcherState { home, broker, .. } = &**handle.shared()?;
            let popped = broker.pop_entry(home, &handle.group, generation, index);
            let change = || handle.change("batch.pop", home);
            let popped = handle.auditor.record(change, |_| 1, popped).await?;
            popped.try_map(|entry| handle.decode(&entry)).map_err(|error| {
                let text = format!("entry {index} was taken out, but is not of this type: {error}");
                Error::codec(text)
            })
        })
    }
}

/// A part of a group's open list, as returned by [`BatcherHandle::list`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The generation of the list, for [`Pop::in_generation`]; `None` when the list is empty.
    pub generation: Option<u64>,
    /// Number of entries in the whole list.
    pub len: u64,
    /// The entries from the requested index on, at most 500.
    pub entries: Vec<T>,
}

impl<T> Clone for BatcherHandle<T> {
    fn clone(&self) -> Self {
        let (state, group) = (self.state.clone(), Arc::clone(&self.group));
        Self { state, group, auditor: self.auditor.clone(), entry: PhantomData }
    }
}

impl<T> std::fmt::Debug for BatcherHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatcherHandle")
            .field("home", &self.state.as_ref().map(|state| &state.home))
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

//! Pushes many entries, in one call after the other.

use std::future::{Future, IntoFuture};
use std::iter::Peekable;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::Error;
use poolder_core::broker::{CHUNK, CHUNK_BYTES, ListEnd};

use crate::batcher::BatchEntry;
use crate::batcher::handle::BatcherHandle;
use crate::batcher::push::{OwnToken, Patience, Push, Safety};
use crate::batcher::refusal::refusal;

/// Many entries, pushed in their order. Awaiting their [`Push`] returns a [`Bulk`]. `'i` is the
/// lifetime of what the iterator `I` borrows.
#[derive(Debug)]
pub struct Many<'i, I> {
    entries: I,
    borrows: PhantomData<&'i ()>,
}

/// The result of a push of many entries. The first `stored` entries are stored, the next `unknown`
/// entries may be stored, and the remaining entries are not stored.
#[derive(Debug)]
#[must_use = "some entries may not be stored: check the fields or call all()"]
#[non_exhaustive]
pub struct Bulk {
    /// Number of entries that are stored.
    pub stored: u64,
    /// Number of entries after them that may be stored: the reply of their call was lost.
    pub unknown: u64,
    /// Number of batches that this push sealed.
    pub sealed: u64,
    /// The reason why the remaining entries are not stored; `None` when all entries are stored.
    pub error: Option<Error>,
}

impl<T: BatchEntry> BatcherHandle<T> {
    /// Pushes many entries in their order. Each batch that becomes full on the way is sealed.
    /// Entries are serialized and sent in chunks of at most 500 entries or 1 MiB.
    pub fn push_many<'i, I>(&self, entries: I) -> Push<T, Many<'i, I::IntoIter>>
    where
        I: IntoIterator<Item = T, IntoIter: Send + 'i>,
    {
        Push::new(self, Many { entries: entries.into_iter(), borrows: PhantomData })
    }
}

impl Bulk {
    /// Returns the number of stored entries if all entries are stored.
    ///
    /// # Errors
    /// Returns [`Bulk::error`], the reason why some entries are not stored.
    pub fn all(self) -> Result<u64, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.stored),
        }
    }
}

impl<'i, T, I> IntoFuture for Push<T, Many<'i, I>>
where
    T: BatchEntry,
    I: Iterator<Item = T> + Send + 'i,
{
    type Output = Bulk;
    type IntoFuture = Pin<Box<dyn Future<Output = Bulk> + Send + 'i>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut bulk = Bulk { stored: 0, unknown: 0, sealed: 0, error: None };
            bulk.error = self.push_all(&mut bulk).await.err();
            bulk
        })
    }
}

impl<T: BatchEntry, I: Iterator<Item = T> + Send> Push<T, Many<'_, I>> {
    async fn push_all(self, bulk: &mut Bulk) -> Result<(), Error> {
        let Self { handle, entries: Many { entries, .. }, patience, token, durability } = self;
        token.as_ref().map_or(Ok(()), OwnToken::check)?;
        durability.check()?;
        let safety = Safety { token: token.as_ref(), durability };
        let mut source = entries.map(|entry| handle.encode(&entry)).peekable();
        let mut ahead = next_chunk(&mut source);
        loop {
            let (chunk, failed) = ahead;
            let push = push_chunk(&handle, &chunk, patience, safety, bulk);
            // The entries before one that cannot be serialized are pushed before its error is
            // returned.
            if let Some(error) = failed {
                push.await?;
                return Err(error);
            }
            // The next chunk is serialized while this chunk is on its way.
            let (pushed, next) = tokio::join!(push, async { next_chunk(&mut source) });
            pushed?;
            if chunk.is_empty() {
                return Ok(());
            }
            ahead = next;
        }
    }
}

/// Pushes one chunk of entries, in as many calls as the server needs to take all of them.
async fn push_chunk<T: BatchEntry>(
    handle: &BatcherHandle<T>,
    chunk: &[Vec<u8>],
    patience: Duration,
    safety: Safety<'_>,
    bulk: &mut Bulk,
) -> Result<(), Error> {
    let shared = handle.shared()?;
    let mut rest = chunk;
    let mut patience = Patience::new(patience);
    while !rest.is_empty() {
        // Each token names a position in the sequence, so a chunk of which the server stored only a
        // part continues at the first entry that is missing. A caller's token never contains '#'.
        let token = safety.token.map(|OwnToken { name, window }| OwnToken {
            name: format!("{name}#{}", bulk.stored),
            window: *window,
        });
        let safety = Safety { token: token.as_ref(), ..safety };
        let pushed =
            shared.push_chunk(&handle.group, ListEnd::Back, rest, safety).await.inspect_err(
                |error| bulk.unknown = if error.is_unknown() { rest.len() as u64 } else { 0 },
            )?;
        let stored = pushed.stored.min(rest.len());
        bulk.stored += stored as u64;
        bulk.sealed += pushed.sealed;
        rest = &rest[stored..];
        if !rest.is_empty() {
            let options = shared.options().await?;
            if let Some(error) = refusal(&shared.home, &options, pushed.verdict) {
                patience.or(error).await?;
            }
        }
    }
    Ok(())
}

/// Takes the entries of the next call from `source`. Also returns the error of an entry that could
/// not be serialized, which ends the chunk early.
fn next_chunk(
    source: &mut Peekable<impl Iterator<Item = Result<Vec<u8>, Error>>>,
) -> (Vec<Vec<u8>>, Option<Error>) {
    let (mut chunk, mut bytes) = (vec![], 0);
    while chunk.len() < CHUNK {
        match source.peek() {
            Some(Ok(next)) if chunk.is_empty() || bytes + next.len() <= CHUNK_BYTES => {}
            Some(Err(_)) => return (chunk, source.next().and_then(Result::err)),
            _ => break,
        }
        if let Some(Ok(entry)) = source.next() {
            bytes += entry.len();
            chunk.push(entry);
        }
    }
    (chunk, None)
}

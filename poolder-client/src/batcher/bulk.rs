//! Many pushes, one call after the other.

use std::future::{Future, IntoFuture};
use std::iter::Peekable;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::Error;
use poolder_core::broker::{CHUNK, CHUNK_BYTES, ListEnd};

use crate::batcher::BatchEntry;
use crate::batcher::handle::BatcherHandle;
use crate::batcher::push::{OwnToken, Patience, Push};
use crate::batcher::refusal::refusal;

/// Many entries, in their order: awaiting their [`Push`] says how far it came, as a [`Bulk`].
#[derive(Debug)]
pub struct Many<I>(I);

/// How far a push of many came. The first `stored` entries are stored, the next `unknown` may be,
/// and the rest is not.
#[derive(Debug)]
#[must_use = "not all entries need be stored: look, or call all()"]
pub struct Bulk {
    /// So many entries are stored.
    pub stored: u64,
    /// So many more may be: their reply was lost.
    pub unknown: u64,
    /// So many batches were sealed by it.
    pub sealed: u64,
    /// Why the rest is not stored; `None` when all is.
    pub error: Option<Error>,
}

impl<T: BatchEntry> BatcherHandle<T> {
    /// Pushes many, in their order: as many batches as fit are sealed on the way. Entries are
    /// serialized as they go, 500 or 1 MiB at a time.
    pub fn push_many<I>(&self, entries: I) -> Push<'_, T, Many<I::IntoIter>>
    where
        I: IntoIterator<Item = T, IntoIter: Send>,
    {
        Push::new(self, Many(entries.into_iter()))
    }
}

impl Bulk {
    /// How many entries are stored, if all are.
    ///
    /// # Errors
    /// Why not.
    pub fn all(self) -> Result<u64, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.stored),
        }
    }
}

impl<'h, T, I> IntoFuture for Push<'h, T, Many<I>>
where
    T: BatchEntry,
    I: Iterator<Item = T> + Send + 'h,
{
    type Output = Bulk;
    type IntoFuture = Pin<Box<dyn Future<Output = Bulk> + Send + 'h>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut bulk = Bulk { stored: 0, unknown: 0, sealed: 0, error: None };
            bulk.error = self.push_all(&mut bulk).await.err();
            bulk
        })
    }
}

impl<T: BatchEntry, I: Iterator<Item = T> + Send> Push<'_, T, Many<I>> {
    async fn push_all(self, bulk: &mut Bulk) -> Result<(), Error> {
        let Self { handle, entries: Many(entries), patience, token } = self;
        token.as_ref().map_or(Ok(()), OwnToken::check)?;
        let mut source = entries.map(|entry| handle.encode(&entry)).peekable();
        let mut ahead = next_chunk(&mut source);
        loop {
            let (chunk, broken) = ahead;
            let push = push_chunk(handle, &chunk, patience, token.as_ref(), bulk);
            // What precedes an entry that cannot be serialized is pushed before that is said.
            if let Some(error) = broken {
                push.await?;
                return Err(error);
            }
            // While these are on their way, the next are serialized.
            let (pushed, next) = tokio::join!(push, async { next_chunk(&mut source) });
            pushed?;
            if chunk.is_empty() {
                return Ok(());
            }
            ahead = next;
        }
    }
}

/// Pushes what goes into one call, in as many calls as it takes.
async fn push_chunk<T: BatchEntry>(
    handle: &BatcherHandle<T>,
    chunk: &[Vec<u8>],
    patience: Duration,
    token: Option<&OwnToken>,
    bulk: &mut Bulk,
) -> Result<(), Error> {
    let shared = &handle.shared;
    let mut rest = chunk;
    let mut patience = Patience::new(patience);
    while !rest.is_empty() {
        // A receipt is that of a place in the sequence, so that a chunk of which the server took
        // only a part goes on where it stopped. No token of a user's has a '#'.
        let token = token.map(|OwnToken { name, window }| OwnToken {
            name: format!("{name}#{}", bulk.stored),
            window: *window,
        });
        let pushed = shared
            .push_chunk(&handle.group, ListEnd::Back, rest, token.as_ref())
            .await
            .inspect_err(|error| {
                bulk.unknown = if error.is_unknown() { rest.len() as u64 } else { 0 }
            })?;
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

/// As many entries as go into one call, and the error of the one that ended them early.
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

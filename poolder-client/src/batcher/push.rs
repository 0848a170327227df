//! One push with its options, awaited like a future.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{Durability, ListEnd, PushCall, PushVerdict, PushedEntries, Token};
use poolder_core::policy::Pauses;
use poolder_core::{Error, JobId};
use tokio::time::Instant;

use crate::batcher::BatchEntry;
use crate::batcher::handle::BatcherHandle;
use crate::batcher::refusal::{check_fits, refusal};
use crate::batcher::shared::BatcherState;

/// Number of times a push under a token is sent again after its reply was lost.
const MAX_RESENDS: u32 = 4;

/// A prepared push of [`One`] entry or of [`Many`](super::Many). Awaiting it sends it; before that
/// nothing happens.
#[must_use = "nothing is pushed until this is awaited"]
pub struct Push<T, E> {
    pub(super) handle: BatcherHandle<T>,
    pub(super) entries: E,
    pub(super) patience: Duration,
    pub(super) token: Option<OwnToken>,
    pub(super) durability: Durability,
}

/// One entry. Awaiting its [`Push`] returns whether the entry is stored.
#[derive(Debug)]
pub struct One<T> {
    entry: T,
    end: ListEnd,
}

/// A token of a push and the time for which its receipt is kept.
#[derive(Debug, Clone)]
pub(super) struct OwnToken {
    pub(super) name: String,
    pub(super) window: Duration,
}

/// The safety of a call: the token under which it may be repeated, and the storage that must be
/// confirmed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Safety<'a> {
    pub(super) token: Option<&'a OwnToken>,
    pub(super) durability: Durability,
}

impl OwnToken {
    /// Makes a token with a unique name.
    pub(super) fn any(window: Duration) -> Self {
        Self { name: JobId::generate().to_string(), window }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.@/+=,~:".contains(c);
        if (1..=100).contains(&self.name.len()) && self.name.chars().all(legal) {
            return Ok(());
        }
        let text = "a push token has 1 to 100 ASCII letters, digits or any of \"_-.@/+=,~:\"";
        Err(Error::invalid(text))
    }
}

impl<T> One<T> {
    pub(super) fn back(entry: T) -> Self {
        Self { entry, end: ListEnd::Back }
    }

    pub(super) fn front(entry: T) -> Self {
        Self { entry, end: ListEnd::Front }
    }
}

impl<T: BatchEntry> BatcherHandle<T> {
    /// Pushes one entry to the back of the list when awaited. A `Vec` is pushed as a single entry.
    /// Pushes of one process that happen at the same time share calls, in their order.
    ///
    /// Of the options of an enqueue, idempotence and durability apply to an entry. An entry is no
    /// job, and has no time, lane, id, policy, headers or completion record of its own: the batch
    /// is the job, and [`BatchOptions`](poolder_core::broker::BatchOptions) has its policy and
    /// headers. Its time is that of the batcher's limits, and a [`token`](Push::token) takes the
    /// place of an id. Data about one entry belongs into the entry.
    ///
    /// # Errors
    /// When awaited: [`Error::is_full`] when the batcher's limit of entries or groups is reached,
    /// [`Error::is_unknown`] when the reply was lost: the entry may be stored. [`Push::idempotent`]
    /// makes it safe to push again.
    pub fn push(&self, entry: T) -> Push<T, One<T>> {
        Push::new(self, One::back(entry))
    }

    /// Pushes one entry to the front of the list when awaited.
    pub fn push_front(&self, entry: T) -> Push<T, One<T>> {
        Push::new(self, One::front(entry))
    }
}

impl<T, E> Push<T, E> {
    pub(super) fn new(handle: &BatcherHandle<T>, entries: E) -> Self {
        let (handle, durability) = (handle.clone(), Durability::Memory);
        Self { handle, entries, patience: Duration::ZERO, token: None, durability }
    }

    /// Waits up to this time for room whenever the batcher is full, instead of failing at once.
    pub fn wait(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes the push safe to send again: a call whose reply is lost is sent again automatically,
    /// and each entry is stored once. The server keeps the receipts for `window`. Such a push does
    /// not share calls with other pushes.
    pub fn idempotent(mut self, window: Duration) -> Self {
        self.token = Some(OwnToken::any(window));
        self
    }

    /// Sets how safely the entries must be stored before this returns. Default
    /// [`Durability::Memory`]. When it is not confirmed, the error is unknown and the entries are
    /// stored. Beyond memory a push does not share calls with other pushes.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Makes the push idempotent like [`Push::idempotent`], under a name of the caller's choice.
    /// All pushes of this name count as the same push, whichever call, group or process sends them.
    /// Pushing many entries again under the same name, in the same order, adds the entries that are
    /// missing. The name is 1 to 100 ASCII letters, digits or any of `_-.@/+=,~:`.
    pub fn token(mut self, name: impl Into<String>, window: Duration) -> Self {
        self.token = Some(OwnToken { name: name.into(), window });
        self
    }
}

impl<T, E> std::fmt::Debug for Push<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push")
            .field("handle", &self.handle)
            .field("patience", &self.patience)
            .field("token", &self.token)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl<T: BatchEntry> IntoFuture for Push<T, One<T>> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, entries: One { entry, end }, patience, token, durability } = self;
        let entry = handle.encode(&entry);
        Box::pin(async move {
            let (shared, group) = (handle.shared()?, &handle.group);
            let entry = entry?;
            let is_alone = token.is_some() || durability != Durability::Memory;
            if patience.is_zero() && !is_alone {
                return shared.push_with_others(Arc::clone(group), end, entry).await;
            }
            token.as_ref().map_or(Ok(()), OwnToken::check)?;
            durability.check()?;
            let safety = Safety { token: token.as_ref(), durability };
            let mut patience = Patience::new(patience);
            loop {
                let pushed = if is_alone {
                    shared.push_alone(group, end, &entry, safety).await
                } else {
                    shared.push_with_others(Arc::clone(group), end, entry.clone()).await
                };
                match pushed {
                    Err(error) if error.is_full() => patience.or(error).await?,
                    result => return result,
                }
            }
        })
    }
}

/// Waits between attempts to push to a full batcher, up to a deadline.
pub(super) struct Patience {
    until: Instant,
    pauses: Pauses,
}

impl Patience {
    pub(super) fn new(time: Duration) -> Self {
        let now = Instant::now();
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(86_400 * 365));
        let pauses = Pauses::new(Duration::from_millis(20), Duration::from_millis(500));
        Self { until, pauses }
    }

    /// Sleeps before the next attempt, longer each time, up to half a second. Returns `error` when
    /// the deadline has passed.
    pub(super) async fn or(&mut self, error: Error) -> Result<(), Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
        tokio::time::sleep(self.pauses.after_failure().min(left)).await;
        Ok(())
    }
}

impl BatcherState {
    /// Pushes one entry in a separate call.
    async fn push_alone(
        &self,
        group: &str,
        end: ListEnd,
        entry: &[u8],
        safety: Safety<'_>,
    ) -> Result<(), Error> {
        let pushed = self.push_chunk(group, end, &[entry.to_vec()], safety).await?;
        let options = self.options().await?;
        match refusal(&self.home, &options, pushed.verdict) {
            Some(error) if pushed.stored == 0 => Err(error),
            _ => Ok(()),
        }
    }

    /// Pushes entries in one call. Under a token, the call is sent again when its reply was lost.
    pub(super) async fn push_chunk(
        &self,
        group: &str,
        end: ListEnd,
        entries: &[Vec<u8>],
        Safety { token, durability }: Safety<'_>,
    ) -> Result<PushedEntries, Error> {
        let token = token.map(|token| Token { name: &token.name, window: token.window });
        let (mut resent, mut changed) = (0, 0);
        loop {
            let options = self.options().await?;
            entries.iter().try_for_each(|entry| check_fits(&options, entry.len()))?;
            let call = PushCall { group, entries, end, token };
            let result = match durability {
                Durability::Memory => {
                    let result =
                        self.broker.push_entries(&self.home, &options, &[call]).await.pop();
                    result.unwrap_or_else(|| Err(Error::protocol("a result is missing")))
                }
                durability => {
                    self.broker.push_durably(&self.home, &options, &call, durability).await
                }
            };
            match result {
                Ok(pushed) if pushed.verdict == PushVerdict::Options => {
                    self.forget_options();
                    changed += 1;
                    if changed > 3 {
                        let text = "the batcher's options keep changing, push again";
                        return Err(Error::refused(text));
                    }
                }
                Ok(pushed) => return Ok(pushed),
                Err(error)
                    if token.is_some()
                        && resent < MAX_RESENDS
                        && (error.is_unknown() || error.is_refused()) =>
                {
                    tokio::time::sleep(Duration::from_millis(50 << resent)).await;
                    resent += 1;
                }
                Err(error) if self.learn_from(&error) && changed < 3 => changed += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

//! One push, with whatever differs from the defaults, awaited like a future.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{ListEnd, PushCall, PushVerdict, PushedEntries, Token};
use poolder_core::{Error, JobId};
use tokio::time::Instant;

use crate::batcher::BatchEntry;
use crate::batcher::handle::BatcherHandle;
use crate::batcher::refusal::{check_fits, refusal};
use crate::batcher::shared::BatcherState;

/// How often a push under a token is sent again when its reply was lost.
const RESENDS: u32 = 4;

/// What is about to be pushed: [`One`] entry or [`Many`](super::Many). Nothing happens until it is
/// awaited.
#[must_use = "nothing is pushed until this is awaited"]
pub struct Push<'h, T, E> {
    pub(super) handle: &'h BatcherHandle<T>,
    pub(super) entries: E,
    pub(super) patience: Duration,
    pub(super) token: Option<OwnToken>,
}

/// One entry: awaiting its [`Push`] says whether it is stored.
#[derive(Debug)]
pub struct One<T> {
    entry: T,
    end: ListEnd,
}

/// A token and its window.
#[derive(Debug, Clone)]
pub(super) struct OwnToken {
    pub(super) name: String,
    pub(super) window: Duration,
}

impl OwnToken {
    /// A name that nobody else has.
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
    /// Pushes one entry behind the others: await it. A list is one entry. Pushes that meet in a
    /// process travel together, in their order.
    ///
    /// # Errors
    /// When awaited: [`Error::is_full`] when as much waits as may, [`Error::is_unknown`] when the
    /// reply was lost: the entry may be stored. [`Push::idempotent`] makes it safe to repeat.
    pub fn push(&self, entry: T) -> Push<'_, T, One<T>> {
        Push::new(self, One::back(entry))
    }

    /// Pushes one entry before the others.
    pub fn push_front(&self, entry: T) -> Push<'_, T, One<T>> {
        Push::new(self, One::front(entry))
    }
}

impl<'h, T, E> Push<'h, T, E> {
    pub(super) fn new(handle: &'h BatcherHandle<T>, entries: E) -> Self {
        Self { handle, entries, patience: Duration::ZERO, token: None }
    }

    /// Waits up to this time for room, each time when as much waits as may, instead of failing at
    /// once.
    pub fn wait(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes it safe to send again: calls whose reply is lost are sent again by themselves, and
    /// each entry is stored once. Receipts are kept for this time. Such a push travels alone.
    pub fn idempotent(mut self, window: Duration) -> Self {
        self.token = Some(OwnToken::any(window));
        self
    }

    /// The same under a name of your own, so that every push of this name is the same one,
    /// whichever call, group or process it comes from; to push many again under it, in the same
    /// order, adds what is missing. The name is 1 to 100 ASCII letters, digits or any of
    /// `_-.@/+=,~:`.
    pub fn token(mut self, name: impl Into<String>, window: Duration) -> Self {
        self.token = Some(OwnToken { name: name.into(), window });
        self
    }
}

impl<T, E> std::fmt::Debug for Push<'_, T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push")
            .field("handle", &self.handle)
            .field("patience", &self.patience)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl<'h, T: BatchEntry> IntoFuture for Push<'h, T, One<T>> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'h>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, entries: One { entry, end }, patience, token } = self;
        let entry = handle.encode(&entry);
        let (shared, group) = (&handle.shared, &handle.group);
        Box::pin(async move {
            let entry = entry?;
            if patience.is_zero() && token.is_none() {
                return shared.push_with_others(Arc::clone(group), end, entry).await;
            }
            token.as_ref().map_or(Ok(()), OwnToken::check)?;
            let mut patience = Patience::new(patience);
            loop {
                let pushed = match &token {
                    Some(token) => shared.push_alone(group, end, &entry, token).await,
                    None => shared.push_with_others(Arc::clone(group), end, entry.clone()).await,
                };
                match pushed {
                    Err(error) if error.is_full() => patience.or(error).await?,
                    result => return result,
                }
            }
        })
    }
}

/// Looks for room now and then, for a time.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(time: Duration) -> Self {
        let now = Instant::now();
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(86_400 * 365));
        Self { until, pause: Duration::from_millis(20) }
    }

    /// Lets a moment pass, longer each time, up to half a second; fails with the error when the
    /// time is up.
    pub(super) async fn or(&mut self, error: Error) -> Result<(), Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(500));
        Ok(())
    }
}

impl BatcherState {
    /// Pushes under a token, in a call of its own.
    async fn push_alone(
        &self,
        group: &str,
        end: ListEnd,
        entry: &[u8],
        token: &OwnToken,
    ) -> Result<(), Error> {
        let pushed = self.push_chunk(group, end, &[entry.to_vec()], Some(token)).await?;
        let options = self.options().await?;
        match refusal(&self.home, &options, pushed.verdict) {
            Some(error) if pushed.stored == 0 => Err(error),
            _ => Ok(()),
        }
    }

    /// Pushes entries in one call; under a token it is sent again when the reply was lost.
    pub(super) async fn push_chunk(
        &self,
        group: &str,
        end: ListEnd,
        entries: &[Vec<u8>],
        token: Option<&OwnToken>,
    ) -> Result<PushedEntries, Error> {
        let token = token.map(|token| Token { name: &token.name, window: token.window });
        let (mut resent, mut changed) = (0, 0);
        loop {
            let options = self.options().await?;
            entries.iter().try_for_each(|entry| check_fits(&options, entry.len()))?;
            let call = PushCall { group, entries, end, token };
            let result = self.broker.push_entries(&self.home, &options, &[call]).await.pop();
            match result.unwrap_or_else(|| Err(Error::protocol("a result is missing"))) {
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
                        && resent < RESENDS
                        && (error.is_unknown() || error.is_refused()) =>
                {
                    tokio::time::sleep(Duration::from_millis(50 << resent)).await;
                    resent += 1;
                }
                Err(error) => {
                    self.learn_from(&error);
                    return Err(error);
                }
            }
        }
    }
}

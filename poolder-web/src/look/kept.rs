//! A look at the server that is kept for a while and shared by all viewers.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last look of one sort. While one viewer looks, the others wait for the same look; so a
/// server is asked once however many viewers there are, and not at all when there are none.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    last: Mutex<Last<T>>,
}

#[derive(Debug)]
struct Last<T> {
    /// The last look that has succeeded.
    seen: Option<(Arc<T>, Instant)>,
    /// The end of the last try.
    tried: Option<Instant>,
    error: Option<Error>,
}

/// A look as a page shows it.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    pub(crate) value: Arc<T>,
    /// The time since the look.
    pub(crate) age: Duration,
    /// The reason why there is no later look.
    pub(crate) error: Option<String>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Mutex::new(Last { seen: None, tried: None, error: None }) }
    }
}

impl<T> Kept<T> {
    /// Returns the last look when it is not older than this, and else looks once more. When the
    /// server does not answer, the last look stays, with the reason.
    pub(crate) async fn get(
        &self,
        most: Duration,
        look: impl Future<Output = Result<T, Error>>,
    ) -> Result<Seen<T>, Error> {
        let mut last = self.last.lock().await;
        if last.tried.is_none_or(|tried| tried.elapsed() >= most) {
            let outcome = look.await;
            let now = Instant::now();
            last.tried = Some(now);
            match outcome {
                Ok(value) => (last.seen, last.error) = (Some((Arc::new(value), now)), None),
                Err(error) => last.error = Some(error),
            }
        }
        match (&last.seen, &last.error) {
            (Some((value, at)), error) => Ok(Seen {
                value: Arc::clone(value),
                age: at.elapsed(),
                error: error.as_ref().map(ToString::to_string),
            }),
            (None, Some(error)) => Err(error.repeated()),
            (None, None) => Err(Error::refused("the server was not asked yet")),
        }
    }
}

impl<T> Kept<T> {
    /// Lets the next viewer look once more, since something was changed.
    pub(crate) async fn forget(&self) {
        self.last.lock().await.tried = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_viewers_share_one_look_and_a_failed_one_leaves_the_last() {
        let (kept, asked) = (Kept::default(), AtomicU32::new(0));
        let second = Duration::from_secs(1);
        let look = || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(asked.fetch_add(1, Ordering::Relaxed))
        };
        let all = futures_util::future::join_all((0..50).map(|_| kept.get(second, look()))).await;
        assert!(all.iter().all(|seen| *seen.as_ref().unwrap().value == 0));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::sleep(second).await;
        assert_eq!(*kept.get(second, look()).await.unwrap().value, 1);
        tokio::time::sleep(second).await;
        let away = async { Err(Error::refused("away")) };
        let seen = kept.get(second, away).await.unwrap();
        assert_eq!((*seen.value, seen.age, seen.error.as_deref()), (1, second, Some("away")));
        // The server is not asked again by each viewer.
        let seen = kept.get(second, async { panic!("it was asked") }).await.unwrap();
        assert!(seen.error.is_some());
        tokio::time::sleep(second).await;
        assert!(kept.get(second, look()).await.unwrap().error.is_none());
        let never = Kept::<u32>::default();
        let away = async { Err(Error::refused("away")) };
        assert!(never.get(second, away).await.is_err());
    }
}

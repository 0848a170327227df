//! The guard around user code: it catches panics when a future is made, polled or dropped, and when
//! a value is read, cloned, displayed or dropped. A panic of user code ends one attempt, and no task
//! of the node.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use poolder_core::mutation::mutated;

use super::panic_place;

/// The longest time that a callback other than `handle_init` may take.
pub(super) const CALLBACK_DEADLINE: Duration = Duration::from_secs(30);

/// Calls `log`, which writes a log line. A subscriber that panics must not end a part of the node
/// that is about to be restarted.
pub(crate) fn logged(log: impl FnOnce()) {
    _ = caught(log);
}

/// Calls user code, and returns a panic as its message. The caller must discard values that the
/// code borrowed mutably: a panic may leave them half changed.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// Makes a future with `make`, and guards it from then on: its polls and its drop.
pub(crate) fn guarded<F: Future + Unpin>(make: impl FnOnce() -> F) -> Guarded<F> {
    match caught(make) {
        Ok(future) => Guarded { future: Some(future), panic: None },
        Err(panic) => Guarded { future: None, panic: Some(panic) },
    }
}

/// Drops a value of the user. A panic of its `Drop` is logged.
pub(crate) fn discard<T>(value: T) {
    if mutated("guard-drop") {
        return drop(value);
    }
    if let Err(panic) = caught(|| drop(value)) {
        logged(|| tracing::error!(panic, "dropping a value of a handler panicked"));
    }
}

/// Waits for a callback at most for `longest`. A panic and the end of the time are returned as a
/// message.
pub(crate) async fn within<F: Future + Unpin>(
    longest: Duration,
    callback: Guarded<F>,
) -> Result<F::Output, String> {
    let longest = if mutated("callback-deadline") { Duration::MAX } else { longest };
    match tokio::time::timeout(longest, callback).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("it did not return within {longest:?}")),
    }
}

/// Limits how many causes of an error are shown.
const MAX_CAUSES: usize = 16;

/// Returns an error and its causes as text. An error that cannot be displayed is named as such.
pub(crate) fn text_of(error: &(dyn StdError + 'static)) -> String {
    let shown = caught(|| {
        let mut text = String::new();
        write!(text, "{error}")?;
        let mut cause = error.source();
        for _ in 0..MAX_CAUSES {
            let Some(inner) = cause else { break };
            let mut inner_text = String::new();
            write!(inner_text, "{inner}")?;
            // Some errors repeat their cause in their own text.
            if !text.ends_with(&inner_text) {
                write!(text, ": {inner_text}")?;
            }
            cause = inner.source();
        }
        Ok::<_, std::fmt::Error>(text)
    });
    match shown {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => "an error that cannot be displayed: its Display returned an error".into(),
        Err(panic) => format!("an error that cannot be displayed: its Display panicked: {panic}"),
    }
}

/// A future of user code. It ends with the message of a panic instead of panicking, and also
/// catches a panic when it is dropped.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Guarded<F> {
    /// `None` once the future has ended, or when making it panicked.
    future: Option<F>,
    /// The message of the panic that making the future ended with.
    panic: Option<String>,
}

impl<F: Future + Unpin> Future for Guarded<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else {
            let panic = self.panic.take();
            return Poll::Ready(Err(panic.unwrap_or_else(|| "it has ended before".into())));
        };
        let ended = match caught(|| Pin::new(future).poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        discard(self.future.take());
        Poll::Ready(ended)
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        discard(self.future.take());
    }
}

/// A value of the user whose drop is guarded.
pub(crate) struct GuardedDrop<T>(Option<T>);

impl<T> GuardedDrop<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Returns the value.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Takes the value out of the guard.
    pub(crate) fn take(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Drop for GuardedDrop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            discard(value);
        }
    }
}

/// Returns the message of a panic with its place, and drops its payload.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let mut text = text.unwrap_or_else(|| "a panic without a message".into());
    if let Some(place) = panic_place::take() {
        text.push_str(&format!(" (at {place})"));
    }
    // The drop of a payload may panic as well. The payload of that panic is leaked: to drop it could
    // go on without end.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::future::ready;
    use std::panic::panic_any;

    use super::*;

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("boom");
            }
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_message_wherever_it_happens() {
        assert_eq!(guarded(|| ready(7)).await, Ok(7));
        let after = Box::pin(async {
            tokio::task::yield_now().await;
            panic!("no {}", "good");
        });
        let error = guarded::<Pin<Box<dyn Future<Output = ()>>>>(|| after).await.unwrap_err();
        assert!(error.starts_with("no good"), "{error}");
        let before = || -> std::future::Ready<()> { panic!("early") };
        assert!(guarded(before).await.unwrap_err().starts_with("early"));
    }

    #[tokio::test]
    async fn a_drop_that_panics_is_caught_with_the_future_before_during_and_after_its_run() {
        let bomb = || {
            let bomb = Bomb;
            Box::pin(async move {
                tokio::task::yield_now().await;
                let _held = &bomb;
            })
        };
        drop(guarded(bomb));
        let mut half_way = guarded(bomb);
        assert!(poll_once(&mut half_way).await.is_none());
        drop(half_way);
        assert!(guarded(bomb).await.is_err(), "the future drops the bomb before it ends");
        discard(Bomb);
        drop(GuardedDrop::new(Bomb));
        assert!(caught(|| panic_any(Bomb)).is_err());
        assert!(caught(|| panic_any(7_u8)).unwrap_err().starts_with("a panic without a message"));
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_callback_that_never_returns_is_given_up() {
        let limit = Duration::from_secs(30);
        let error = within(limit, guarded(std::future::pending::<()>)).await.unwrap_err();
        assert!(error.contains("30s"), "{error}");
        assert_eq!(within(limit, guarded(|| ready(1))).await, Ok(1));
    }

    /// An error whose `Display` writes this, fails or panics.
    #[derive(Debug)]
    enum Shown {
        Text(&'static str, Option<Box<Self>>),
        Fails,
        Panics,
    }

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Text(text, _) => f.write_str(text),
                Self::Fails => Err(fmt::Error),
                Self::Panics => panic!("not shown"),
            }
        }
    }

    impl StdError for Shown {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            match self {
                Self::Text(_, Some(cause)) => Some(cause.as_ref()),
                _ => None,
            }
        }
    }

    #[test]
    fn an_error_is_shown_with_its_causes_or_named_as_one_that_cannot_be_shown() {
        let caused = |text, cause| Shown::Text(text, Some(Box::new(cause)));
        let disk = || Shown::Text("disk full", None);
        let cases = [
            (disk(), "disk full"),
            (
                caused("cannot save", caused("cannot write", disk())),
                "cannot save: cannot write: disk full",
            ),
            (caused("cannot save: disk full", disk()), "cannot save: disk full"),
            (Shown::Fails, "cannot be displayed: its Display returned an error"),
            (caused("cannot save", Shown::Fails), "cannot be displayed"),
            (Shown::Panics, "its Display panicked: not shown"),
        ];
        for (error, expected) in cases {
            let text = text_of(&error);
            assert!(text.contains(expected), "{text}");
        }
    }
}

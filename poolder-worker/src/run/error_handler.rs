//! The functions that decide what happens to the job of a failed attempt.

use std::future::{Future, ready};
use std::sync::Arc;
use std::task::Poll;

use poolder_core::{BoxError, Verdict};

use super::context::Context;
use super::erased::BoxFuture;

/// A function for `on_error` whose type and form are erased.
pub(super) type Decide<J> =
    Arc<dyn for<'e> Fn(J, Context, &'e BoxError) -> BoxFuture<'e, Verdict> + Send + Sync>;

/// A function for [`WorkerFn::on_error`](crate::WorkerFn::on_error), in one of these forms:
///
/// - `fn(Job, Context, &BoxError) -> Verdict`: `Returned` is [`Verdict`]
/// - `async fn(Job, Context, &BoxError) -> Verdict`: `Returned` is [`Poll<Verdict>`](Poll)
///
/// It is implemented for such functions and closures, and not meant to be implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decide about failed attempts at `{J}`",
    label = "not a function for `on_error`",
    note = "`on_error` takes a function or closure with one of these forms:\n\
            fn({J}, Context, &BoxError) -> Verdict\n\
            async fn({J}, Context, &BoxError) -> Verdict",
    note = "a closure names the types of its arguments; what it captures, and the future of an \
            async one, can be sent to other threads"
)]
pub trait ErrorHandler<J, Returned> {
    /// Erases the type and the form of the function.
    fn erased(self) -> Decide<J>;
}

impl<F, J> ErrorHandler<J, Verdict> for F
where
    F: Fn(J, Context, &BoxError) -> Verdict + Send + Sync + 'static,
{
    fn erased(self) -> Decide<J> {
        Arc::new(move |job, cx, error| Box::pin(ready(self(job, cx, error))))
    }
}

impl<F, J> ErrorHandler<J, Poll<Verdict>> for F
where
    F: for<'e> Borrowing<'e, J> + Send + Sync + 'static,
{
    fn erased(self) -> Decide<J> {
        Arc::new(move |job, cx, error| Box::pin(self.call(job, cx, error)))
    }
}

/// An async function whose future borrows the error.
pub trait Borrowing<'e, J> {
    /// The future that the function returns.
    type Future: Future<Output = Verdict> + Send + 'e;

    /// Calls the function.
    fn call(&self, job: J, cx: Context, error: &'e BoxError) -> Self::Future;
}

impl<'e, F, J, R> Borrowing<'e, J> for F
where
    F: Fn(J, Context, &'e BoxError) -> R,
    R: Future<Output = Verdict> + Send + 'e,
{
    type Future = R;

    fn call(&self, job: J, cx: Context, error: &'e BoxError) -> R {
        self(job, cx, error)
    }
}

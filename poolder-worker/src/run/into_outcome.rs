//! The values that a handler function may return.

use poolder_core::{BoxError, Outcome};
use serde::Serialize;

use super::worker::Result;

/// A result of a job, which is kept for 24 hours, or goes to the caller that waits for it: the
/// return value of a handler function. A struct worker returns [`Outcome::result`] for it.
///
/// A value that cannot be serialized, or takes more than
/// [`MAX_PAYLOAD`](poolder_core::MAX_PAYLOAD) bytes, fails the attempt.
///
/// ```
/// use poolder_worker::{Return, worker_fn};
/// # use poolder_core::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Count { path: String }
/// # impl Job for Count { const KINDS: &'static [&'static str] = &["count"]; }
///
/// async fn count(job: Count) -> Result<Return<usize>, std::io::Error> {
///     Ok(Return(std::fs::read_to_string(job.path)?.lines().count()))
/// }
///
/// let worker = worker_fn(count);
/// # let _ = worker;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Return<T>(
    /// The result.
    pub T,
);

/// The return values of handler functions: `()` and [`Outcome`], [`Return`] with a value that can
/// be serialized, or a `Result` of one of these whose error can be boxed.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "this handler returns `{Self}`",
    note = "a handler returns `()` or `Outcome`, `Return(value)` with a result to keep, \
            or `Result<_, E>` of one of them",
    note = "`E` is any error that can be boxed: `anyhow::Error`, `eyre::Report`, an error of \
            thiserror, `BoxError`"
)]
pub trait IntoOutcome {
    /// Converts the return value; nothing means [`Outcome::Done`].
    ///
    /// # Errors
    /// Returns the error of the handler, which fails the attempt.
    fn into_outcome(self) -> Result<Outcome>;
}

/// The errors of handler functions: all that can be boxed as a [`BoxError`], by [`Into`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`",
    label = "the error of this handler is `{Self}`",
    note = "implement `std::error::Error` for it, by hand or with thiserror, and let it be \
            `Send + Sync`; or return `anyhow::Error`, `eyre::Report` or `BoxError`"
)]
pub trait HandlerError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> HandlerError for E {}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Result<Outcome> {
        Ok(self)
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<Outcome> {
        Ok(Outcome::Done)
    }
}

impl<T: Serialize> IntoOutcome for Return<T> {
    fn into_outcome(self) -> Result<Outcome> {
        Ok(Outcome::result(&self.0)?)
    }
}

impl<T: IntoOutcome, E: HandlerError> IntoOutcome for std::result::Result<T, E> {
    fn into_outcome(self) -> Result<Outcome> {
        self.map_err(Into::into)?.into_outcome()
    }
}

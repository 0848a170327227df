//! The functions that are workers.

use std::future::Future;

use poolder_core::{Error, Job};

use super::context::Context;
use super::state::{State, StateType};

/// A function or closure that is a worker for jobs of type `J`: see
/// [`worker_fn`](crate::worker_fn). `Args` tells which of these forms of arguments it has:
///
/// - `async fn(Job)`
/// - `async fn(Job, Context)`
/// - `async fn(State<T>, …, Job)`, with up to four states
/// - `async fn(State<T>, …, Job, Context)`, with up to four states
///
/// The trait is implemented for such functions, and not meant to be implemented by hand: a worker
/// with more to it is a [`Worker`](crate::Worker).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of jobs",
    label = "not a handler",
    note = "a handler is a function or closure with one of these forms:\n\
            async fn(Job) -> R\n\
            async fn(Job, Context) -> R\n\
            async fn(State<T>, Job) -> R\n\
            async fn(State<T>, Job, Context) -> R\n\
            where up to four `State<_>` come before the job, and `Context` is `poolder::Context`",
    note = "a job is a type with `#[derive(serde::Serialize, serde::Deserialize, poolder::Job)]`"
)]
pub trait Handler<J, Args> {
    /// The value that the function returns: a future.
    type Future;
    /// The types of its states.
    const STATES: &'static [StateType];

    /// Calls the function.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the context lacks one of the states.
    fn call(&self, job: J, cx: Context) -> Result<Self::Future, Error>;
}

/// The future of a [`Handler`]. It is implemented for all futures.
#[diagnostic::on_unimplemented(
    message = "a handler must be async, this one returns `{Self}`",
    label = "not an async function",
    note = "write `async fn`, or let the closure return an `async` block: `|job: Job| async move {{ … }}`"
)]
pub trait HandlerFuture: Future<Output = Self::Returned> {
    /// The value that the handler returns.
    type Returned;
}

#[diagnostic::do_not_recommend]
impl<F: Future> HandlerFuture for F {
    type Returned = F::Output;
}

macro_rules! handlers {
    ($(($($state:ident),*)),* $(,)?) => {$(
        impl<F, $($state,)* J, R> Handler<J, ($(State<$state>,)*)> for F
        where
            F: Fn($(State<$state>,)* J) -> R,
            // Without `J: Job`, a context after the states would pass for a job.
            $($state: Clone + Send + Sync + 'static, J: Job,)*
        {
            type Future = R;
            const STATES: &'static [StateType] = &[$(StateType::of::<$state>()),*];

            fn call(&self, job: J, _cx: Context) -> Result<R, Error> {
                Ok(self($(State(_cx.state::<$state>()?.clone()),)* job))
            }
        }

        impl<F, $($state,)* J, R> Handler<J, ($(State<$state>,)* Context,)> for F
        where
            F: Fn($(State<$state>,)* J, Context) -> R,
            $($state: Clone + Send + Sync + 'static,)*
        {
            type Future = R;
            const STATES: &'static [StateType] = &[$(StateType::of::<$state>()),*];

            fn call(&self, job: J, cx: Context) -> Result<R, Error> {
                Ok(self($(State(cx.state::<$state>()?.clone()),)* job, cx))
            }
        }
    )*};
}

handlers!((), (A), (A, B), (A, B, C), (A, B, C, D));

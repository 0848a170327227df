//! The trait for user code that handles batches of one type of entry.

use std::future::Future;

use poolder_client::BatchEntry;
use poolder_core::{BoxError, Outcome, Verdict};

use super::batch::Batch;
use crate::run::context::Context;
use crate::run::worker::Result;

/// Handles batches. Each slot owns a clone and gives it one batch at a time, so that its state
/// needs no lock; after a panic the slot gets a fresh clone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a worker for batches",
    label = "not a worker for batches",
    note = "it is a type with `impl BatchWorker for …`, whose method is `handle_batch`; \
            a `Worker` and a function run jobs, in a `Pool`"
)]
pub trait BatchWorker: Clone + Send + 'static {
    /// The type of the entries.
    type Entry: BatchEntry;

    /// Opens the resources of the slot, before its first batch and after a panic. When it fails,
    /// the slot logs the error and tries again, with longer waits up to 30 s.
    fn handle_init(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Handles a batch. It may run more than once for the same entries: make it safe to repeat, for
    /// example by the [batch's key](Batch::key).
    ///
    /// An error fails the whole batch. When only some entries failed, [mark](Batch::retry) these
    /// and return `Done`. Entries that the handler never read count as failed.
    fn handle_batch(
        &mut self,
        batch: &mut Batch<Self::Entry>,
        cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Decides what happens to a failed batch, or to the entries of it that are to be tried again.
    /// Default: as the policy says. For a timeout and a panic, `error` is a
    /// [`Failure`](poolder_core::Failure).
    fn handle_error(
        &mut self,
        cx: Context,
        error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (cx, error);
        async { Verdict::Policy }
    }

    /// Releases costly resources when the slot has had no batch for
    /// [`hibernate_after`](super::Batcher::hibernate_after). The slot then drops `self`; for its
    /// next batch it takes a fresh clone and calls `handle_init`.
    fn handle_hibernate(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Closes the resources of the slot, when the slot or the node stops.
    fn handle_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

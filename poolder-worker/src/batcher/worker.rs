//! The user's code for batches of one type of entry.

use std::future::Future;

use poolder_client::BatchEntry;
use poolder_core::{BoxError, Outcome, Verdict};

use super::batch::Batch;
use crate::run::context::Context;
use crate::run::worker::Result;

/// Runs batches. Each slot owns a clone and gives it one batch at a time, so that state needs no
/// lock; after a panic the slot gets a fresh clone.
pub trait BatchWorker: Clone + Send + 'static {
    /// The type of entry.
    type Entry: BatchEntry;

    /// Opens what the slot needs, before its first batch and after a panic. When it fails the slot
    /// reports it and tries again, later each time, up to half a minute.
    fn handle_init(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Does the work. At least once: make it safe to repeat, for example by the
    /// [batch's key](Batch::key).
    ///
    /// An error is one of the whole batch. Entries that failed while others are done are
    /// [marked](Batch::retry) before it returns that it is done; entries that it never read count
    /// as failed.
    fn handle_batch(
        &mut self,
        batch: &mut Batch<Self::Entry>,
        cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Says what shall become of a failed batch, or of what is left of it when entries of it are
    /// to be tried again. Default: as the policy says. A timeout and a panic come as a
    /// [`Failure`](poolder_core::Failure).
    fn handle_error(
        &mut self,
        cx: Context,
        error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (cx, error);
        async { Verdict::Policy }
    }

    /// Lets go of what costs while the slot is idle: it has had no batch for
    /// [`hibernate_after`](super::Batcher::hibernate_after). Its next batch finds a fresh worker,
    /// after `handle_init`.
    fn handle_hibernate(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Closes what the slot holds, when the node goes down.
    fn handle_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

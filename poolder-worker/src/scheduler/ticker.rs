//! The worker that runs the jobs of a scheduler.

use std::sync::Arc;

use poolder_core::{BoxError, Outcome, Verdict};

use super::apply;
use super::job::{Defaults, Named};
use super::periodic::Periodic;
use crate::run::context::Context;
use crate::run::worker::{Result, Worker};

/// Runs the jobs of a scheduler.
#[derive(Clone)]
pub(super) struct Ticker<P> {
    pub(super) periodic: P,
    pub(super) defaults: Arc<Defaults>,
}

impl<P: Periodic> Worker for Ticker<P> {
    type Job = Named<P>;

    async fn handle_init(&mut self) -> Result<()> {
        self.periodic.handle_init().await
    }

    async fn handle_job(&mut self, job: Named<P>, cx: Context) -> Result<Outcome> {
        let then = self.periodic.handle_job(&job.job, cx.clone()).await?;
        apply::apply::<P>(&self.defaults, &job.job, then, &cx).await?;
        Ok(Outcome::Done)
    }

    async fn handle_error(&mut self, job: Named<P>, cx: Context, error: &BoxError) -> Verdict {
        self.periodic.handle_error(&job.job, cx, error).await
    }

    async fn handle_stop(&mut self) {
        self.periodic.handle_stop().await;
    }
}

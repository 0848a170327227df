//! A slot without a claimer, which runs the jobs of a test.

use std::sync::Arc;

use poolder_core::broker::Settlement;
use tokio::time::Instant;

use super::{Scope, Slot};
use crate::run::engine::Engine;
use crate::run::mailbox::Work;
use crate::run::turn::Turn;

impl Slot {
    /// Creates a slot without a claimer, which runs the jobs of a test.
    pub(crate) fn alone(index: usize, engine: &Arc<Engine>) -> Self {
        Self::new(index, engine, &Arc::default())
    }

    /// Runs a job until its settlement is decided, or with `once` one attempt of it. Returns the
    /// settlement, and whether the job stops its pool.
    ///
    /// # Errors
    /// Returns the text of a `handle_init` that has failed.
    pub(crate) async fn perform(
        &mut self,
        work: Work,
        once: bool,
        jitter: f64,
    ) -> Result<(Option<Settlement>, bool), String> {
        self.workers.fill_once().await?;
        (self.once, self.jitter, self.current) = (once, Some(jitter), Some(work));
        let settlement = self.attempt().await;
        self.turn = Turn::new(Instant::now());
        Ok((settlement, self.stopping.take() == Some(Scope::Pool)))
    }

    /// Stops the workers of a slot without a claimer.
    pub(crate) async fn end(mut self) {
        self.workers.stop().await;
    }
}

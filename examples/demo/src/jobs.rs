//! The two jobs and their handlers.
//!
//! A job runs *at least* once. It runs again when its process dies after the work and before the
//! server has recorded the completion. This demo makes that happen on purpose. So each handler is
//! safe to repeat:
//!
//! - the first stage only reads, and enqueues the second under a fixed id, *idempotently*: however
//!   often a file is measured, its second-stage job is stored once;
//! - the second stage *sets* the figures of the file instead of adding them to a sum ([`Tally`]):
//!   setting the same value twice has the effect of setting it once.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::events::{self, Event};
use crate::files::extension;
use crate::measure::{Figures, file_key, measure};
use crate::tally::Tally;

/// The time during which a repeated enqueue with the same id stores nothing: longer than any
/// repetition in this demo can be late.
pub(crate) const WINDOW: Duration = Duration::from_secs(60 * 60);

/// First stage: read, hash and count one file.
///
/// The job carries the path of the file, not its content, because payloads live in Redis's memory.
/// The path is an [`OsString`] because it need not be UTF-8.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "demo.count_file", queue = "files", attempts = 3, backoff = "1s", timeout = "1m")]
pub(crate) struct CountFile {
    pub(crate) path: OsString,
}

/// Second stage: add one file to the totals of its extension.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "demo.add_up", queue = "totals", attempts = 10, timeout = "30s")]
#[job(backoff = exponential("100ms", "10s"))]
pub(crate) struct AddUp {
    /// The key of the file in the totals: see [`file_key`].
    pub(crate) file: String,
    pub(crate) extension: String,
    pub(crate) figures: Figures,
}

/// Runs [`CountFile`]. A worker without state can be an async function.
pub(crate) async fn count_file(job: CountFile, cx: Context) -> Result<Outcome> {
    let path = PathBuf::from(job.path);
    let (file, extension) = (file_key(&path), extension(&path));
    // Reading and hashing block the thread. The runtime needs its own threads for heartbeats and
    // settlements.
    let measured = tokio::task::spawn_blocking(move || measure(&path)).await?;
    let figures = match measured {
        Ok(figures) => figures,
        // A retry cannot bring a missing file back. Other errors are retried as the job's
        // attributes say.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Cancel("the file is gone".into()));
        }
        Err(error) => return Err(error.into()),
    };
    let id = file.clone();
    cx.client().enqueue(AddUp { file, extension, figures }).id(id).idempotent(WINDOW).await?;
    Ok(Done)
}

/// Runs [`AddUp`]. Each slot owns a clone with its own connection, so that no lock is needed.
#[derive(Clone, Default)]
pub(crate) struct AddUpWorker {
    tally: Option<Tally>,
}

impl Worker for AddUpWorker {
    type Job = AddUp;

    async fn handle_init(&mut self) -> Result<()> {
        self.tally = Some(Tally::from_env().await?);
        Ok(())
    }

    async fn handle_job(&mut self, job: AddUp, cx: Context) -> Result<Outcome> {
        let mut tally = match self.tally.take() {
            Some(tally) => tally,
            None => Tally::from_env().await?,
        };
        // After an error `tally` is dropped with its connection, and the next attempt opens a new
        // one.
        let is_first = tally.set(&job).await?;
        self.tally = Some(tally);
        if !is_first {
            events::tell(cx.queue(), Event::Again);
        }
        Ok(Done)
    }
}

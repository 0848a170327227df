//! The client process: it enqueues one job per file, and ends.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use poolder::Result;
use poolder::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::jobs::{CountFile, WINDOW};
use crate::measure::file_key;

/// The number of jobs sent to the server in one call.
const BATCH: usize = 250;

/// Enqueues a job for each file. The paths come in on standard input, each ended by a zero byte,
/// the only byte that a path cannot contain.
pub(crate) async fn run() -> Result<()> {
    let client = Client::from_env().await?;
    let mut paths = BufReader::new(tokio::io::stdin()).split(0);
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(path) = paths.next_segment().await? {
        batch.push(OsString::from_vec(path));
        if batch.len() == BATCH {
            enqueue(&client, std::mem::take(&mut batch)).await?;
        }
    }
    enqueue(&client, batch).await
}

/// Enqueues many jobs in one call, and checks the result of each. Job ids come from the paths and
/// enqueues are idempotent: a client that dies half way can be started again.
async fn enqueue(client: &Client, paths: Vec<OsString>) -> Result<()> {
    let jobs = paths.into_iter().map(|path| {
        let id = file_key(Path::new(&path));
        client.enqueue(CountFile { path }).id(id).idempotent(WINDOW).prepare()
    });
    for result in client.enqueue_prepared(jobs.collect()).await {
        result?;
    }
    Ok(())
}

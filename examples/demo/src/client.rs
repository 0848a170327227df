//! The client process: it enqueues one job per file, and ends.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use poolder::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::jobs::{CountFile, WINDOW};
use crate::measure::file_key;

/// So many jobs go to the server at a time.
const BATCH: usize = 250;

/// Enqueues the files whose paths come in on standard input, each ended by a zero byte: the only
/// byte that no path holds.
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

/// Many jobs in one go, with a result for each. The id makes a repetition the same job: a client
/// that dies half way can simply be started again.
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

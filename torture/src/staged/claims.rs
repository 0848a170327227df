//! The drills of claims: jobs that no worker knows before one that is known, and replies that are
//! too large for the server's output buffer.

use std::path::PathBuf;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobState, Receipt};
use serde::{Deserialize, Serialize};

use super::{KEPT, Stage, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::extremes::{self, Extremes};
use crate::job::{Act, Step};
use crate::scene::error_text;

/// The number of jobs that no worker knows.
const UNKNOWN: u64 = 3_000;
/// The most claims that may pass them. With a claim for each free slot there is one for each job.
const MOST_CLAIMS: u64 = 300;
/// The number and size of the large jobs. Two of them exceed the limit.
const LARGE: u64 = 6;
const BYTES: usize = 200_000;
const LIMIT: &str = "normal 300kb 300kb 0";
/// The time for each drill.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job of a later version of the application.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.unknown", queue = "storm")]
struct Unknown {
    number: u64,
}

/// Puts a job behind many that the node does not know. The node must reach it with few claims.
pub(super) async fn unknown(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    for stored in stage.client.enqueue_many((0..UNKNOWN).map(|number| Unknown { number })).await {
        stored.map_err(error_text)?;
    }
    let known = Step { seq: 0, act: Act::Done, millis: 0 };
    let known = stage.client.enqueue(known).keep_completion(KEPT).await.map_err(error_text)?;
    let node = stage.node(0, 1, Beside::default()).await?;
    let mut verdict = Verdict::default();
    if !completes(&stage, &[known]).await? {
        verdict.violate("never finished", "the job behind those that are not known".into());
    }
    let claims = claims(&stage)?;
    if claims > MOST_CLAIMS {
        verdict.violate("too many claims", format!("{claims} for {UNKNOWN} unknown jobs"));
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

/// Enqueues large jobs at a server that closes a connection with as much in its output buffer as
/// two of them have.
pub(super) async fn narrow(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    stage.stand.command(&["CONFIG", "SET", "client-output-buffer-limit", LIMIT])?;
    let mut jobs = vec![];
    for number in 0..LARGE {
        let enqueue = stage.client.enqueue(extremes::large(number, BYTES)).keep_completion(KEPT);
        jobs.push(enqueue.await.map_err(error_text)?);
    }
    let beside = Beside { extremes: Some(Extremes { calls: 0 }), ..Beside::default() };
    let node = stage.node(0, 1, beside).await?;
    let mut verdict = Verdict::default();
    if !completes(&stage, &jobs).await? {
        let done = stage.count(&jobs, JobState::Completed).await;
        verdict.violate("never finished", format!("{done} of {LARGE} jobs are completed"));
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

/// Waits until these jobs are completed. Returns false when that takes too long.
async fn completes(stage: &Stage, jobs: &[Receipt]) -> Result<bool, String> {
    within(PATIENCE, async || Ok(stage.count(jobs, JobState::Completed).await == jobs.len())).await
}

/// Returns the number of claims that the server has executed.
fn claims(stage: &Stage) -> Result<u64, String> {
    let stats = stage.stand.command(&["INFO", "commandstats"])?;
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xreadgroup:calls="));
    let calls = calls.and_then(|rest| rest.split(',').next()).unwrap_or("0");
    calls.parse().map_err(error_text)
}

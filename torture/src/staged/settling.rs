//! The drill of jobs whose settlements raise errors, among jobs that are settled in the same calls.

use std::path::PathBuf;
use std::time::Duration;

use super::{Stage, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::job::{Act, QUEUE, Step};
use crate::scene::error_text;

/// The time for the neighbours, which are settled at once after the group has failed.
const SOON: Duration = Duration::from_secs(5);
/// The time for the jobs that cannot be retried, after all tries.
const AT_LAST: Duration = Duration::from_secs(15);

/// Lets jobs end together: half of them fail and cannot be moved to the jobs that wait, whose key
/// has another type. The others must complete with their results, and those must be buried.
pub(super) async fn unsettled(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    stage.stand.command(&["SET", &Stage::key(QUEUE, "bodies"), "mine"])?;
    let jobs = 8;
    for number in 0..jobs {
        let seq = number as u64;
        for act in [Act::Fail(1), Act::Result] {
            let stored = stage.client.enqueue(Step { seq, act, millis: 1_000 }).await;
            stored.map_err(error_text)?;
        }
    }
    // One claim takes all jobs, so that they end together.
    let node = stage.node(0, 2 * jobs, Beside::default()).await?;
    let mut verdict = Verdict::default();
    let results = Stage::key(QUEUE, "result:*");
    let count = || -> Result<_, String> {
        Ok(stage.stand.command(&["KEYS", &results])?.split_whitespace().count())
    };
    if !within(SOON, async || Ok(count()? == jobs)).await? {
        let text = format!("{} of {jobs} have their results", count()?);
        verdict.violate("neighbours were not settled", text);
    }
    let dead = Stage::key(QUEUE, "dead");
    let count = || stage.stand.command(&["ZCARD", &dead]);
    let all = async || Ok(count()?.trim() == jobs.to_string());
    if !within(AT_LAST, all).await? {
        verdict.violate("never settled", format!("{} are dead", count()?));
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

//! The drill of dead batches that are revived while they are pruned.

use std::path::PathBuf;
use std::time::Duration;

use super::{Stage, must, within};
use crate::batches::{Batches, Entry, KEPT, QUEUE};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::ledger::{self, Ended, Record};
use crate::processes::Handle;
use crate::scene::error_text;

const ROUNDS: u64 = 4;
/// The batches of a round, each of two entries, and those that are revived before the pruner starts.
const BATCHES: u64 = 12;
const FIRST: usize = 4;
/// The time for each step.
const PATIENCE: Duration = Duration::from_secs(25);

/// Lets batches die, and revives them while the next leader prunes what has been dead for too long.
/// A batch that was revived must be completed with its entries; the others must leave nothing.
pub(super) async fn revivals(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let batches = Batches { limit: 2, dies: true, ..Batches::of(1) };
    let rows = stage.client.batcher::<Entry>(QUEUE);
    rows.declare_later(batches.options());
    let beside = Beside { batches: Some(batches), ..Beside::default() };
    let mut node = stage.node(0, 1, beside.clone()).await?;
    // A node that begins to lead prunes at once.
    let leader = Stage::key(QUEUE, "leader");
    let leads = async || Ok(stage.stand.command(&["EXISTS", &leader])?.trim() == "1");
    must(within(PATIENCE, leads).await?, "the node does not lead")?;
    let dead = Stage::key(QUEUE, "dead");
    let count = |wanted: u64| {
        let found = stage.stand.command(&["ZCARD", &dead])?;
        Ok::<_, String>(found.trim() == wanted.to_string())
    };
    let (mut revived, mut verdict) = (vec![], Verdict::default());
    for round in 0..ROUNDS {
        let entries = (0..2 * BATCHES).map(|number| (round, number));
        rows.push_many(entries).await.all().map_err(error_text)?;
        if !within(PATIENCE, async || count(BATCHES)).await? {
            verdict.violate("never buried", format!("in round {round}"));
            break;
        }
        stop(&node).await?;
        tokio::time::sleep(KEPT + KEPT / 2).await;
        revive(&stage, FIRST, &mut revived).await?;
        node = stage.node(usize::try_from(round).unwrap_or(0) + 1, 1, beside.clone()).await?;
        let none_left = async || {
            revive(&stage, 1, &mut revived).await?;
            count(0)
        };
        if !within(PATIENCE, none_left).await? {
            verdict.violate("never pruned", format!("in round {round}"));
        }
        let missing = || missing(&stage, &revived);
        within(PATIENCE, async || Ok(missing()?.is_empty())).await?;
        for job in missing()? {
            verdict.violate("entries lost", format!("of the revived batch {job}"));
        }
        if !verdict.is_good() {
            break;
        }
    }
    let lists = Stage::key(QUEUE, "batch:sealed:*");
    let gone = async || Ok(stage.stand.command(&["KEYS", &lists])?.trim().is_empty());
    if verdict.is_good() && !within(PATIENCE, gone).await? {
        verdict.violate("left behind", stage.stand.command(&["KEYS", &lists])?);
    }
    verdict.row("revived", revived.len().to_string());
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

/// Revives at most this many of the dead, and notes those that were.
async fn revive(stage: &Stage, most: usize, revived: &mut Vec<String>) -> Result<(), String> {
    let queue = stage.client.inspect(QUEUE);
    for view in queue.dead(None, most).await.map_err(error_text)?.jobs {
        match stage.client.job(&view.handle).revive().await {
            Ok(()) => revived.push(view.id().to_string()),
            // The pruner was first.
            Err(error) if error.is_not_found() || error.is_gone() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Returns the revived batches that no handler has completed with both of their entries.
fn missing(stage: &Stage, revived: &[String]) -> Result<Vec<String>, String> {
    let (mut runs, mut done) = (std::collections::HashMap::new(), vec![]);
    for file in ledger::read_all(&stage.folder)? {
        runs.clear();
        for line in file?.1 {
            match line.record {
                Record::Batch { run, job, ranges, .. } => {
                    let entries: u64 = ranges.iter().map(|(.., count)| count).sum();
                    runs.insert(run, (job, entries));
                }
                Record::End { run, how: Ended::Done } => {
                    done.extend(runs.remove(&run).filter(|(_, entries)| *entries == 2));
                }
                _ => {}
            }
        }
    }
    let is_done = |job: &&String| done.iter().any(|(other, _)| other == *job);
    Ok(revived.iter().filter(|job| !is_done(job)).cloned().collect())
}

/// Stops a node, so that the next one leads at once.
async fn stop(node: &Handle) -> Result<(), String> {
    let mut member = node.member.lock().await;
    member.signal("TERM").await?;
    member.await_end(PATIENCE).await;
    member.kill().await
}

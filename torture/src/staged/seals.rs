//! The drill of a timer that is due while its group gathers the next list.

use std::path::PathBuf;
use std::time::Duration;

use super::{Stage, must, within};
use crate::batches::{Batches, Entry, QUEUE};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::scene::error_text;

/// The time for each step.
const PATIENCE: Duration = Duration::from_secs(20);
/// The timer of a list that was sealed before the current one began.
const TIMER: &str = "timer:batch:seal:batches:1:";

/// Lets the timer of an earlier list be due while a list gathers, as when its request arrives after
/// the list was full. The list must go on gathering.
pub(super) async fn late_timer(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    // No list is sealed by its own timer during the drill.
    let batches = Batches { timeout: 10 * 60 * 1_000, ..Batches::of(1) };
    let beside = Beside { batches: Some(batches.clone()), ..Beside::default() };
    let node = stage.node(0, 1, beside).await?;
    let rows = stage.client.batcher::<Entry>(QUEUE);
    rows.declare_later(batches.options());
    rows.push((0, 0)).await.map_err(error_text)?;
    let (due, list) = (Stage::key(QUEUE, "due"), Stage::key(QUEUE, "batch:fill:batches:"));
    stage.stand.command(&["ZADD", &due, "1", TIMER])?;
    stage.stand.command(&["PUBLISH", &Stage::key(QUEUE, "control"), "due"])?;
    let handled = async || Ok(stage.stand.command(&["ZSCORE", &due, TIMER])?.trim() == "(nil)");
    must(within(PATIENCE, handled).await?, "the timer stays")?;
    let mut verdict = Verdict::default();
    rows.push((0, 1)).await.map_err(error_text)?;
    let gathered = stage.stand.command(&["LLEN", &list])?;
    if gathered.trim() != "2" {
        let text = format!("{} of 2 entries are gathered", gathered.trim());
        verdict.violate("sealed by the timer of another list", text);
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

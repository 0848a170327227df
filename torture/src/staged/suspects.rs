//! The drill of a suspect that was only claimed when its node died.

use std::path::PathBuf;
use std::time::Duration;

use poolder::JobState;

use super::{KEPT, Stage, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::job::{Act, QUEUE, Step};
use crate::rollback::history;
use crate::scene::error_text;

/// The time for each step: a dead node is noticed within 12 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// The nodes that die, and the time between two deaths: each is noticed alone.
const VICTIMS: usize = 3;
const BETWEEN: Duration = Duration::from_secs(4);

/// Lets one job be at three nodes that die. It ran at two of them, which makes it a suspect, and was
/// only claimed by the third: that death must not count.
pub(super) async fn suspects(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let job = Step { seq: 0, act: Act::Done, millis: 1_500 };
    let enqueue = stage.client.enqueue(job).keep_completion(KEPT);
    let job = enqueue.await.map_err(error_text)?;
    let (mut victims, mut names) = (vec![], vec![]);
    for index in 0..VICTIMS {
        let node = stage.node(index, 1, Beside::default()).await?;
        names.push(new_name(&stage, &names).await?);
        if index == 0 {
            let runs = async || {
                let job = history(&stage.folder, 0)?;
                Ok(job.is_some_and(|job| !job.executions.is_empty()))
            };
            must(within(PATIENCE, runs).await?, "the job does not run")?;
            // No other node runs it.
            stage.client.pause(QUEUE).await.map_err(error_text)?;
            node.member.lock().await.kill().await?;
        }
        victims.push(node);
    }
    let rescuer = stage.node(VICTIMS, 1, Beside::default()).await?;
    for victim in &victims[1..] {
        tokio::time::sleep(BETWEEN).await;
        victim.member.lock().await.kill().await?;
    }
    // Claims that arrive late, under the names of nodes that die.
    let (front, suspect) = (Stage::key(QUEUE, "ready:front"), Stage::key(QUEUE, "ready:suspect"));
    for (lane, name) in [(&front, &names[1]), (&suspect, &names[2])] {
        let waits = async || Ok(stage.stand.command(&["XLEN", lane])?.trim() == "1");
        must(within(PATIENCE, waits).await?, "the job is not taken back")?;
        let claim = ["XREADGROUP", "GROUP", "workers", name, "STREAMS", lane, ">"];
        must(!stage.stand.command(&claim)?.trim().is_empty(), "the job cannot be claimed")?;
    }
    let released = async || {
        let pending = stage.stand.command(&["XPENDING", &suspect, "workers"])?;
        Ok(pending.lines().next().is_some_and(|count| count.trim().ends_with('0')))
    };
    must(within(PATIENCE, released).await?, "the suspect is not taken back")?;
    stage.client.resume(QUEUE).await.map_err(error_text)?;
    let mut verdict = Verdict::default();
    let done = async || Ok(stage.count(std::slice::from_ref(&job), JobState::Completed).await == 1);
    if !within(PATIENCE / 4, done).await? {
        let state = stage.client.job(&job).state().await;
        verdict.violate("innocent, but buried", format!("{state:?}"));
    }
    rescuer.member.lock().await.kill().await?;
    Ok(verdict)
}

fn must(came_about: bool, otherwise: &str) -> Result<(), String> {
    if came_about { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Waits for a node that is not known yet, and returns its name.
async fn new_name(stage: &Stage, known: &[String]) -> Result<String, String> {
    let mut name = None;
    let listed = async || {
        let nodes = stage.client.nodes().await.map_err(error_text)?;
        name = nodes.into_iter().map(|node| node.name).find(|name| !known.contains(name));
        Ok(name.is_some())
    };
    within(PATIENCE, listed).await?;
    name.ok_or("the node does not enter the roster".into())
}

//! The drills of suspects: one that was only claimed when its node died, and two of two queues on
//! one node.

use std::path::PathBuf;
use std::time::Duration;

use poolder::JobState;

use super::{KEPT, Stage, must, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::job::{Act, QUEUE, Step, queue};
use crate::ledger::Ledger;
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
        must(stage.stand.command(&claim)?.trim() != "(nil)", "the job cannot be claimed")?;
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

/// The job that kills its node, and the job that does not. The killer leaves time to kill its node
/// before it does so itself.
const KILLER: Step = Step { seq: 1, act: Act::Killer, millis: 2_500 };
const INNOCENT: Step = Step { seq: 3, act: Act::Done, millis: 6_000 };
/// The nodes that are killed while both run: after that, both are suspects.
const CRASHES: usize = 2;

/// Lets the suspects of two queues be at one node, of which one kills it. They must run one after
/// the other, so that the other is not blamed.
pub(super) async fn two_suspects(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let mut jobs = vec![];
    for (number, job) in [KILLER, INNOCENT].into_iter().enumerate() {
        let enqueue = stage.client.enqueue(job).queue(queue(number as u64)).keep_completion(KEPT);
        jobs.push(enqueue.await.map_err(error_text)?);
    }
    let node = async |index| {
        let mut node = stage.worker(index, 2, Beside::default());
        node.common.queues = 2;
        stage.start(node).await
    };
    for index in 0..CRASHES {
        let node = node(index).await?;
        let runs = |seq| {
            Ok::<_, String>(history(&stage.folder, seq)?.map_or(0, |job| job.executions.len()))
        };
        let both = async || Ok(runs(KILLER.seq)? > index && runs(INNOCENT.seq)? > index);
        must(within(PATIENCE, both).await?, "the jobs do not run on one node")?;
        node.member.lock().await.kill().await?;
    }
    let last = node(CRASHES).await?;
    let ledger = Ledger::open(&stage.folder.join("torture.jsonl")).map_err(error_text)?;
    let keeper = tokio::spawn(last.clone().keep(ledger));
    let ended = async || {
        let dead = stage.count(&jobs[..1], JobState::Dead).await;
        let done = stage.count(&jobs[1..], JobState::Completed).await;
        Ok(dead + done == 2 || stage.count(&jobs[1..], JobState::Dead).await == 1)
    };
    let in_time = within(3 * PATIENCE, ended).await?;
    let mut verdict = Verdict::default();
    let innocent = stage.client.job(&jobs[1]).state().await.map_err(error_text)?;
    if innocent == Some(JobState::Dead) {
        verdict.violate("innocent, but buried", "beside a job that kills its node".into());
    } else if !in_time {
        let killer = stage.client.job(&jobs[0]).state().await.map_err(error_text)?;
        verdict.violate("never settled", format!("{killer:?} and {innocent:?}"));
    }
    last.member.lock().await.dismiss();
    keeper.await.map_err(error_text)??;
    last.member.lock().await.kill().await?;
    Ok(verdict)
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

//! The drill of a slot whose server forgets its last writes: another job has the entry id of the
//! slot's job, and the slot claims it without knowing, since the reply is lost.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Stage, within};
use crate::beside::Beside;
use crate::checker::{Job, Verdict};
use crate::job::{Act, QUEUE, Step};
use crate::ledger::Ended;
use crate::proxy::{Loss, Lost};
use crate::rollback::{Scene, copy_folder, history};
use crate::scene::error_text;

/// The job that the server forgets while it runs, and the job that gets its id.
const FORGOTTEN: u64 = 1;
const OTHER: u64 = 2;
/// The time for each step.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the drill. The other job must run in the end.
pub(super) async fn slot_rollback(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let job = |seq: u64| history(&stage.folder, seq);
    let begun = |job: Option<Job>| job.is_some_and(|job| !job.executions.is_empty());
    let done = |job: Option<Job>| {
        job.is_some_and(|job| job.executions.iter().any(|run| run.how == Some(Ended::Done)))
    };
    let node = stage.node(0, 1, Beside { addressed: true, ..Beside::default() }).await?;
    Scene::new(&stage.stand, super::NAMESPACE).await?.until_ready().await?;
    let (file, copy) =
        (stage.stand.server()?.dir().join("appendonlydir"), stage.folder.join("aof"));
    copy_folder(&file, &copy)?;

    let forgotten = Step { seq: FORGOTTEN, act: Act::Done, millis: 4_000 };
    stage.client.pool::<Step>(QUEUE).cast(forgotten).await.map_err(error_text)?;
    if !within(PATIENCE, async || Ok(begun(job(FORGOTTEN)?))).await? {
        return Err("the first job does not run".into());
    }
    let (id, _) = Scene::new(&stage.stand, super::NAMESPACE).await?.entry(QUEUE).await?;
    let server = stage.stand.server()?;
    server.kill().map_err(error_text)?;
    fs::remove_dir_all(&file).map_err(error_text)?;
    copy_folder(&copy, &file)?;
    server.restart().map_err(error_text)?;

    let scene = Scene::new(&stage.stand, super::NAMESPACE).await?;
    let other = Step { seq: OTHER, act: Act::Done, millis: 100 };
    stage.client.enqueue(other).queue("spare").await.map_err(error_text)?;
    let (_, fields) = scene.entry("spare").await?;
    scene.store(QUEUE, &id, fields).await?;
    let holder = stage.stand.command(&["HGET", &Stage::key(QUEUE, "lease"), "holder"])?;
    let stream = Stage::key(QUEUE, "ready:normal");
    // The claim of a poll whose reply is lost, and a poll that fails.
    let claim = ["XREADGROUP", "GROUP", "workers", holder.trim(), "STREAMS", &stream, ">"];
    stage.stand.command(&claim)?;
    let lost = Loss { command: "slot_poll", after: 0, what: Lost::Request, cut: true };
    let lost = stage.rules.lose(lost);
    if begun(job(OTHER)?) || done(job(FORGOTTEN)?) {
        return Err("the first job ended too early".into());
    }
    tokio::time::timeout(PATIENCE, lost).await.map_err(error_text)?.map_err(error_text)?;

    let mut verdict = Verdict::default();
    if !within(PATIENCE, async || Ok(done(job(OTHER)?))).await? {
        verdict.violate("lost", "the job that got the id of another".into());
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

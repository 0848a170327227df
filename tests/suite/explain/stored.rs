//! Jobs that are not there, have ended, are dead, or run.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobId, JobState, Result, Why};
use poolder_core::Claim;
use redis::cmd;

use super::{assert_why, explain};
use crate::harness::{Number, Space, eventually, start, teller, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Claims the first job of the normal lane of `q` as this node.
async fn claim(space: &Space, node: &str) -> Claim {
    let mut connection = space.connection("q", node).await;
    let claimed = connection.exchange(&[], Some((Lane::Normal, 1)), false).await.unwrap();
    claimed.claimed.unwrap().jobs.pop().unwrap()
}

#[tokio::test]
async fn a_job_that_was_never_there_is_not_found() {
    let space = Space::new("explain-none");
    let handle = JobId::generate().in_queue("q").unwrap();
    let found = explain(&space, handle).await;
    assert_why(&found, Why::NotFound, "never enqueued");
    assert_eq!((found.state, found.is_stuck()), (None, false));
    // By the id alone.
    let nowhere = space.client.explain(JobId::generate()).await.unwrap();
    super::consistent(&nowhere);
    assert_why(&nowhere, Why::NotFound, "no queue has it");
    let job = space.client.enqueue(Number(1)).await.unwrap();
    let found = space.client.explain(job.job).await.unwrap();
    assert_why(&found, Why::Unserved, "no node serves the queue");
    assert_eq!(found, explain(&space, &job).await);

    let sent = space.client.enqueue(Number(1)).id("once").idempotent(DAY).await.unwrap();
    space.client.job(&sent).state().await.unwrap().unwrap();
    let lane = space.key("q", "ready:normal");
    space.redis::<u64>(cmd("DEL").arg(lane)).await;
    let found = explain(&space, &sent).await;
    assert_why(&found, Why::NotFound, "neither");
    let receipt = found.checks.iter().find(|check| check.name == "receipt").unwrap();
    assert!(receipt.text.contains("another"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_ended_is_explained_by_its_record() {
    let space = Space::new("explain-ended");
    let client = &space.client;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    let done = client.enqueue(Number(1)).keep_completion(DAY).await.unwrap();
    within(told.recv()).await.unwrap();
    space.until_count("q", "completed", 1).await;
    assert_why(&explain(&space, &done).await, Why::Done, "done");
    node.stop().await;

    let gone = client.enqueue(Number(2)).after(DAY).keep_completion(DAY).await.unwrap();
    client.job(&gone).cancel().await.unwrap();
    assert_why(&explain(&space, &gone).await, Why::Cancelled, "cancelled");
    // A cancellation of a job that is not there is kept for a week.
    let handle = JobId::generate().in_queue("q").unwrap();
    client.job(&handle).cancel().await.unwrap();
    assert_why(&explain(&space, handle).await, Why::Cancelled, "within 7 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_explained_with_its_failure_and_group() {
    let space = Space::new("explain-dead");
    let worker =
        worker_fn(|_: Number, _: Context| async { Err::<Outcome, BoxError>("no such row".into()) });
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    let once = Policy::default().attempts(1);
    let job = space.client.enqueue(Number(1)).policy(once).await.unwrap();
    space.until_count("q", "buried", 1).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Dead, "error: no such row");
    assert!(
        found.reason.contains("after 1 failed attempt") && found.reason.contains("error group")
    );
    assert_eq!((found.state, found.is_stuck()), (Some(JobState::Dead), true));
    assert!(found.hint.is_some());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_names_its_node_time_and_progress() {
    let space = Space::new("explain-running");
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let worker = worker_fn(move |_: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            cx.progress(3, 10).await?;
            tell.send(()).await?;
            std::future::pending::<()>().await;
            Ok::<_, BoxError>(Done)
        }
    });
    let pool = Pool::new("q").size(1).worker(worker);
    let node = start(space.node().pool(pool).shutdown_timeout(Duration::from_secs(6)));
    let policy = Policy::default().attempts(7).timeout(Duration::from_secs(600));
    let job = space.client.enqueue(Number(1)).policy(policy).await.unwrap();
    within(told.recv()).await.unwrap();
    let name = space.client.nodes().await.unwrap().remove(0).name;
    eventually("the progress is written", || async {
        space.client.job(&job).progress().await.unwrap() == Some((3, 10))
    })
    .await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Running, &name);
    for part in ["attempt 1 of 7", "of its timeout are left", "3 of 10 done"] {
        assert!(found.reason.contains(part), "{part}: {found}");
    }
    assert!(!found.is_stuck());

    // All slots are busy with it.
    let next = space.client.enqueue(Number(2)).await.unwrap();
    let found = explain(&space, &next).await;
    assert_why(&found, Why::SlotsBusy, "busy slots: 1 of 1");
    assert!(found.reason.contains(&job.job.to_string()), "{found}");
    node.stop().await;
}

#[tokio::test]
async fn a_job_on_a_silent_dead_or_unknown_node_says_when_it_is_taken_back() {
    let space = Space::new("explain-silent");
    let job = space.client.enqueue(Number(1)).await.unwrap();
    let claim = claim(&space, "ghost").await;
    assert_eq!(claim.job_id(), job.job);

    let found = explain(&space, &job).await;
    assert_why(&found, Why::OnSilentNode, "not in the roster");
    assert!(found.reason.contains("no other node lives"), "{found}");
    assert_eq!(found.until, None);

    space.enter("ghost", 60_000, 1, "").await;
    space.enter("other", 0, 1, "").await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::OnSilentNode, "ghost, which runs it, is silent for 1 min");
    assert!(found.until.is_some() && !found.is_stuck(), "{found}");

    space.mark("ghost").await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::OnSilentNode, "was declared dead");
    assert!(found.reason.contains("another node takes the job back"), "{found}");

    let roster = format!("{}:{{roster}}:marks", space.name());
    space.redis::<u64>(cmd("DEL").arg(roster)).await;
    space.enter("ghost", 0, 1, "").await;
    assert_why(&explain(&space, &job).await, Why::Running, "it runs on node ghost");
}

#[tokio::test]
async fn a_cancelled_job_that_runs_is_being_stopped() -> Result<()> {
    let space = Space::new("explain-stopping");
    let job = space.client.enqueue(Number(1)).await?;
    claim(&space, "ghost").await;
    space.enter("ghost", 0, 1, "").await;
    space.client.job(&job).cancel().await?;
    assert_why(&explain(&space, &job).await, Why::Stopping, "its handler is told to stop");
    Ok(())
}

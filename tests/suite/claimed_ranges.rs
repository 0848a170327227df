//! A claimed range: when all jobs of one claim are completed, its entries are cut off the lane in
//! one step. Entries of other consumers must stay.

use poolder_core::broker::{ClaimConnection, Settled, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Lane};

use crate::harness::{Number, RawEntry, Space};

const JOBS: u64 = 16;

/// Stores jobs 0 to 15 in the queue `q`, and opens a connection to claim them with.
async fn filled(test: &str) -> (Space, ClaimConnection) {
    let space = Space::new(test);
    for number in 0..JOBS {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    let connection = space.connection("q", "me").await;
    (space, connection)
}

async fn claim(connection: &mut ClaimConnection, count: usize) -> Vec<Claim> {
    let claimed =
        connection.exchange(&[], Some((Lane::Normal, count)), false).await.unwrap().claimed;
    let jobs = claimed.unwrap().jobs;
    assert_eq!(jobs.len(), count);
    jobs
}

/// Completes the jobs. Returns how many completions were applied.
async fn complete(
    connection: &mut ClaimConnection,
    jobs: impl IntoIterator<Item = Claim>,
) -> usize {
    let history = connection.history();
    let end = |claim| Settlement::new(claim, "me".into(), history.clone(), Transition::Complete);
    let settlements: Vec<Settlement> = jobs.into_iter().map(end).collect();
    let settled = connection.exchange(&settlements, None, false).await.unwrap().settled;
    settled.iter().filter(|settled| matches!(settled, Settled::Applied)).count()
}

/// Returns the ids of the entries in the lane.
async fn stored(space: &Space) -> Vec<String> {
    let key = space.key("q", "ready:normal");
    let entries: Vec<RawEntry> = space.redis(redis::cmd("XRANGE").arg(key).arg("-").arg("+")).await;
    entries.into_iter().map(|(id, _)| id).collect()
}

fn ids(jobs: &[Claim]) -> Vec<String> {
    jobs.iter().map(|job| job.entry.to_string()).collect()
}

#[tokio::test]
async fn a_claim_that_is_done_in_any_order_is_gone_and_counted() {
    let (space, mut connection) = filled("claimed-whole").await;
    let mut jobs = claim(&mut connection, 10).await;
    let rest = stored(&space).await.split_off(10);
    jobs.reverse();
    assert_eq!(complete(&mut connection, jobs).await, 10);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 10);
    assert!(connection.held(Lane::Normal).await.unwrap().is_empty());
}

#[tokio::test]
async fn older_jobs_that_another_node_still_runs_stay() {
    let (space, mut connection) = filled("claimed-older").await;
    let mut other = space.connection("q", "other").await;
    let older = claim(&mut other, 3).await;
    let jobs = claim(&mut connection, 13).await;
    assert_eq!(complete(&mut connection, jobs).await, 13);
    assert_eq!(stored(&space).await, ids(&older));
    assert_eq!(other.held(Lane::Normal).await.unwrap().len(), 3);
}

#[tokio::test]
async fn entries_that_a_moved_group_skipped_stay() {
    let (space, mut connection) = filled("claimed-skipped").await;
    let skipped = stored(&space).await[..4].to_vec();
    let key = space.key("q", "ready:normal");
    let mut skip = redis::cmd("XGROUP");
    skip.arg("SETID").arg(key).arg("workers").arg(&skipped[3]);
    space.redis::<()>(&mut skip).await;
    let jobs = claim(&mut connection, 12).await;
    assert_eq!(complete(&mut connection, jobs).await, 12);
    assert_eq!(stored(&space).await, skipped);
}

#[tokio::test]
async fn a_job_of_the_range_that_still_runs_stays() {
    let (space, mut connection) = filled("claimed-part").await;
    let mut jobs = claim(&mut connection, 12).await;
    let running = vec![jobs.remove(5)];
    let rest = stored(&space).await.split_off(12);
    assert_eq!(complete(&mut connection, jobs).await, 11);
    assert_eq!(stored(&space).await, [ids(&running), rest.clone()].concat());
    assert_eq!(complete(&mut connection, running).await, 1);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 12);
}

#[tokio::test]
async fn a_range_with_a_rescued_job_is_not_cut_off_whole() {
    let (space, mut connection) = filled("claimed-fenced").await;
    let jobs = claim(&mut connection, 12).await;
    // Another node has rescued and completed this job.
    let key = space.key("q", "ready:normal");
    let taken = jobs[7].entry.as_ref();
    space.redis::<u64>(redis::cmd("XACK").arg(&key).arg("workers").arg(taken)).await;
    space.redis::<u64>(redis::cmd("XDEL").arg(&key).arg(taken)).await;
    let rest = stored(&space).await.split_off(11);
    assert_eq!(complete(&mut connection, jobs).await, 11);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 11);
}

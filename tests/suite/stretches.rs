//! What one claim took is cut off its lane at once when all of it is done: and nothing else is.

use poolder_core::broker::{ClaimConnection, Settled, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Lane};

use crate::harness::{Number, RawEntry, Space};

const JOBS: u64 = 16;

/// Jobs 0 to 15 of the queue `q`, and a line to claim them by.
async fn filled(test: &str) -> (Space, ClaimConnection) {
    let space = Space::new(test);
    for number in 0..JOBS {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    let line = space.line("q", "me").await;
    (space, line)
}

async fn claim(line: &mut ClaimConnection, count: usize) -> Vec<Claim> {
    let claimed = line.exchange(&[], Some((Lane::Normal, count)), false).await.unwrap().claimed;
    let jobs = claimed.unwrap().jobs;
    assert_eq!(jobs.len(), count);
    jobs
}

/// How many of them were still ours to complete.
async fn complete(line: &mut ClaimConnection, jobs: impl IntoIterator<Item = Claim>) -> usize {
    let history = line.history();
    let end = |claim| Settlement::new(claim, "me".into(), history.clone(), Transition::Complete);
    let settlements: Vec<Settlement> = jobs.into_iter().map(end).collect();
    let settled = line.exchange(&settlements, None, false).await.unwrap().settled;
    settled.iter().filter(|settled| matches!(settled, Settled::Applied)).count()
}

/// The ids in the lane.
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
    let (space, mut line) = filled("stretch-whole").await;
    let mut jobs = claim(&mut line, 10).await;
    let rest = stored(&space).await.split_off(10);
    jobs.reverse();
    assert_eq!(complete(&mut line, jobs).await, 10);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 10);
    assert!(line.held(Lane::Normal).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_somebody_else_still_runs_before_it_stays() {
    let (space, mut line) = filled("stretch-older").await;
    let mut other = space.line("q", "other").await;
    let older = claim(&mut other, 3).await;
    let jobs = claim(&mut line, 13).await;
    assert_eq!(complete(&mut line, jobs).await, 13);
    assert_eq!(stored(&space).await, ids(&older));
    assert_eq!(other.held(Lane::Normal).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_a_moved_group_has_left_behind_stays() {
    let (space, mut line) = filled("stretch-skipped").await;
    let skipped = stored(&space).await[..4].to_vec();
    let key = space.key("q", "ready:normal");
    let mut skip = redis::cmd("XGROUP");
    skip.arg("SETID").arg(key).arg("workers").arg(&skipped[3]);
    space.redis::<()>(&mut skip).await;
    let jobs = claim(&mut line, 12).await;
    assert_eq!(complete(&mut line, jobs).await, 12);
    assert_eq!(stored(&space).await, skipped);
}

#[tokio::test]
async fn what_is_still_running_of_it_stays() {
    let (space, mut line) = filled("stretch-part").await;
    let mut jobs = claim(&mut line, 12).await;
    let running = vec![jobs.remove(5)];
    let rest = stored(&space).await.split_off(12);
    assert_eq!(complete(&mut line, jobs).await, 11);
    assert_eq!(stored(&space).await, [ids(&running), rest.clone()].concat());
    assert_eq!(complete(&mut line, running).await, 1);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 12);
}

#[tokio::test]
async fn what_was_taken_back_of_it_is_not_ours_to_cut_off() {
    let (space, mut line) = filled("stretch-fenced").await;
    let jobs = claim(&mut line, 12).await;
    // Rescued and completed by somebody else.
    let key = space.key("q", "ready:normal");
    let taken = jobs[7].entry.as_ref();
    space.redis::<u64>(redis::cmd("XACK").arg(&key).arg("workers").arg(taken)).await;
    space.redis::<u64>(redis::cmd("XDEL").arg(&key).arg(taken)).await;
    let rest = stored(&space).await.split_off(11);
    assert_eq!(complete(&mut line, jobs).await, 11);
    assert_eq!(stored(&space).await, rest);
    assert_eq!(space.count("q", "completed").await, 11);
}

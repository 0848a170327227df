//! The handles of jobs: looked at, cancelled, rescheduled, revived, removed.

use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::TestQueue;
use poolder::{Cancellation, Handle, JobId, JobResult, JobState, Stored};

use crate::Welcome;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_waiting_job_is_seen_rescheduled_and_removed() {
    let queue = TestQueue::new();
    let client = queue.client();
    let receipt = client.enqueue(Welcome { user: 1 }).after(MINUTE).await.unwrap();
    let job = client.job(&receipt);
    assert_eq!(job.state().await.unwrap(), Some(JobState::Scheduled));
    let later = queue.now() + MINUTE * 10;
    job.reschedule(later).await.unwrap();
    assert_eq!(job.view().await.unwrap().unwrap().at, later);
    job.run_now().await.unwrap();
    assert_eq!(job.state().await.unwrap(), Some(JobState::Ready));
    job.remove().await.unwrap();
    assert_eq!(job.state().await.unwrap(), None);
    assert!(job.remove().await.unwrap_err().is_not_found());
    assert!(job.reschedule(later).await.unwrap_err().is_not_found());
    let other = client.job(JobId::generate().in_queue("mail"));
    assert_eq!(other.cancel().await.unwrap(), Cancellation::Noted);
    assert_eq!(other.result::<u64>().await.unwrap(), JobResult::NotFound);
}

#[tokio::test]
async fn the_end_of_a_job_is_recorded_as_on_a_server() {
    let queue = TestQueue::new();
    let double = |job: Welcome| async move { Return(job.user * 2) };
    let pool = Pool::new("mail").worker(worker_fn(double));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let client = queue.client();
    let receipt = client.enqueue(Welcome { user: 21 }).await.unwrap();
    let job = client.job(&receipt);
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::Pending);
    node.drain().await;
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::Value(42));
    assert_eq!(job.wait::<u64>().await.unwrap(), 42);
    assert_eq!(job.cancel().await.unwrap(), Cancellation::Ended);
    queue.advance(MINUTE * 60 * 25);
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::NotFound, "a day has passed");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_job_that_does_not_run_times_out() {
    let queue = TestQueue::new();
    let receipt = queue.client().enqueue(Welcome { user: 1 }).await.unwrap();
    let wait = queue.client().job(&receipt).wait::<()>().timeout(MINUTE);
    assert!(wait.await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_dead_job_is_revived_with_another_payload() {
    let queue = TestQueue::new();
    let odd = |job: Welcome| async move {
        if job.user % 2 == 1 { Err(BoxError::from("odd")) } else { Ok(()) }
    };
    let pool = Pool::new("mail").worker(worker_fn(odd));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let once = Policy::default().attempts(1);
    let receipt = queue.client().enqueue(Welcome { user: 1 }).policy(once).id("w").await.unwrap();
    assert_eq!(node.drain().await.dead, 1);
    let job = queue.client().job(&receipt);
    assert_eq!(job.state().await.unwrap(), Some(JobState::Dead));
    assert!(
        matches!(job.result::<()>().await.unwrap(), JobResult::Dead(why) if why.message == "odd")
    );
    assert_eq!(job.cancel().await.unwrap(), Cancellation::Dead);
    assert!(job.reschedule(queue.now()).await.unwrap_err().is_gone());
    job.revive().await.unwrap();
    assert!(job.revive().await.unwrap_err().is_gone());
    assert_eq!(node.drain().await.dead, 1);
    job.edit_and_revive(&serde_json::json!({ "user": 2 })).await.unwrap();
    assert_eq!(node.drain().await.done, 1);
    assert_eq!(queue.enqueued::<Welcome>(), [Welcome { user: 2 }]);
}

#[tokio::test]
async fn an_idempotent_enqueue_stores_once_within_its_window() {
    let queue = TestQueue::new();
    let once = || queue.client().enqueue(Welcome { user: 1 }).id("w").idempotent(MINUTE);
    assert!(matches!(once().await.unwrap().stored, Stored::Ready(_)));
    assert_eq!(once().await.unwrap().stored, Stored::Already);
    queue.advance(MINUTE);
    assert!(matches!(once().await.unwrap().stored, Stored::Ready(_)));
    assert_eq!(queue.jobs().len(), 2);
    let named = queue.client().job(Handle::named("mail", "w"));
    assert_eq!(named.cancel().await.unwrap(), Cancellation::Removed);
    assert!(queue.jobs().iter().all(|job| job.state == JobState::Cancelled));
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_its_handler_is_told() {
    let queue = TestQueue::new();
    let wait = |_: Welcome, cx: Context| async move {
        let id = cx.id().in_queue("mail");
        let told = cx.client().job(id).cancel().await?;
        assert_eq!(told, Cancellation::Stopping);
        cx.cancelled().await;
        Err::<(), BoxError>("stopped".into())
    };
    let pool = Pool::new("mail").worker(worker_fn(wait));
    let node = queue.start_node(queue.node().pool(pool)).await;
    queue.client().enqueue(Welcome { user: 1 }).await.unwrap();
    assert_eq!(node.drain().await.cancelled, 1);
    assert_eq!(queue.jobs()[0].state, JobState::Cancelled);
}

#[tokio::test]
async fn progress_is_read_while_the_job_waits_for_its_next_attempt() {
    let queue = TestQueue::new();
    let half = |_: Welcome, cx: Context| async move {
        cx.progress(1, 2).await?;
        Err::<(), BoxError>("interrupted".into())
    };
    let pool = Pool::new("mail").worker(worker_fn(half));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let receipt = queue.client().enqueue(Welcome { user: 1 }).await.unwrap();
    node.drain().await;
    assert_eq!(queue.client().job(&receipt).progress().await.unwrap(), Some((1, 2)));
}

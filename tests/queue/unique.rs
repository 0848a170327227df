//! Unique jobs: the answers are those of a server.

use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::TestQueue;
use poolder::{Receipt, Stored};

use crate::Welcome;

const MINUTE: Duration = Duration::from_secs(60);

async fn send(queue: &TestQueue, user: u64, rule: Unique) -> Receipt {
    queue.client().enqueue(Welcome { user }).unique(rule.by(&"one")).await.unwrap()
}

#[tokio::test]
async fn a_key_is_held_until_the_job_has_ended_or_started() {
    let queue = TestQueue::new();
    let pool = Pool::new("mail").worker(worker_fn(|job: Welcome, cx: Context| async move {
        let again = cx.client().enqueue(job.clone()).unique(Unique::until_start().by(&"one"));
        match job.user {
            // Its key is free.
            1 => assert!(!again.after(MINUTE).await?.is_duplicate()),
            _ => assert!(again.after(MINUTE).await?.is_duplicate()),
        }
        Ok::<_, BoxError>(())
    }));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let first = send(&queue, 1, Unique::until_start()).await;
    let second = send(&queue, 1, Unique::until_start()).await;
    assert_eq!((second.is_duplicate(), second.handle()), (true, first.handle()));
    assert_eq!(node.drain().await.done, 1);
    assert_eq!(queue.jobs().len(), 2, "the successor waits for its time");

    let queue = TestQueue::new();
    let pool = Pool::new("mail").worker(worker_fn(|job: Welcome| async move {
        if job.user == 3 { Err(BoxError::from("no luck")) } else { Ok(()) }
    }));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let once = Policy::default().attempts(1);
    let rule = || Unique::until_done().by(&"one");
    let dies = queue.client().enqueue(Welcome { user: 3 }).policy(once).unique(rule());
    let dead = dies.await.unwrap();
    assert!(send(&queue, 1, rule()).await.is_duplicate());
    assert_eq!(node.drain().await.dead, 1);
    let waits = send(&queue, 1, rule()).await;
    assert!(!waits.is_duplicate());
    assert!(queue.client().job(&dead).revive().await.unwrap_err().is_gone());
    queue.client().job(&waits).cancel().await.unwrap();
    queue.client().job(&dead).revive().await.unwrap();
    assert_eq!(send(&queue, 1, rule()).await.job, dead.job);
}

#[tokio::test]
async fn the_last_job_waits_behind_the_one_that_is_under_way() {
    let queue = TestQueue::new();
    let pool =
        Pool::new("mail").worker(worker_fn(|_: Welcome| async move { Ok::<_, BoxError>(()) }));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let first = send(&queue, 1, Unique::keep_last()).await;
    let second = send(&queue, 2, Unique::keep_last()).await;
    assert_eq!((&second.stored, second.is_duplicate()), (&Stored::Behind, false));
    let third = send(&queue, 3, Unique::keep_last()).await;
    assert_eq!((&third.stored, third.job), (&Stored::Replaced(None), second.job));
    let view = queue.client().job(&second).view().await.unwrap().unwrap();
    assert!(view.waits_behind());
    assert_eq!(view.payload_json().unwrap(), serde_json::json!({ "user": 3 }));
    let later = view.at + MINUTE;
    queue.client().job(&second).reschedule(later).await.unwrap();
    queue.client().job(&second).run_now().await.unwrap();
    assert!(queue.client().job(&second).view().await.unwrap().unwrap().waits_behind());
    queue.client().job(&first).cancel().await.unwrap();
    assert_eq!(send(&queue, 4, Unique::until_done()).await.job, second.job, "it holds the key");
    assert_eq!(node.drain().await.done, 1);
    let delayed = queue.client().enqueue(Welcome { user: 5 }).after(MINUTE);
    let delayed = delayed.unique(Unique::keep_last().by(&"one")).await.unwrap();
    let replaced = send(&queue, 6, Unique::keep_last()).await;
    assert_eq!((replaced.is_duplicate(), replaced.job), (true, delayed.job), "not tried yet");
}

#[tokio::test]
async fn windows_end_with_their_time_and_debounced_jobs_get_the_newest_data() {
    let queue = TestQueue::new();
    let window = || Unique::window(MINUTE);
    assert!(!send(&queue, 1, window()).await.is_duplicate());
    queue.advance(MINUTE / 2);
    assert!(send(&queue, 2, window()).await.is_duplicate());
    queue.advance(MINUTE / 2);
    let last = send(&queue, 3, window()).await;
    assert!(!last.is_duplicate());
    queue.client().job(&last).cancel().await.unwrap();

    let debounce = || Unique::debounce(MINUTE).at_most(MINUTE * 2);
    let first = send(&queue, 4, debounce()).await;
    let Stored::Due(due) = first.stored else { panic!("{first:?}") };
    queue.advance(MINUTE / 2);
    let second = send(&queue, 5, debounce()).await;
    assert!(matches!(second.stored, Stored::Replaced(Some(_))), "{second:?}");
    let view = queue.client().job(&second).view().await.unwrap().unwrap();
    assert_eq!((view.id(), view.at), (first.job, due + MINUTE / 2));
    assert_eq!(view.payload_json().unwrap(), serde_json::json!({ "user": 5 }));

    let rule = || Unique::until_done().by(&"one").replace();
    let replaced = send(&queue, 6, rule()).await;
    assert_eq!((replaced.job, queue.jobs().len()), (first.job, 3));
}

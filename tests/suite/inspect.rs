//! Everything an operator can inspect and repair.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{Handle, Inspector, JobState, JobView, Page, Place, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::harness::{Number, RawEntry, Running, Space, eventually, start, teller, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts a node whose handler fails numbers from 50 on, and blocks on the others until the
/// returned sender is set to true.
fn blocking_node(space: &Space, slots: u16) -> (Running, mpsc::Receiver<u64>, watch::Sender<bool>) {
    let (tell, told) = mpsc::channel(100);
    let (release, released) = watch::channel(false);
    let worker = worker_fn(move |job: Number, _: Context| {
        let (tell, mut released) = (tell.clone(), released.clone());
        async move {
            tell.send(job.0).await?;
            if job.0 >= 50 {
                return Err(format!("no luck with {}", job.0).into());
            }
            released.wait_for(|released| *released).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    (start(space.node().pool(Pool::new("q").size(slots).worker(worker))), told, release)
}

fn once() -> Policy {
    Policy::default().attempts(1)
}

fn numbers(jobs: &[JobView]) -> Vec<u64> {
    jobs.iter().map(|job| job.payload_json().unwrap().as_u64().unwrap()).collect()
}

/// Returns all jobs of a listing, page by page.
async fn all<'a, F>(mut next: impl FnMut(Option<poolder::Cursor>) -> F) -> Vec<JobView>
where
    F: Future<Output = Result<Page, poolder::Error>> + 'a,
{
    let (mut jobs, mut cursor) = (vec![], None);
    loop {
        let page = next(cursor).await.unwrap();
        jobs.extend(page.jobs);
        match page.next {
            // As a command line would pass the cursor back.
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => return jobs,
        }
    }
}

#[tokio::test]
async fn a_queue_is_seen_at_one_moment() {
    let space = Space::new("overview");
    let client = &space.client;
    let empty = space.overview("q").await;
    assert_eq!((empty.ready(), empty.oldest(), empty.due, &empty.leader), (0, None, 0, &None));

    let (node, mut told, release) = blocking_node(&space, 1);
    client.enqueue(Number(60)).await.unwrap();
    space.until_count("q", "retried", 1).await;
    client.enqueue(Number(100)).policy(once()).await.unwrap();
    space.until_count("q", "buried", 1).await;
    client.enqueue(Number(1)).await.unwrap();
    for expected in [60, 100, 1] {
        assert_eq!(within(told.recv()).await, Some(expected));
    }
    client.enqueue(Number(2)).lane(Lane::High).await.unwrap();
    client.enqueue(Number(3)).await.unwrap();
    client.enqueue(Number(4)).await.unwrap();
    let due = client.enqueue(Number(5)).after(DAY).await.unwrap();

    let view = space.overview("q").await;
    let lane = |lane| (view.lane(lane).ready, view.lane(lane).running);
    assert_eq!([Lane::High, Lane::Normal, Lane::Low].map(lane), [(1, 0), (2, 1), (0, 0)]);
    assert_eq!((view.ready(), view.running()), (3, 1));
    assert_eq!((view.due, view.retrying, view.dead, view.paused), (2, 1, 1, None));
    assert!(view.oldest().is_some_and(|age| age < Duration::from_secs(60)));
    assert!(view.next_due.is_some_and(|at| at > view.now));
    assert_eq!((view.counter("retried"), view.counter("buried"), view.counter("none")), (1, 1, 0));
    let Some(Place::Due(at)) = Handle::from(&due).place else { panic!("{due:?}") };
    assert!(at > view.now);

    let nodes = client.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1);
    let info = nodes[0].info.as_ref().unwrap();
    assert_eq!((info.pid, &info.pools), (std::process::id(), &vec![("q".to_owned(), 1)]));
    assert!(!nodes[0].is_silent());
    eventually("it leads", || async { space.overview("q").await.state.leader.is_some() }).await;
    let leader = space.overview("q").await.state.leader.unwrap();
    assert_eq!((&leader.node, leader.term), (&nodes[0].name, 1));
    let queues = client.queues().await.unwrap();
    assert_eq!(queues.iter().map(poolder::QueueName::as_str).collect::<Vec<_>>(), ["q"]);

    release.send_replace(true);
    node.stop().await;
    assert_eq!(space.overview("q").await.state.leader, None, "it has resigned");
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_wherever_they_are() {
    let space = Space::new("pages");
    let client = &space.client;
    let queue = client.inspect("q");
    // Two jobs run; they are not listed among those that wait in the same lane.
    client.enqueue_many((1..=2).map(Number)).await;
    let (node, mut told, release) = blocking_node(&space, 2);
    for _ in 0..2 {
        within(told.recv()).await.unwrap();
    }
    client.enqueue_many((3..=7).map(Number)).await;
    // Many jobs share one due time: a page may end between them.
    let at = SystemTime::now() + DAY;
    for number in 10..15 {
        client.enqueue(Number(number)).at(at).lane(Lane::Low).await.unwrap();
    }
    client.enqueue(Number(9)).after(DAY / 2).await.unwrap();

    let first = queue.ready(Lane::Normal, None, 2).await.unwrap();
    assert_eq!(numbers(&first.jobs), [3, 4]);
    let ready = all(|cursor| {
        let queue = queue.clone();
        async move { queue.ready(Lane::Normal, cursor.as_ref(), 2).await }
    })
    .await;
    assert_eq!(numbers(&ready), [3, 4, 5, 6, 7]);

    let running = all(|cursor| {
        let queue = queue.clone();
        async move { queue.running(cursor.as_ref(), 1).await }
    })
    .await;
    let name = client.nodes().await.unwrap().remove(0).name;
    assert_eq!(running.len(), 2);
    for job in &running {
        assert_eq!((job.state, job.attempt(), job.kind()), (JobState::Running, 1, Some("number")));
        assert_eq!(job.node.as_deref(), Some(name.as_str()));
        assert!(job.at <= space.overview("q").await.now);
    }

    let due = all(|cursor| {
        let queue = queue.clone();
        async move { queue.due(cursor.as_ref(), 2).await }
    })
    .await;
    assert_eq!(due[0].payload_json().unwrap(), json!(9));
    assert!(due.iter().all(|job| job.state == JobState::Scheduled));
    assert_eq!((due[0].lane, due[1].lane), (Lane::Normal, Lane::Low));
    let seen: BTreeSet<u64> = numbers(&due).into_iter().collect();
    assert_eq!(seen, BTreeSet::from([9, 10, 11, 12, 13, 14]));

    let cursor = first.next.as_ref();
    for error in [queue.due(cursor, 1).await, queue.ready(Lane::Low, cursor, 1).await] {
        assert!(error.unwrap_err().is_invalid(), "a cursor of another listing");
    }
    release.send_replace(true);
    node.stop().await;
}

#[tokio::test]
async fn one_job_is_found_by_its_handle_or_its_id_alone() {
    let space = Space::new("find");
    let client = &space.client;
    let queue = client.inspect("q");
    let (node, mut told, release) = blocking_node(&space, 1);
    let dead = client.enqueue(Number(100)).policy(once()).await.unwrap();
    let retrying = client.enqueue(Number(60)).await.unwrap();
    space.until_count("q", "buried", 1).await;
    space.until_count("q", "retried", 1).await;
    let running = client.enqueue(Number(1)).await.unwrap();
    for _ in 0..3 {
        within(told.recv()).await.unwrap();
    }
    client.enqueue_many((0..1_000).map(Number)).await;
    let deep = client.enqueue(Number(2)).lane(Lane::Low).await.unwrap();
    let due = client.enqueue(Number(3)).after(DAY).await.unwrap();

    for (receipt, state) in [
        (&dead, JobState::Dead),
        (&retrying, JobState::Retrying),
        (&running, JobState::Running),
        (&deep, JobState::Ready),
        (&due, JobState::Scheduled),
    ] {
        for handle in [Handle::from(receipt), receipt.job.in_queue("q").unwrap()] {
            let job = client.job(&handle).view().await.unwrap().expect("it is there");
            assert_eq!((job.id(), job.state), (receipt.job, state), "{handle}");
            assert_eq!(client.job(handle).state().await.unwrap(), Some(state));
        }
    }
    let job = client.job(&dead).view().await.unwrap().unwrap();
    assert_eq!((job.attempt(), job.counters.failures, job.policy().attempts), (1, 1, 1));
    assert_eq!(job.failure().unwrap().message, "no luck with 100");
    assert!(job.node.is_some());
    assert_eq!(job.payload_json().unwrap(), json!(100));
    let job = client.job(&retrying).view().await.unwrap().unwrap();
    assert_eq!((job.attempt(), job.counters.failures), (2, 1));

    assert!(client.job(poolder::JobId::generate().in_queue("q")).view().await.unwrap().is_none());
    release.send_replace(true);
    queue.drain().await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn what_waits_is_rescheduled_hurried_and_deleted() {
    let space = Space::new("operate");
    let client = &space.client;
    let ready = client.enqueue(Number(1)).lane(Lane::High).await.unwrap();
    let due = client.enqueue(Number(2)).after(DAY).await.unwrap();
    let at = Timestamp::from(SystemTime::now() + 2 * DAY);
    for receipt in [&ready, &due] {
        client.job(receipt).reschedule(at).await.unwrap();
        let job = client.job(receipt.job.in_queue("q")).view().await.unwrap().unwrap();
        assert_eq!((job.state, job.at), (JobState::Scheduled, at));
    }
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 2));
    assert_eq!(space.count("q", "rescheduled").await, 2);

    client.job(&due).remove().await.unwrap();
    assert!(client.job(&due).remove().await.unwrap_err().is_not_found());
    let third = client.enqueue(Number(3)).await.unwrap();
    client.job(&third).remove().await.unwrap();
    assert_eq!(space.count("q", "deleted").await, 2);

    let (node, mut told, release) = blocking_node(&space, 1);
    client.job(ready.job.in_queue("q")).run_now().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(1));
    let job = client.job(ready.job.in_queue("q")).view().await.unwrap().unwrap();
    assert_eq!((job.state, job.lane), (JobState::Running, Lane::High));
    for error in [
        client.job(&job.handle).remove().await,
        client.job(&job.handle).reschedule(at).await,
        client.job(&job.handle).run_now().await,
        client.job(&job.handle).revive().await,
    ] {
        assert!(error.unwrap_err().is_gone(), "it runs");
    }
    // The wait for the second attempt is at least 15 s: it is cut short, and the attempt stays the
    // second.
    release.send_replace(true);
    let retrying = client.enqueue(Number(60)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(60));
    space.until_count("q", "retried", 1).await;
    assert_eq!(space.overview("q").await.retrying, 1);
    client.job(&retrying).run_now().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(60));
    space.until_count("q", "retried", 2).await;
    let job = client.job(&retrying).view().await.unwrap().unwrap();
    assert_eq!((job.counters.failures, space.overview("q").await.retrying), (2, 1));
    assert_eq!(space.count("q", "rescheduled").await, 4, "to run now is another time as well");
    client.job(&retrying).cancel().await.unwrap();
    assert_eq!(space.overview("q").await.retrying, 0);
    node.stop().await;
}

#[tokio::test]
async fn the_dead_are_revived_one_or_many_or_with_another_payload() {
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "order", queue = "q", attempts = 1)]
    struct Order {
        amount: u64,
    }
    let space = Space::new("revive");
    let client = &space.client;
    let queue = client.inspect("q");
    let (tell, mut told) = mpsc::channel(100);
    let (heal, healed) = watch::channel(false);
    let worker = worker_fn(move |job: Order, cx: Context| {
        let (tell, healed) = (tell.clone(), healed.clone());
        async move {
            tell.send((job.amount, cx.attempt(), cx.fence())).await?;
            if *healed.borrow() {
                Ok::<_, BoxError>(Done)
            } else {
                Err("the shop is closed".into())
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut receipts = vec![];
    for amount in 0..150 {
        receipts.push(client.enqueue(Order { amount }).await.unwrap());
        within(told.recv()).await.unwrap();
    }
    space.until_count("q", "buried", 150).await;

    heal.send_replace(true);
    client.job(&receipts[7]).revive().await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (7, 1, 2), "attempts anew, fences go on");
    client.job(&receipts[8]).edit_and_revive(&json!({"amount": 1_000})).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1_000, 1, 2));
    assert!(client.job(&receipts[7]).revive().await.unwrap_err().is_not_found());
    let error = client.job(&receipts[9]).edit_and_revive(&json!("x".repeat(2 << 20))).await;
    assert!(error.unwrap_err().is_too_large());
    client.job(&receipts[9]).run_now().await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 9);

    let small = |job: &JobView| job.payload_json().unwrap()["amount"].as_u64().unwrap() < 20;
    assert_eq!(queue.revive_where(small).await.unwrap(), 17);
    assert_eq!(queue.revive_where(|_| true).await.unwrap(), 130);
    let mut seen = BTreeSet::new();
    for _ in 0..147 {
        assert!(seen.insert(within(told.recv()).await.unwrap().0));
    }
    space.until_count("q", "completed", 150).await;
    assert_eq!((space.count("q", "revived").await, space.overview("q").await.dead), (150, 0));
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_job_can_be_seen_and_deleted_but_not_revived() {
    let space = Space::new("raw");
    let queue = space.client.inspect("q");
    let mut add = redis::cmd("XADD");
    add.arg(space.key("q", "ready:normal")).arg("*").arg("surprise").arg("here");
    space.redis::<String>(&mut add).await;
    let waiting = queue.ready(Lane::Normal, None, 10).await.unwrap().jobs.remove(0);
    assert_eq!((waiting.kind(), waiting.raw()), (None, Some(b"surprise\0here".as_slice())));
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.until_count("q", "buried", 1).await;
    node.stop().await;
    let dead = queue.dead(None, 10).await.unwrap().jobs.remove(0);
    assert_eq!((dead.state, dead.kind()), (JobState::Dead, None));
    assert!(dead.payload_json().is_err() && dead.failure().is_some());
    assert!(space.client.job(&dead.handle).revive().await.unwrap_err().is_invalid());
    assert_eq!(queue.revive_where(|_| true).await.unwrap(), 0);
    assert_eq!(queue.purge_dead().await.unwrap(), 1);
    assert_eq!(space.overview("q").await.dead, 0);
}

#[tokio::test]
async fn a_plain_entry_is_seen_as_the_job_that_it_is() {
    let space = Space::new("plain-seen");
    let queue = space.client.inspect("q");
    let add = || async {
        let mut add = redis::cmd("XADD");
        add.arg(space.key("q", "ready:normal")).arg("*");
        add.arg("kind").arg("number").arg("payload").arg("7");
        space.redis::<String>(&mut add).await;
        queue.ready(Lane::Normal, None, 10).await.unwrap().jobs.remove(0)
    };
    let job = add().await;
    assert_eq!((job.kind(), job.payload_json().unwrap()), (Some("number"), json!(7)));
    space.client.job(&job.handle).reschedule(Timestamp::now() + DAY).await.unwrap();
    let due = queue.due(None, 1).await.unwrap().jobs.remove(0);
    assert_eq!((due.id(), due.payload_json().unwrap()), (job.id(), json!(7)));
    let job = add().await;
    let what = space.client.job(&job.handle).cancel().await.unwrap();
    assert_eq!(what, poolder::Cancellation::Removed);
}

#[tokio::test]
async fn draining_deletes_what_waits_and_leaves_the_rest() {
    let space = Space::new("drain");
    let client = &space.client;
    let queue: Inspector = client.inspect("q");
    client.enqueue(Number(1)).await.unwrap();
    let (node, mut told, release) = blocking_node(&space, 1);
    assert_eq!(within(told.recv()).await, Some(1));
    for lane in [Lane::High, Lane::Normal, Lane::Low] {
        for number in 2..6 {
            client.enqueue(Number(number)).lane(lane).await.unwrap();
        }
    }
    client.enqueue_many((0..1_050).map(Number)).await;
    // More jobs with one due time than a single step deletes.
    let at = SystemTime::now() + DAY;
    let due = (0..1_050).map(|number| client.enqueue(Number(number)).at(at).prepare());
    assert!(client.enqueue_prepared(due.collect()).await.iter().all(Result::is_ok));
    assert_eq!(queue.drain().await.unwrap(), 12 + 2 * 1_050);
    let view = space.overview("q").await;
    assert_eq!((view.ready(), view.running(), view.due), (0, 1, 0));
    release.send_replace(true);
    space.until_count("q", "completed", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn running_jobs_whose_entries_were_deleted_are_left_out() {
    let space = Space::new("vanished");
    let client = &space.client;
    let queue: Inspector = client.inspect("q");
    for number in 1..=3 {
        client.enqueue(Number(number)).await.unwrap();
    }
    let (node, mut told, release) = blocking_node(&space, 3);
    for _ in 0..3 {
        within(told.recv()).await;
    }
    let key = space.key("q", "ready:normal");
    let entries: Vec<RawEntry> =
        space.redis(redis::cmd("XRANGE").arg(&key).arg("-").arg("+")).await;
    for (id, _) in &entries[..2] {
        assert_eq!(space.redis::<u64>(redis::cmd("XDEL").arg(&key).arg(id)).await, 1);
    }
    // A page of size one may hold only a deleted entry, here twice in a row.
    let page = queue.running(None, 1).await.unwrap();
    assert_eq!(numbers(&page.jobs), [3]);
    assert!(queue.running(page.next.as_ref(), 1).await.unwrap().jobs.is_empty());
    release.send_replace(true);
    node.stop().await;
}

#[tokio::test]
async fn jobs_of_times_before_1970_are_promoted_at_once() {
    let space = Space::new("negative");
    let later = Timestamp::now() + Duration::from_secs(3_600);
    for n in 0..450 {
        let receipt = space.client.enqueue(Number(n)).at(later).await.unwrap();
        space
            .client
            .job(&receipt)
            .reschedule(Timestamp::from_millis(-1 - i64::try_from(n).unwrap()))
            .await
            .unwrap();
    }
    let partition = poolder_core::Partition::first("q".parse().unwrap());
    let mut moved = vec![];
    loop {
        let promotion = space.client.broker().promote(&partition).await.unwrap();
        moved.push(promotion.moved);
        if promotion.next.is_none_or(|next| next > promotion.now) {
            break;
        }
    }
    assert_eq!(moved, [200, 200, 50]);
}

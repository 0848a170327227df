//! A queue is inspected and repaired as a whole, over all slots of its pool.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{Cursor, Filter, Handle, JobView, Listing, Page, QueueName};
use poolder_core::Partition;
use poolder_core::policy::dispatch::Mode as PoolMode;
use poolder_devserver::{Builder, Cluster};

use crate::harness::{Number, Space, eventually, start};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn once() -> Policy {
    Policy::default().attempts(1)
}

fn numbers(jobs: &[JobView]) -> Vec<u64> {
    jobs.iter().map(|job| job.payload_json().unwrap().as_u64().unwrap()).collect()
}

fn slots(jobs: &[JobView]) -> BTreeSet<u16> {
    jobs.iter().map(|job| job.handle.partition.index).collect()
}

/// Registers a pool without a node.
async fn pool(space: &Space, size: u16) {
    let queue = QueueName::new("q").unwrap();
    space.client.broker().define_pool(&queue, PoolMode::Phash, size).await.unwrap();
    let first = Partition::first(queue);
    space.client.broker().register_queue(&first).await.unwrap();
}

/// Reads a whole listing in pages, whose cursors pass through text.
async fn all<F>(mut next: impl FnMut(Option<Cursor>) -> F) -> Vec<JobView>
where
    F: Future<Output = Result<Page, poolder::Error>>,
{
    let (mut jobs, mut cursor) = (vec![], None);
    loop {
        let page = next(cursor).await.unwrap();
        assert!(page.unreachable.is_empty());
        jobs.extend(page.jobs);
        match page.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => return jobs,
        }
    }
}

async fn all_dead(space: &Space, most: usize) -> Vec<JobView> {
    let queue = space.client.inspect("q");
    all(|after| {
        let queue = queue.clone();
        async move { queue.dead(after.as_ref(), most).await }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_of_all_slots_are_listed_revived_and_purged() {
    let space = Space::new("whole_dead");
    let fail = worker_fn(|job: Number, _: Context| async move {
        Err::<Outcome, BoxError>(format!("no luck with {}", job.0).into())
    });
    let node = start(space.node().pool(Pool::new("q").size(8).mode(Mode::Phash).worker(fail)));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    for number in 0..16 {
        let slot = u16::try_from(number % 8).unwrap();
        pool.slot(slot).cast(Number(number)).policy(once()).await.unwrap();
    }
    eventually("all are dead", || async { space.overview("q").await.dead == 16 }).await;
    node.stop().await;

    let view = space.overview("q").await;
    assert_eq!((view.partitions.len(), view.counter("buried")), (8, 16));
    assert!(view.partitions.iter().all(|part| part.dead == 2));
    assert!(view.unreachable.is_empty());
    let queues = space.client.overview().await.unwrap();
    assert_eq!(
        queues.iter().map(|it| (it.queue.as_str(), it.dead)).collect::<Vec<_>>(),
        [("q", 16)]
    );

    for most in [1, 3, 500] {
        let dead = all_dead(&space, most).await;
        assert_eq!(numbers(&dead).into_iter().collect::<BTreeSet<_>>().len(), 16, "{most}");
        assert_eq!(dead.len(), 16, "none is listed twice");
        assert!(dead.is_sorted_by(|one, next| one.at >= next.at), "the last to die first");
    }
    let queue = space.client.inspect("q");
    let even = |job: &JobView| numbers(std::slice::from_ref(job))[0].is_multiple_of(2);
    assert_eq!(queue.revive_where(even).await.unwrap(), 8);
    let view = space.overview("q").await;
    assert_eq!((view.dead, view.ready(), view.counter("revived")), (8, 8, 8));
    let ready = all(|after| {
        let queue = queue.clone();
        async move { queue.ready(Lane::Normal, after.as_ref(), 3).await }
    })
    .await;
    assert_eq!((ready.len(), slots(&ready).len()), (8, 4));
    assert!(ready.is_sorted_by(|one, next| one.at <= next.at));

    // One job of a slot that is not the first, by its handle and by its id alone.
    let dead = all_dead(&space, 500).await.remove(0);
    assert!(dead.handle.partition.index > 0);
    let by_id = space.client.job(dead.id().in_queue("q"));
    by_id.edit_and_revive(&serde_json::json!(99)).await.unwrap();
    space.client.job(dead.id().in_queue("q")).reschedule(SystemTime::now() + DAY).await.unwrap();
    assert_eq!(numbers(&queue.due(None, 9).await.unwrap().jobs), [99]);

    assert_eq!(queue.drain().await.unwrap(), 9);
    assert_eq!(queue.purge_dead().await.unwrap(), 7);
    let view = space.overview("q").await;
    assert_eq!((view.dead, view.ready(), view.due), (0, 0, 0));
}

#[tokio::test]
async fn jobs_of_one_moment_are_listed_once_and_in_one_order() {
    let space = Space::new("whole_due");
    pool(&space, 8).await;
    let pool = space.client.pool::<Number>("q");
    let at = SystemTime::now() + DAY;
    for number in 0..80_u64 {
        let slot = u16::try_from(number % 7).unwrap();
        // Three times, each of many jobs in many slots.
        let at = at + Duration::from_secs(number % 3);
        pool.slot(slot).cast(Number(number)).at(at).await.unwrap();
    }
    let queue = space.client.inspect("q");
    let mut listed = vec![];
    for most in [7, 80] {
        let due = all(|after| {
            let queue = queue.clone();
            async move { queue.due(after.as_ref(), most).await }
        })
        .await;
        assert!(due.is_sorted_by(|one, next| one.at <= next.at));
        let key = |job: &JobView| (job.at, job.handle.partition.index);
        assert!(due.is_sorted_by(|one, next| key(one) <= key(next)), "one order at each time");
        listed.push(numbers(&due));
    }
    assert_eq!(listed[0], listed[1], "whatever the size of the pages");
    assert_eq!(listed[0].iter().collect::<BTreeSet<_>>().len(), 80);
    // Jobs that leave the listing while it is walked through hide none of the others.
    assert_eq!(queue.drain().await.unwrap(), 80);

    let other = queue.ready(Lane::Normal, Some(&"5.1.3".parse().unwrap()), 1).await.unwrap_err();
    assert!(other.is_invalid(), "{other}");
}

#[tokio::test]
async fn slots_out_of_service_are_not_forgotten() {
    let space = Space::new("whole_retired");
    pool(&space, 8).await;
    let late = space.client.pool::<Number>("q").slot(6).cast(Number(1)).after(DAY).await.unwrap();
    space.client.broker().resize_pool(&QueueName::new("q").unwrap(), 2).await.unwrap();
    let queue = space.client.inspect("q");
    assert_eq!(slots(&queue.due(None, 9).await.unwrap().jobs), BTreeSet::from([6]));
    assert_eq!(space.overview("q").await.partitions.len(), 8);
    space.client.job(Handle::from(&late)).run_now().await.unwrap();
    assert_eq!(queue.drain().await.unwrap(), 1);
}

#[tokio::test]
async fn running_jobs_of_all_slots_are_listed() {
    let space = Space::new("whole_running");
    let (release, released) = tokio::sync::watch::channel(false);
    let wait = worker_fn(move |_: Number, _: Context| {
        let mut released = released.clone();
        async move {
            released.wait_for(|released| *released).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(5).mode(Mode::Phash).worker(wait)));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    for slot in 0..5 {
        pool.slot(slot).cast(Number(slot.into())).await.unwrap();
    }
    eventually("all run", || async { space.overview("q").await.running() == 5 }).await;
    let queue = space.client.inspect("q");
    let running = all(|after| {
        let queue = queue.clone();
        async move { queue.running(after.as_ref(), 2).await }
    })
    .await;
    assert_eq!((running.len(), slots(&running).len()), (5, 5));
    let now = space.overview("q").await.now;
    assert!(running.iter().all(|job| job.node.is_some() && now.since(job.at) < DAY / 24));
    release.send_replace(true);
    node.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_no_job_breaks_no_page() {
    let space = Space::new("whole_hostile");
    pool(&space, 3).await;
    let pool = space.client.pool::<Number>("q");
    for slot in 0..3 {
        pool.slot(slot).cast(Number(slot.into())).await.unwrap();
        pool.slot(slot).cast(Number(slot.into())).after(DAY).await.unwrap();
    }
    let queue = QueueName::new("q").unwrap();
    let key = |index, name: &str| {
        format!("{}:{{{}}}:{name}", space.name(), Partition { queue: queue.clone(), index })
    };
    let mut add = redis::cmd("XADD");
    let _: String = space.redis(add.arg(key(1, "ready:normal")).arg("*").arg("j").arg("x")).await;
    let mut add = redis::cmd("XADD");
    let large = vec![7_u8; 2 << 20];
    let _: String = space.redis(add.arg(key(2, "ready:normal")).arg("*").arg("j").arg(large)).await;
    for (member, score) in [("not an id", "7.9"), ("another", "inf"), ("0123456789abcdef", "-inf")]
    {
        let mut add = redis::cmd("ZADD");
        let _: u64 = space.redis(add.arg(key(1, "due")).arg(score).arg(member)).await;
        let mut add = redis::cmd("ZADD");
        let _: u64 = space.redis(add.arg(key(2, "dead")).arg(score).arg(member)).await;
        let mut set = redis::cmd("HSET");
        let body = "\u{1}rubbish";
        let _: u64 = space.redis(set.arg(key(2, "dead:bodies")).arg(member).arg(body)).await;
    }
    let queue = space.client.inspect("q");
    let ready = all(|after| {
        let queue = queue.clone();
        async move { queue.ready(Lane::Normal, after.as_ref(), 2).await }
    })
    .await;
    assert_eq!(ready.len(), 5);
    assert_eq!(ready.iter().filter(|job| job.raw().is_some()).count(), 2);
    let due = all(|after| {
        let queue = queue.clone();
        async move { queue.due(after.as_ref(), 2).await }
    })
    .await;
    assert_eq!(due.len(), 3);
    let dead = all_dead(&space, 1).await;
    assert_eq!(dead.len(), 1, "the one whose id has 16 bytes");
    assert!(serde_json::to_string(&dead).is_ok());
    assert_eq!(queue.purge_dead().await.unwrap(), 1);
    // A partition with a key of another type is named; the others are shown.
    let mut set = redis::cmd("SET");
    let _: () = space.redis(set.arg(key(1, "dead:bodies")).arg("x")).await;
    let mut add = redis::cmd("ZADD");
    let _: u64 = space.redis(add.arg(key(1, "dead")).arg(1).arg("fedcba9876543210")).await;
    let page = queue.dead(None, 9).await.unwrap();
    let named: Vec<u16> = page.unreachable.iter().map(|it| it.partition.index).collect();
    assert_eq!((page.jobs.len(), named), (0, vec![1]));
    let whole = queue.purge_dead().await.unwrap_err();
    assert!(whole.is_refused() && whole.to_string().contains("q.1"), "{whole}");
    let found = queue.bulk(Listing::Dead, &Filter::any(), poolder::Action::Delete).await.unwrap();
    assert_eq!(found.unreachable.len(), 1);
}

#[tokio::test]
async fn partitions_of_a_server_that_is_away_are_named() {
    // The servers that are left go on without the third.
    let settings = |node: Builder| node.arg("cluster-require-full-coverage", "no");
    let cluster = Cluster::start_with(3, 0, settings).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "whole_cluster");
    pool(&space, 12).await;
    let pool = space.client.pool::<Number>("q");
    for slot in 0..12 {
        pool.slot(slot).cast(Number(slot.into())).after(DAY).await.unwrap();
    }
    let queue = space.client.inspect("q");
    assert_eq!(numbers(&queue.due(None, 20).await.unwrap().jobs).len(), 12);
    let home = format!("{}:{{q.0}}:meta", space.name());
    let slot = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", &home]).unwrap();
    let slot: usize = slot.trim().parse().unwrap();
    let owner = (0..3).find(|at| slot < (at + 1) * 16_384 / 3).unwrap();
    cluster.nodes()[(owner + 1) % 3].kill().unwrap();
    let view = queue.overview().await.unwrap();
    let named: BTreeSet<u16> = view.unreachable.iter().map(|it| it.partition.index).collect();
    assert_eq!(view.partitions.len() + named.len(), 12);
    assert!(!named.is_empty() && view.due == view.partitions.len() as u64);
    let page = queue.due(None, 20).await.unwrap();
    let missing: BTreeSet<u16> = page.unreachable.iter().map(|it| it.partition.index).collect();
    assert_eq!(missing, named);
    assert_eq!(page.jobs.len() + missing.len(), 12);
    let error = queue.drain().await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    assert!(named.iter().all(|index| error.to_string().contains(&format!("q.{index}"))), "{error}");
    assert_eq!(queue.due(None, 20).await.unwrap().jobs.len(), 0, "all others are gone");
}

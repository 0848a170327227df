//! Limited queues, as nodes serve them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Error, GroupLimits, NodeInfo, Queue, QueueLimits};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, teller, within};

/// What runs, by group, and the most that ever did.
#[derive(Default)]
struct Counts {
    running: BTreeMap<String, usize>,
    most_of_a_group: usize,
    most: usize,
}

/// Returns a worker that counts what runs in the groups `number % groups`.
fn counting(groups: u64, counts: &Arc<Mutex<Counts>>) -> impl Worker<Job = Number> + use<> {
    let counts = Arc::clone(counts);
    worker_fn(move |job: Number, _: Context| {
        let counts = Arc::clone(&counts);
        async move {
            let group = group_of(job.0, groups);
            {
                let mut counts = counts.lock().unwrap();
                *counts.running.entry(group.clone()).or_default() += 1;
                let of_group = counts.running[&group];
                counts.most_of_a_group = counts.most_of_a_group.max(of_group);
                counts.most = counts.most.max(counts.running.values().sum());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            *counts.lock().unwrap().running.get_mut(&group).unwrap() -= 1;
            Ok::<_, BoxError>(Done)
        }
    })
}

fn group_of(number: u64, groups: u64) -> String {
    match number % groups {
        0 => String::new(),
        group => format!("tenant {group}"),
    }
}

async fn enqueue(space: &Space, numbers: std::ops::Range<u64>, groups: u64) {
    for number in numbers {
        space.client.enqueue(Number(number)).group(group_of(number, groups)).await.unwrap();
    }
}

#[tokio::test]
async fn a_fleet_runs_no_more_jobs_than_the_limits_of_queue_and_groups_allow() {
    let space = Space::new("limits-nodes");
    let counts = Arc::default();
    let queue = || Queue::new("q").concurrency(7).group_concurrency(2);
    let pool = || Pool::new("q").size(16).worker(counting(6, &counts));
    let nodes = [0, 1].map(|_| start(space.node().queue(queue()).pool(pool())));
    enqueue(&space, 0..240, 6).await;
    space.until_count("q", "completed", 240).await;
    for node in nodes {
        node.stop().await;
    }
    let counts = counts.lock().unwrap();
    assert_eq!(counts.most_of_a_group, 2);
    assert!((3..=7).contains(&counts.most), "{} ran at a time", counts.most);
}

#[tokio::test]
async fn groups_start_jobs_in_turn_and_a_weight_gives_a_group_more_of_them() {
    let space = Space::new("limits-turns");
    let limits = space.client.limits("q");
    limits.set(QueueLimits::new()).await.unwrap();
    assert!(limits.set_group("large", GroupLimits::new().weight(3)).await.unwrap());
    for number in 0..60 {
        space.client.enqueue(Number(number)).group("early").await.unwrap();
    }
    for number in 100..160 {
        space.client.enqueue(Number(number)).group("large").await.unwrap();
    }
    space.client.enqueue(Number(200)).group("late").await.unwrap();
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let mut order = vec![];
    while order.len() < 121 {
        order.push(within(told.recv()).await.unwrap().0);
    }
    node.stop().await;
    let late = order.iter().position(|number| *number == 200).unwrap();
    assert!(late <= 5, "it waits for one turn of each group, not for all jobs before it: {late}");
    let large = order[..40].iter().filter(|number| (100..160).contains(*number)).count();
    assert!((27..=33).contains(&large), "three of four jobs, not {large} of 40");
    let early: Vec<u64> = order.into_iter().filter(|number| *number < 60).collect();
    assert!(early.is_sorted(), "the jobs of a group start in their order");
}

#[tokio::test]
async fn jobs_that_come_in_any_way_run_on_a_limited_queue() {
    let space = Space::new("limits-ways");
    let (tell, mut told) = mpsc::channel(100);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt())).await?;
            match (job.0, cx.fence()) {
                (1, 1) => Err("again, please".into()),
                (2, 1) => Ok(Snooze(Duration::from_millis(20))),
                _ => Ok::<_, BoxError>(Done),
            }
        }
    });
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(20)));
    let pool = Pool::new("q").size(2).policy(policy).worker(worker);
    let node = start(space.node().queue(Queue::new("q").group_concurrency(1)).pool(pool));
    space.client.enqueue(Number(1)).group("a").await.unwrap();
    space.client.enqueue(Number(2)).await.unwrap();
    space.client.enqueue(Number(3)).group("a").after(Duration::from_millis(30)).await.unwrap();
    space.client.enqueue(Number(4)).group("b").lane(Lane::High).await.unwrap();
    space.client.enqueue(Number(5)).lane(Lane::Low).await.unwrap();
    let mut plain = redis::cmd("XADD");
    plain.arg(space.key("q", "ready:normal")).arg("*");
    plain.arg("kind").arg("number").arg("payload").arg("6").arg("group").arg("a");
    let _: String = space.redis(&mut plain).await;
    let mut expected = vec![(1, 1), (1, 2), (2, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)];
    while !expected.is_empty() {
        let ran = within(told.recv()).await.unwrap();
        let at = expected.iter().position(|it| *it == ran);
        expected.swap_remove(at.unwrap_or_else(|| panic!("{ran:?} of {expected:?}")));
    }
    space.until_count("q", "completed", 6).await;
    node.stop().await;
    let groups: Vec<String> =
        space.redis(redis::cmd("HKEYS").arg(space.key("q", "limits:groups"))).await;
    assert_eq!(groups, ["\0"], "a group without jobs takes no memory");
}

#[tokio::test]
async fn limits_are_set_and_ended_while_jobs_run_and_no_job_is_lost() {
    let space = Space::new("limits-switch");
    let counts = Arc::default();
    let pool = Pool::new("q").size(8).worker(counting(5, &counts));
    let node = start(space.node().pool(pool));
    space.client.enqueue(Number(0)).await.unwrap();
    space.until_count("q", "completed", 1).await;
    let limits = space.client.limits("q");
    let enqueues = enqueue(&space, 1..400, 5);
    let switches = async {
        for most in [1, 2, 3] {
            limits.set(QueueLimits::new().group_concurrency(most)).await.unwrap();
            assert_eq!(limits.get().await.unwrap().unwrap().group_concurrency, Some(most));
            tokio::time::sleep(Duration::from_millis(100)).await;
            limits.end().await.unwrap();
            let meta = space.key("q", "meta");
            eventually("the queue has no limits", async || {
                let mut ask = redis::cmd("HEXISTS");
                space.redis::<u64>(ask.arg(&meta).arg("limited")).await == 0
            })
            .await;
        }
    };
    tokio::join!(enqueues, switches);
    space.until_count("q", "completed", 400).await;
    node.stop().await;
    let keys: Vec<String> = space.redis(redis::cmd("KEYS").arg(space.key("q", "limits*"))).await;
    let left: Vec<&String> = keys.iter().filter(|key| !key.ends_with(":wake")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_permits_of_a_node_that_dies_are_taken_over_with_its_jobs() {
    let space = Space::new("limits-dead");
    let (tell, mut told) = mpsc::channel(10);
    let holds = worker_fn(move |job: Number, _: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.0).await?;
            std::future::pending::<()>().await;
            Ok::<_, BoxError>(Done)
        }
    });
    let queue = || Queue::new("q").group_concurrency(1);
    let first = start(space.node().queue(queue()).pool(Pool::new("q").size(2).worker(holds)));
    for number in [1, 2] {
        space.client.enqueue(Number(number)).group("a").await.unwrap();
    }
    assert_eq!(within(told.recv()).await, Some(1));
    first.vanish().await;
    let (worker, mut told) = teller();
    let second = start(space.node().queue(queue()).pool(Pool::new("q").size(2).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 1, "the job that held the permit");
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    space.until_count("q", "completed", 2).await;
    second.stop().await;
}

#[tokio::test]
async fn a_queue_is_not_limited_while_a_node_serves_it_that_knows_no_limits() {
    let space = Space::new("limits-old");
    let mut about = NodeInfo::default();
    about.pools = vec![("q".into(), 4)];
    let text = serde_json::to_string(&about).unwrap();
    let (seconds, _): (i64, i64) = space.redis(&mut redis::cmd("TIME")).await;
    let now = seconds * 1000;
    let roster = format!("{}:{{roster}}", space.name());
    let old = "old-node";
    let mut nodes = redis::cmd("ZADD");
    let _: u64 = space.redis(nodes.arg(format!("{roster}:nodes")).arg(now).arg(old)).await;
    let mut info = redis::cmd("HSET");
    let _: u64 = space.redis(info.arg(format!("{roster}:about")).arg(old).arg(text)).await;
    let limits = space.client.limits("q");
    let error = limits.set(QueueLimits::new().concurrency(1)).await.unwrap_err();
    assert!(Error::is_refused(&error) && error.to_string().contains(old), "{error}");
    space.client.limits("other").set(QueueLimits::new().concurrency(1)).await.unwrap();
}

#[tokio::test]
async fn limits_and_names_that_are_not_allowed_are_refused() {
    let space = Space::new("limits-bad");
    let limits = space.client.limits("q");
    let keyed = poolder::QueueName::new("keyed").unwrap();
    space.client.broker().define_pool(&keyed, Mode::Phash, 2).await.unwrap();
    let set = space.client.limits("keyed").set(QueueLimits::new()).await;
    assert!(set.is_err_and(|error| error.is_invalid()), "slots have no limits");
    for bad in [QueueLimits::new().concurrency(0), QueueLimits::new().group_concurrency(2_000_000)]
    {
        assert!(limits.set(bad).await.is_err_and(|error| error.is_invalid()));
    }
    assert_eq!(limits.get().await.unwrap(), None);
    assert!(!limits.set_group("a", GroupLimits::new().weight(2)).await.unwrap(), "no limits yet");
    limits.set(QueueLimits::new()).await.unwrap();
    for bad in [GroupLimits::new().weight(0), GroupLimits::new().weight(101)] {
        assert!(limits.set_group("a", bad).await.is_err_and(|error| error.is_invalid()));
    }
    for group in ["a\nb", &"x".repeat(129)] {
        let own = GroupLimits::new().concurrency(1);
        assert!(limits.set_group(group, own).await.is_err_and(|error| error.is_invalid()));
        let enqueued = space.client.enqueue(Number(1)).group(group).await;
        assert!(enqueued.is_err_and(|error| error.is_invalid()));
    }
}

#[tokio::test]
async fn a_permit_that_was_lost_is_found_again() {
    let space = Space::new("limits-repair");
    let limits = space.client.limits("q");
    limits.set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    let broker = space.client.broker();
    let partition = poolder::Partition::first(poolder::QueueName::new("q").unwrap());
    enqueue(&space, 1..3, 100).await;
    for number in [1, 1] {
        space.client.enqueue(Number(number)).group("a").await.unwrap();
    }
    let mut up_to = Default::default();
    broker.sort(&partition, &mut up_to).await.unwrap();
    let mut connection = space.connection("q", "me").await;
    let (exchange, _) = connection.admit(&[], 10, false).await.unwrap();
    let claimed = exchange.claimed.unwrap().jobs;
    let of_a = claimed.iter().find(|claim| claim.group() == Some("a")).unwrap();
    // Someone removes the entry by hand.
    let lane = space.key("q", "ready:front");
    let _: u64 = space.redis(redis::cmd("XDEL").arg(&lane).arg(&*of_a.entry)).await;
    let mut suspected = Default::default();
    assert_eq!(broker.recount_groups(&partition, &mut suspected).await.unwrap(), 0);
    let (exchange, _) = connection.admit(&[], 10, false).await.unwrap();
    assert!(exchange.claimed.unwrap().is_empty(), "the group is full as far as its record says");
    assert_eq!(broker.recount_groups(&partition, &mut suspected).await.unwrap(), 1);
    let (exchange, _) = connection.admit(&[], 10, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().len(), 1);
    assert_eq!(broker.recount_groups(&partition, &mut suspected).await.unwrap(), 0);
}

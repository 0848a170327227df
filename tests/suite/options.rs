//! The options of a job are the same whichever way it is sent; what a way cannot honour is refused
//! with the name of the option.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Durability, EnqueueOptions, JobView, QueueName};
use poolder_devserver::Server;

use crate::harness::{Number, PATIENCE, Space, eventually, start};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn policy() -> Policy {
    Policy::default().attempts(7)
}

/// Registers an addressed or broadcast pool on whose slots nothing runs.
async fn define(space: &Space, queue: &str, mode: Mode) {
    let queue = QueueName::new(queue).unwrap();
    space.client.broker().define_pool(&queue, mode, 2).await.unwrap();
}

#[tokio::test]
async fn ready_options_hold_for_each_way_to_send() {
    let space = Space::new("ready-options");
    let client = &space.client;
    let options = EnqueueOptions::new().policy(policy()).lane(Lane::Low).keep_completion(HOUR);
    client.enqueue(Number(1)).options(options.clone()).await.unwrap();
    for receipt in client.enqueue_many([Number(2), Number(3)]).options(options.clone()).await {
        receipt.unwrap();
    }
    let called = client.call::<_, ()>(Number(4)).timeout(Duration::from_millis(100));
    assert!(called.options(options.clone()).await.unwrap_err().is_timeout());
    client.schedule("s", HOUR, Number(5)).options(options.clone()).await.unwrap();
    client.schedules("q").run_now("s").await.unwrap();
    let cast = client.pool::<Number>("q").with_shared_slots(1).cast(Number(6));
    cast.options(options.clone()).await.unwrap();

    let page = client.inspect("q").ready(Lane::Low, None, 10).await.unwrap();
    let number = |job: &JobView| job.payload_json().unwrap().as_u64().unwrap();
    assert_eq!(page.jobs.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(page.jobs.iter().all(|job| job.policy() == policy()), "{page:?}");

    define(&space, "slots", Mode::RoundRobin).await;
    let options = EnqueueOptions::new().policy(policy()).after(HOUR).keep_completion(HOUR);
    let pool = client.pool::<Number>("slots");
    let receipt = pool.slot(1).cast(Number(7)).options(options).await.unwrap();
    let view = client.job(&receipt).view().await.unwrap().unwrap();
    assert_eq!((view.policy(), view.state), (policy(), poolder::JobState::Scheduled));
    client.job(&receipt).cancel().await.unwrap();
    assert_eq!(client.job(&receipt).state().await.unwrap(), Some(poolder::JobState::Cancelled));
}

#[tokio::test]
async fn an_option_that_cannot_be_honoured_is_named() {
    let space = Space::new("refused-options");
    let client = &space.client;
    define(&space, "slots", Mode::RoundRobin).await;
    define(&space, "all", Mode::Broadcast).await;
    let new = EnqueueOptions::new;
    let (slots, all) = (client.pool::<Number>("slots"), client.pool::<Number>("all"));
    let set = client.pool_set("both");
    set.add("slots").await.unwrap();
    let refused = [
        ("lane", slots.cast(Number(1)).lane(Lane::Low).await),
        ("id", slots.slot(0).cast(Number(1)).id("one").await),
        ("idempotent", slots.cast(Number(1)).idempotent(HOUR).await),
        ("after or at", all.cast(Number(1)).after(HOUR).await),
        ("keep_completion", all.cast(Number(1)).options(new().keep_completion(HOUR)).await),
        ("durability", all.cast(Number(1)).durability(Durability::fsynced()).await),
        ("id", client.enqueue_many([Number(1)]).options(new().id("one")).await.remove(0)),
        ("lane", set.cast(Number(1)).options(new().lane(Lane::Low)).await.unwrap().remove(0).1),
    ];
    for (option, result) in refused {
        let error = result.unwrap_err();
        let text = format!("cannot honour the option {option}: ");
        assert!(error.is_invalid() && error.to_string().contains(&text), "{option}: {error}");
    }
    let schedule = client.schedule("s", HOUR, Number(1)).options(new().after(HOUR));
    let error = schedule.await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("each tick decides"), "{error}");
    assert_eq!((space.ready("q").await, space.ready("slots").await), (0, 0));
}

#[tokio::test]
async fn a_cast_waits_until_its_durability_is_confirmed() {
    let forgetful = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(forgetful.url(), "durable-cast");
    define(&space, "slots", Mode::RoundRobin).await;
    let pool = space.client.pool::<Number>("slots");
    let error = pool.cast(Number(1)).durability(Durability::fsynced()).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("nothing was stored"), "{error}");
    let short = Durability::Replicated { replicas: 1, timeout: Duration::from_millis(50) };
    let error = pool.cast(Number(2)).durability(short).await.unwrap_err();
    assert!(error.is_unknown() && error.job_id().is_some(), "{error}");
    assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_id_share_one_job() {
    let space = Space::new("one-call");
    let ran = Arc::new(AtomicU64::new(0));
    let worker = {
        let ran = Arc::clone(&ran);
        worker_fn(move |Number(number): Number, _: Context| {
            let ran = ran.fetch_add(1, Ordering::SeqCst);
            async move { Outcome::result(&(number + ran)) }
        })
    };
    let call = || {
        let call = space.client.call::<_, u64>(Number(10)).timeout(PATIENCE);
        call.id("ten").idempotent(HOUR)
    };
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(call().await.unwrap(), 10);
    assert_eq!(call().await.unwrap(), 10, "the second call reads the result of the first");
    eventually("one run", || async { ran.load(Ordering::SeqCst) == 1 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_builder_can_be_sent_by_another_task() {
    let space = Space::new("owned");
    let sending = {
        let client = space.client.clone();
        client.enqueue(Number(1)).lane(Lane::High)
    };
    tokio::spawn(async move { sending.await.unwrap() }).await.unwrap();
    assert_eq!(space.ready("q").await, 1);
}

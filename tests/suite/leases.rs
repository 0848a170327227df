//! The leases of addressed slots: a slot is served again whatever became of a release.

use poolder::prelude::*;
use poolder::{Config, QueueName};
use poolder_core::Partition;
use poolder_core::broker::AcquireReply;
use poolder_devserver::Server;

use crate::harness::{Number, Space, eventually, start, teller, within};

/// The releases of a slot that fail within the first six seconds.
const FIRST_RELEASES: u64 = 7;

fn pool(size: usize) -> Pool {
    Pool::new("q").size(size).mode(Mode::RoundRobin).worker(teller().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_releases_fail_for_long_is_served_again_once_they_succeed() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "releases");
    let rule = async |rule: &str| {
        let mut set = redis::cmd("ACL");
        space.redis::<()>(set.arg("SETUSER").arg("first").arg(rule)).await;
    };
    for word in ["on", ">word", "~*", "&*", "+@all"] {
        rule(word).await;
    }
    let url = format!("{}?user=first&pass=word", server.url());
    let client = Client::new(Config::new(&url).namespace(space.name())).unwrap();
    let first = start(Node::builder(client).pool(pool(8)));
    let handle = space.client.pool::<Number>("q");
    let holders = async || {
        let slots = handle.slots().await.unwrap_or_default();
        slots.into_iter().map(|slot| slot.node).collect::<Vec<_>>()
    };
    eventually("the first node serves all", || async {
        let holders = holders().await;
        holders.len() == 8 && holders.iter().all(Option::is_some)
    })
    .await;
    let before = holders().await;

    rule("-hset").await;
    let (worker, mut told) = teller();
    let second = Pool::new("q").size(8).mode(Mode::RoundRobin).worker(worker);
    let second = start(space.node().pool(second));
    eventually("both nodes serve the pool", || async {
        handle.inspect().await.unwrap().members.len() == 2
    })
    .await;
    let members = handle.inspect().await.unwrap().members;
    let owner = |index: u16| {
        let slot = Partition { queue: QueueName::new("q").unwrap(), index };
        let owner = poolder::dispatch::holder(&slot, members.iter().map(String::as_str));
        owner.map(str::to_owned)
    };
    let moving: Vec<u16> = (0..8).filter(|slot| owner(*slot) != before[0]).collect();
    assert!(!moving.is_empty(), "some of the slots move in all but one of 256 runs");
    eventually("the releases fail for more than six seconds", || async {
        let log: Vec<std::collections::HashMap<String, redis::Value>> =
            space.redis(redis::cmd("ACL").arg("LOG")).await;
        let count = |it: &std::collections::HashMap<String, redis::Value>| {
            redis::from_redis_value::<u64>(it["count"].clone()).unwrap()
        };
        log.iter().map(count).sum::<u64>() > FIRST_RELEASES * moving.len() as u64
    })
    .await;
    assert_eq!(holders().await, before, "no slot was taken from a living node");

    rule("+hset").await;
    eventually("the slots that move are the second node's", || async {
        let holders = holders().await;
        (0..8).zip(&holders).all(|(slot, holder)| *holder == owner(slot))
    })
    .await;
    for slot in &moving {
        handle.slot(*slot).cast(Number(u64::from(*slot))).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().0, u64::from(*slot));
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_stopped_slot_is_released_when_its_holder_asks_for_it_again() {
    let space = Space::new("stopped-lease");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    let (slot, one, other) = (Partition { queue, index: 1 }, "one".into(), "other".into());
    let taken = broker.acquire_slot(&slot, &one, None).await.unwrap();
    assert!(matches!(taken, AcquireReply::Ours(_)), "its reply is lost");
    broker.stop_slot(&slot, true).await.unwrap();
    let stopped = broker.acquire_slot(&slot, &other, None).await.unwrap();
    assert!(matches!(stopped, AcquireReply::Stopped));
    assert_eq!(broker.view_slot(&slot).await.unwrap().node.as_deref(), Some("one"));
    let stopped = broker.acquire_slot(&slot, &one, None).await.unwrap();
    assert!(matches!(stopped, AcquireReply::Stopped));
    broker.stop_slot(&slot, false).await.unwrap();
    let taken = broker.acquire_slot(&slot, &other, None).await.unwrap();
    assert!(matches!(taken, AcquireReply::Ours(_)), "{taken:?}");
}

//! Addressed pools change their size while they run.

use std::time::Duration;

use poolder::QueueName;
use poolder::prelude::*;
use poolder_core::broker::{AcquireReply, PollRequest, Report, SlotPoll};
use poolder_core::{Entry, Partition};

use crate::harness::{Number, Space, eventually, start, teller, within};
use crate::ordering::{Scribe, assert_in_order, cast_all, completed, log};

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_in_order_while_the_pool_grows_and_shrinks() {
    let space = Space::new("resize-keys");
    let build = || {
        let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(10)));
        let scribe = Scribe::new(space.url(), space.name(), 50);
        let pool = Pool::new("q").size(3).mode(Mode::Phash).policy(policy).worker(scribe);
        start(space.node().pool(pool))
    };
    let nodes = [build(), build()];
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let (keys, jobs) = (20, 150);
    for (part, size) in (0..).zip([3_u16, 9, 2]) {
        if part > 0 {
            // The backlog was stored for another size.
            pool.resize(size).await.unwrap();
            assert_eq!(pool.size().await.unwrap(), size);
        }
        cast_all(&space, keys, part * 50..(part + 1) * 50).await;
        if part > 0 {
            let done = keys * 50 * part;
            eventually("the older ones drain", || async { completed(&space, 9).await >= done })
                .await;
            eventually("it is open", || async { pool.view().await.unwrap().open }).await;
        }
    }
    let all = keys * jobs;
    eventually("all are done", || async { completed(&space, 9).await >= all }).await;
    for key in 0..keys {
        assert_in_key_order(&space, key, jobs).await;
    }
    assert_eq!(completed(&space, 9).await, all);
    // Slots beyond the size retire once no job can reach them.
    eventually("the others retire", || async {
        let view = pool.view().await.unwrap();
        view.tail == 2
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

/// Like [`assert_in_order`], without fences: a key that moved is in another slot, whose terms count
/// separately.
async fn assert_in_key_order(space: &Space, key: u64, jobs: u64) {
    let log: Vec<_> = log(space, key).await.into_iter().map(|(number, _)| (number, 0)).collect();
    assert_in_order(key, &log, jobs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_is_seen_by_every_producer_and_new_slots_are_picked() {
    let space = Space::new("resize");
    let (worker, mut told) = teller();
    let mut node = space.node().pool(Pool::new("q").size(2).mode(Mode::RoundRobin).worker(worker));
    let handle = node.handle();
    let node = start(node);
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    // Another producer, which receives no hint of the resize.
    let other = poolder::Config::new(space.url()).namespace(space.name());
    let other = poolder::Client::new(other).unwrap().pool::<Number>("q");
    assert_eq!(other.size().await.unwrap(), 2);
    pool.resize(4).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 {
        let receipt = other.cast(Number(1)).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().1.slot(), receipt.partition.index);
        seen.insert(receipt.partition.index);
    }
    pool.slot(3).cast(Number(9)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), 3);
    handle.resize("q", 1).await.unwrap();
    for i in 0..4 {
        assert_eq!(pool.cast(Number(i)).await.unwrap().partition.index, 0);
        assert_eq!(within(told.recv()).await.unwrap().1.slot(), 0);
    }
    for size in [0, 10_001] {
        assert!(pool.resize(size).await.unwrap_err().is_invalid());
    }
    assert_eq!(handle.pools().await.unwrap()[0].size, 1);
    node.stop().await;
}

/// A producer that does not know of a resize yet asks for the new size before it casts a job now; a
/// delayed job is moved when it becomes ready.
#[tokio::test]
async fn a_job_with_a_delay_of_zero_goes_to_the_slot_of_its_key_after_a_resize() {
    let space = Space::new("resize-zero-delay");
    let queue = QueueName::new("q").unwrap();
    space.client.broker().define_pool(&queue, Mode::Phash, 2).await.unwrap();
    let config = poolder::Config::new(space.url()).namespace(space.name());
    let stale = poolder::Client::new(config).unwrap().pool::<Number>("q");
    assert_eq!(stale.size().await.unwrap(), 2);
    let pool = space.client.pool::<Number>("q");
    pool.resize(9).await.unwrap();
    // A slot knows of the resize by the first job that is cast after it.
    for slot in 0..2 {
        pool.slot(slot).cast(Number(0)).await.unwrap();
    }
    for key in 0..20 {
        let zero = stale.cast(Number(key)).key(key.to_string()).after(Duration::ZERO);
        let (zero, now) = (zero.await.unwrap(), pool.cast(Number(key)).key(key.to_string()));
        assert_eq!(zero.partition, now.await.unwrap().partition, "key {key}");
    }
}

#[tokio::test]
async fn a_holder_that_has_not_heard_of_a_resize_waits_until_it_has() {
    let space = Space::new("resize-unheard");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    broker.define_pool(&queue, Mode::Phash, 2).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    pool.slot(0).cast(Number(1)).await.unwrap();
    let (place, node) = (Partition { queue, index: 0 }, "holder".into());
    let AcquireReply::Ours(lease) = broker.acquire_slot(&place, &node, None).await.unwrap() else {
        panic!("no other node holds it")
    };
    pool.resize(1).await.unwrap();
    pool.slot(0).cast(Number(2)).await.unwrap();
    // The holder still polls for the old generation of an open pool. It cannot tell which of the
    // jobs belong to another slot by now.
    let order = PollRequest { claim: 16, generation: 1, open: true, ..PollRequest::default() };
    let early = broker.poll_slot(&lease, &order).await.unwrap();
    assert!(matches!((early.completed, &early.result), (0, SlotPoll::Wait)), "{early:?}");
    let order = PollRequest { generation: 2, open: false, ..order };
    let SlotPoll::Claimed(before) = broker.poll_slot(&lease, &order).await.unwrap().result else {
        panic!("one is from before")
    };
    let [Entry::Job(first)] = &before[..] else { panic!("{before:?}") };
    let complete = std::slice::from_ref(&first.entry);
    let order = PollRequest { complete, lane: Lane::Normal, ..order };
    let after = broker.poll_slot(&lease, &order).await.unwrap();
    assert!(matches!((after.completed, &after.result), (1, SlotPoll::Wait)), "{after:?}");
}

#[tokio::test]
async fn no_slot_retires_while_the_pool_drains() {
    let space = Space::new("resize-retires");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    broker.define_pool(&queue, Mode::Phash, 2).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    pool.resize(1).await.unwrap();
    let report = async |index: u16, report: Report| {
        let slot = Partition { queue: queue.clone(), index };
        broker.report_slot(&slot, 2, report).await.unwrap();
        let view = pool.view().await.unwrap();
        (view.open, view.tail)
    };
    // Its holder has seen the pool open on a server that was replaced.
    assert_eq!(report(1, Report::Retired).await, (false, 2), "it has yet to drain");
    assert_eq!(report(0, Report::Drained).await, (false, 2));
    assert_eq!(report(1, Report::Drained).await, (true, 2));
    assert_eq!(report(1, Report::Retired).await, (true, 1));
}

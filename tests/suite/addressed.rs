//! Addressed pools: the slots of the fleet are numbered, and each runs in one process at a time.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, PoolClient, QueueName, Result, SlotView};
use poolder_core::broker::{AcquireReply, PollRequest, Settled, Settlement, SlotLease, SlotPoll};
use poolder_core::policy::decide::Transition;
use poolder_core::{Entry, Partition};
use tokio::sync::mpsc;

use crate::harness::{Number, PATIENCE, Space, Unready, eventually, start, teller, within};

fn slot(queue: &str, index: u16) -> Partition {
    Partition { queue: QueueName::new(queue).unwrap(), index }
}

/// Waits until every slot has a holder, and the holders belong to exactly `nodes` nodes.
async fn settled(pool: &PoolClient<Number>, nodes: usize) -> Vec<SlotView> {
    let mut slots = vec![];
    let found = async {
        loop {
            slots = pool.slots().await.unwrap();
            let members = pool.view().await.unwrap().members;
            let home = |slot: &SlotView| {
                let place = self::slot("q", slot.index);
                let names = members.iter().map(String::as_str);
                slot.node.as_deref() == poolder::dispatch::holder(&place, names)
            };
            if members.len() == nodes && slots.iter().all(|slot| slot.node.is_some() && home(slot))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the slots find their nodes");
    slots
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_finds_its_slots_and_a_slot_can_be_addressed() {
    let space = Space::new("modes");
    for mode in [Mode::RoundRobin, Mode::Random, Mode::Monotonic, Mode::Phash] {
        let (worker, mut told) = teller();
        let queue = mode.as_str();
        let node = start(space.node().pool(Pool::new(queue).size(5).mode(mode).worker(worker)));
        let pool = space.client.pool::<Number>(queue);
        eventually("registered", || async { pool.size().await.is_ok() }).await;
        assert_eq!(pool.size().await.unwrap(), 5);
        let mut counts = BTreeMap::new();
        for i in 0..100 {
            let receipt = pool.cast(Number(i)).key(format!("key {}", i % 10)).await.unwrap();
            let (number, cx) = within(told.recv()).await.unwrap();
            assert_eq!((number, cx.slot()), (i, receipt.partition.index));
            *counts.entry(cx.slot()).or_insert(0) += 1;
        }
        match mode {
            Mode::RoundRobin => assert_eq!(counts, (0..5).map(|slot| (slot, 20)).collect()),
            Mode::Phash => assert!(counts.values().all(|count| count % 10 == 0), "{counts:?}"),
            _ => assert!(counts.len() > 1, "{mode}: {counts:?}"),
        }
        for index in 0..5 {
            pool.slot(index).cast(Number(7)).await.unwrap();
            assert_eq!(within(told.recv()).await.unwrap().1.slot(), index);
        }
        let wrong = pool.slot(5).cast(Number(7)).await.unwrap_err();
        let text = format!("pool {queue} has no slot 5: it has 5, from 0 to 4");
        assert!(wrong.is_invalid() && wrong.to_string() == text, "{wrong}");
        assert!(pool.slot(9).view().await.unwrap_err().is_invalid());
        pool.slot(2).cast(Number(8)).after(Duration::from_millis(50)).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().1.slot(), 2);
        node.stop().await;
        let left = pool.slots().await.unwrap();
        assert!(left.iter().all(|slot| slot.node.is_none() && slot.backlog == 0), "{left:?}");
    }
    let absent = space.client.pool::<Number>("absent").cast(Number(1)).await.unwrap_err();
    assert!(absent.is_not_found() && absent.to_string().contains("start a node"), "{absent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_when_a_node_joins_or_leaves_and_no_others() {
    let space = Space::new("moves");
    let build = || {
        let (worker, told) = teller();
        (space.node().pool(Pool::new("q").size(20).mode(Mode::RoundRobin).worker(worker)), told)
    };
    let (first, _one) = build();
    let first = start(first);
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let alone = settled(&pool, 1).await;
    let (second, mut two) = build();
    let second = start(second);
    let both = settled(&pool, 2).await;
    let moved = alone.iter().zip(&both).filter(|(a, b)| a.node != b.node).count();
    assert!((1..20).contains(&moved), "some move, not all: {moved}");
    for (before, after) in alone.iter().zip(&both) {
        let expected = before.term + u64::from(before.node != after.node);
        assert_eq!(after.term, expected, "a slot that stays keeps its term");
    }
    first.stop().await;
    let rest = settled(&pool, 1).await;
    for (before, after) in both.iter().zip(&rest) {
        assert_eq!(after.term, before.term + u64::from(before.node != after.node));
    }
    let receipt = pool.cast(Number(1)).await.unwrap();
    assert_eq!(within(two.recv()).await.unwrap().1.slot(), receipt.partition.index);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_takes_its_consumers_along() {
    let space = Space::new("consumers");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(2).mode(Mode::Random).worker(worker)));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    pool.slot(0).cast(Number(1)).await.unwrap();
    within(told.recv()).await.unwrap();
    assert_eq!(space.consumers("q").await.len(), 1);
    node.stop().await;
    assert_eq!(space.consumers("q").await.len(), 0, "no node is left to remove it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_another_mode_is_refused_and_one_of_another_size_keeps_the_registered_one() {
    let space = Space::new("other");
    let node = |queue: &str, size, mode| {
        let (worker, told) = teller();
        (space.node().pool(Pool::new(queue).size(size).mode(mode).worker(worker)), told)
    };
    let (first, _told) = node("q", 4, Mode::RoundRobin);
    let first = start(first);
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let cases = [
        (4, Mode::Phash, "with mode round_robin, not phash"),
        (4, Mode::Broadcast, "with mode round_robin, not broadcast"),
        (4, Mode::Shared, "with mode round_robin, not shared"),
    ];
    for (size, mode, why) in cases {
        let (other, mut told) = node("q", size, mode);
        let error = within(other.run_until(std::future::pending())).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(why), "{error}");
        assert!(told.recv().await.is_none(), "nothing was run");
    }
    // A node with another size serves the pool as it is, and its other pools.
    let (other, _told) = node("q", 5, Mode::RoundRobin);
    let (worker, mut told) = teller();
    let other = other.pool(Pool::new("beside").size(1).worker(worker));
    let other = start(other);
    settled(&pool, 2).await;
    assert_eq!(pool.size().await.unwrap(), 4);
    space.client.enqueue(Number(8)).queue("beside").await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 8);
    other.stop().await;
    // After a resize at run time a node may declare the new size or, during a deploy, the old one.
    pool.resize(5).await.unwrap();
    for size in [4, 5] {
        let (mut again, _told) = node("q", size, Mode::RoundRobin);
        let handle = again.handle();
        let again = start(again);
        assert!(handle.pools().await.unwrap()[0].running);
        again.stop().await;
    }
    first.stop().await;
}

#[tokio::test]
async fn a_zombie_is_refused_and_its_fence_is_lower() {
    let space = Space::new("zombie");
    let broker = space.client.broker();
    let queue = QueueName::new("q").unwrap();
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    pool.cast(Number(1)).await.unwrap();
    let place = slot("q", 0);
    let order = PollRequest { claim: 1, generation: 1, open: true, ..PollRequest::default() };
    let take = async |node: &str, gone: Option<&str>| {
        let node = node.into();
        match broker.acquire_slot(&place, &node, gone).await.unwrap() {
            AcquireReply::Ours(lease) => Some(lease),
            _ => None,
        }
    };
    let claim = async |lease: &SlotLease, order| {
        let SlotPoll::Claimed(mut entries) = broker.poll_slot(lease, &order).await.unwrap().result
        else {
            panic!("there is a job");
        };
        let Some(Entry::Job(claim)) = entries.pop() else { panic!("it is one") };
        claim
    };
    let zombie = take("a", None).await.unwrap();
    let first = claim(&zombie, order).await;
    assert!(take("b", None).await.is_none(), "b takes nothing from a living holder");
    let lease = take("b", Some("a")).await.unwrap();
    assert!(lease.term > zombie.term);

    let settle = |claim: poolder_core::Claim, lease: &SlotLease, fate: Transition| {
        let owner = std::sync::Arc::clone(&lease.node);
        [Settlement::new(claim, owner, None, fate).under_lease(lease, RetryPlacement::BlockSlot)]
    };
    let again = Duration::from_secs(1);
    let counters = first.counters.clone();
    let later = Transition::Later {
        delay: again,
        counters,
        why: poolder_core::policy::decide::Wait::Retry,
    };
    for fate in [Transition::Complete, later] {
        let batch = settle(first.clone(), &zombie, fate);
        let refused = broker.settle(&place, Default::default(), &batch).await;
        assert!(matches!(refused[0], Settled::Fenced), "{refused:?}");
    }
    let complete = std::slice::from_ref(&first.entry);
    let late = broker.poll_slot(&zombie, &PollRequest { complete, ..order }).await.unwrap();
    assert!(matches!(late.result, SlotPoll::Lost) && late.completed == 0);
    assert_eq!((space.count("q", "completed").await, space.ready("q").await), (0, 1));
    assert!(!broker.release_slot(&zombie, false).await.unwrap());

    // The entry is pending for a: its settlement under the lease of b is refused.
    let batch = settle(first.clone(), &lease, Transition::Complete);
    let not_ours = broker.settle(&place, Default::default(), &batch).await;
    assert!(matches!(not_ours[0], Settled::Fenced), "a holds the entry: {not_ours:?}");
}

#[tokio::test]
async fn a_poll_that_its_holder_has_given_up_claims_nothing_when_it_arrives() {
    let space = Space::new("latepoll");
    let broker = space.client.broker();
    let queue = QueueName::new("q").unwrap();
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let (place, node) = (slot("q", 0), "a".into());
    let request = PollRequest { claim: 1, generation: 1, open: true, ..PollRequest::default() };
    let acquire = async || match broker.acquire_slot(&place, &node, None).await.unwrap() {
        AcquireReply::Ours(lease) => lease,
        _ => panic!("no other node holds it"),
    };
    let lease = acquire().await;
    let poll = async |lease: &SlotLease, lost| {
        let request = PollRequest { lost, look: lost > 0, ..request };
        broker.poll_slot(lease, &request).await.unwrap().result
    };
    assert!(matches!(poll(&lease, 1).await, SlotPoll::Empty(_)), "the first poll was lost");
    space.client.pool::<Number>("q").cast(Number(1)).await.unwrap();
    assert!(matches!(poll(&lease, 0).await, SlotPoll::Idle), "the first poll arrives late");
    assert!(matches!(poll(&lease, 1).await, SlotPoll::Claimed(_)));
    let lease = acquire().await;
    assert!(matches!(poll(&lease, 0).await, SlotPoll::Empty(_)), "a new lease counts anew");
}

/// A worker that fails the first attempt of job 1. Sends each number when it starts.
#[derive(Clone)]
struct Once {
    tell: mpsc::Sender<u64>,
    failed: Arc<AtomicBool>,
}

impl Worker for Once {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, _: Context) -> Result<Outcome> {
        self.tell.send(job.0).await?;
        if job.0 == 1 && !self.failed.swap(true, Ordering::SeqCst) {
            return Err("once".into());
        }
        Ok(Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_holds_its_slot_or_steps_aside() {
    let space = Space::new("hold");
    let wait = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(300)));
    for (queue, placement, expected) in [
        ("hold", RetryPlacement::BlockSlot, [0, 1, 1, 2, 3]),
        ("aside", RetryPlacement::Reschedule, [0, 1, 2, 3, 1]),
    ] {
        let (tell, mut told) = mpsc::channel(16);
        let worker = Once { tell, failed: Arc::default() };
        let pool = Pool::new(queue)
            .size(1)
            .mode(Mode::Phash)
            .retry_placement(placement)
            .policy(wait.clone());
        let node = start(space.node().pool(pool.worker(worker)));
        let pool = space.client.pool::<Number>(queue);
        eventually("registered", || async { pool.size().await.is_ok() }).await;
        for i in 0..4 {
            pool.cast(Number(i)).await.unwrap();
        }
        for number in expected {
            assert_eq!(within(told.recv()).await.unwrap(), number, "{queue}");
        }
        space.until_count(queue, "completed", 4).await;
        assert_eq!(space.count(queue, "retried").await, 1);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_holder_had_claimed_runs_first_and_in_order() {
    let space = Space::new("rescue-order");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    for i in 1..7 {
        pool.cast(Number(i)).await.unwrap();
    }
    // A node named ghost claims four of the six jobs, and dies.
    let (place, ghost) = (slot("q", 0), "ghost".into());
    let AcquireReply::Ours(lease) = broker.acquire_slot(&place, &ghost, None).await.unwrap() else {
        panic!("no other node holds it")
    };
    let order = PollRequest { claim: 4, generation: 1, open: true, ..PollRequest::default() };
    let SlotPoll::Claimed(four) = broker.poll_slot(&lease, &order).await.unwrap().result else {
        panic!("there are six")
    };
    assert_eq!(four.len(), 4);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let marks = format!("{}:{{roster}}:marks", space.name());
    let mut mark = redis::cmd("ZADD");
    let _: u64 = space.redis(mark.arg(marks).arg(now.as_millis() as u64).arg("ghost")).await;

    let (tell, mut told) = mpsc::channel(16);
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(100)));
    let build = Pool::new("q").size(1).mode(Mode::Phash).policy(policy);
    // Job 1 fails once: jobs 2 to 4, which were claimed with it, must not overtake it.
    let node = start(space.node().pool(build.worker(Once { tell, failed: Arc::default() })));
    for number in [1, 1, 2, 3, 4, 5, 6] {
        assert_eq!(within(told.recv()).await.unwrap(), number);
    }
    space.until_count("q", "completed", 6).await;
    // Any of the four may have been running when the node died, so a crash is counted for each.
    assert_eq!((space.count("q", "rescued").await, space.count("q", "handed_back").await), (4, 0));
    node.stop().await;
}

/// A worker that counts its calls in its state and replies with the count.
#[derive(Clone, Default)]
struct Counter(u64);

impl Worker for Counter {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, _: Context) -> Result<Outcome> {
        self.0 += job.0;
        match job.0 {
            98 => Ok(StopSlot),
            99 => Ok(StopPool),
            _ => Ok(Done),
        }
    }

    async fn handle_call(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        assert!(cx.is_call());
        Ok(Outcome::result(&(cx.slot(), self.0 + job.0))?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_by_the_slot_with_its_state() {
    let space = Space::new("call");
    let pool = Pool::new("q").size(3).mode(Mode::RoundRobin).worker(Counter::default());
    let node = start(space.node().pool(pool));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    for index in 0..3 {
        pool.slot(index).cast(Number(u64::from(index) * 10)).await.unwrap();
        let reply: (u16, u64) =
            within(pool.slot(index).call(Number(1)).into_future()).await.unwrap();
        assert_eq!(reply, (index, u64::from(index) * 10 + 1));
    }
    let picked: (u16, u64) = within(pool.call(Number(5)).into_future()).await.unwrap();
    assert!(picked.0 < 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_stop_slots_and_pools_in_the_whole_fleet_and_they_start_again() {
    let space = Space::new("fleet-stop");
    let build = || Pool::new("q").size(4).mode(Mode::RoundRobin).worker(Counter::default());
    let (one, two) = (start(space.node().pool(build())), start(space.node().pool(build())));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    settled(&pool, 2).await;
    pool.slot(1).cast(Number(98)).await.unwrap();
    eventually("the slot stops", || async {
        let view = pool.slot(1).view().await.unwrap();
        view.stopped && view.node.is_none()
    })
    .await;
    pool.slot(1).cast(Number(1)).await.unwrap();
    pool.slot(0).cast(Number(99)).await.unwrap();
    eventually("the pool stops", || async {
        pool.slots().await.unwrap().iter().all(|slot| slot.node.is_none())
    })
    .await;
    assert!(pool.view().await.unwrap().stopped);
    pool.cast(Number(2)).await.unwrap();
    pool.start().await.unwrap();
    settled(&pool, 2).await;
    eventually("all is done", || async {
        pool.slots().await.unwrap().iter().all(|slot| slot.backlog == 0 && slot.running.is_none())
    })
    .await;
    one.stop().await;
    two.stop().await;
}

/// A worker that runs job 1 until it is cancelled. Sends each number when it starts.
#[derive(Clone)]
struct Held(mpsc::Sender<u64>);

impl Worker for Held {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.0.send(job.0).await?;
        if job.0 == 1 {
            cx.cancelled().await;
        }
        Ok(Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_slot_can_be_cancelled_and_the_pool_paused() {
    let space = Space::new("slot-cancel");
    let (tell, mut told) = mpsc::channel(16);
    let node = Pool::new("q").size(2).mode(Mode::Phash).worker(Held(tell));
    let node = start(space.node().pool(node));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let running = pool.slot(1).cast(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 1);
    let waiting = pool.slot(1).cast(Number(2)).await.unwrap();
    pool.slot(1).cast(Number(3)).await.unwrap();
    space.client.job(waiting).cancel().await.unwrap();
    space.client.job(running).cancel().await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 3, "the one that waited never starts");
    // A job that is cast before the node knows of the pause would still run. The node knows of the
    // pause when it knows of the cancellation that follows.
    let running = pool.slot(1).cast(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 1);
    let slot = slot("q", 1);
    space.client.broker().pause(&slot).await.unwrap();
    space.client.job(running).cancel().await.unwrap();
    eventually("its job has been cancelled", || async {
        pool.slot(1).view().await.unwrap().running.is_none()
    })
    .await;
    pool.slot(1).cast(Number(4)).await.unwrap();
    pool.slot(0).cast(Number(5)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 5, "the other slot goes on");
    assert_eq!(pool.slot(1).view().await.unwrap().backlog, 1);
    space.client.broker().resume(&slot).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 4);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_slot_finishes_its_job_and_takes_no_other_until_it_is_started() {
    let space = Space::new("slot-stop");
    let (tell, mut told) = mpsc::channel(16);
    let node = Pool::new("q").size(2).mode(Mode::RoundRobin).worker(Held(tell));
    let node = start(space.node().pool(node));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    settled(&pool, 1).await;
    let (busy, idle) = (pool.slot(1), pool.slot(0));
    let running = busy.cast(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 1);
    for (slot, number) in [(&busy, 2), (&idle, 3)] {
        slot.stop().await.unwrap();
        slot.cast(Number(number)).await.unwrap();
    }
    assert!(busy.view().await.unwrap().running.is_some(), "its job goes on");
    space.client.job(running).cancel().await.unwrap();
    for slot in [&busy, &idle] {
        eventually("no node serves it", || async {
            let view = slot.view().await.unwrap();
            view.stopped && view.node.is_none() && view.running.is_none() && view.backlog == 1
        })
        .await;
    }
    assert!(told.try_recv().is_err(), "nothing has started since");
    for (slot, number) in [(&busy, 2), (&idle, 3)] {
        slot.start().await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap(), number);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_cannot_start_run_nothing_and_let_the_node_stop() {
    let space = Space::new("broken");
    let pool = Pool::new("q").size(2).mode(Mode::RoundRobin).worker(Unready);
    let node = start(space.node().pool(pool));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    pool.slot(0).cast(Number(1)).await.unwrap();
    settled(&pool, 1).await;
    assert_eq!(pool.slot(0).view().await.unwrap().backlog, 1);
    node.stop().await;
    let view = pool.slot(0).view().await.unwrap();
    assert_eq!((view.backlog, view.node, view.running), (1, None, None));
}

/// A worker that blocks its thread until the test lets it go on.
#[derive(Clone)]
struct Blocks {
    started: std::sync::mpsc::Sender<()>,
    go_on: Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Worker for Blocks {
    type Job = Number;

    async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome> {
        self.started.send(())?;
        self.go_on.lock().unwrap().recv_timeout(PATIENCE)?;
        Ok(Done)
    }
}

#[test]
fn a_handler_that_blocks_its_thread_keeps_its_leases() {
    let space = Space::new("blocks");
    let ((tell, told), (go_on, gone_on)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Blocks { started: tell, go_on: Arc::new(std::sync::Mutex::new(gone_on)) };
    let pool = Pool::new("q").size(4).mode(Mode::RoundRobin).worker(worker);
    // The handler blocks the only thread of the node's runtime, and with it the connections that
    // were opened there, so that nothing else may use this client.
    let client = Client::new(Config::new(space.url()).namespace(space.name())).unwrap();
    let node = Node::builder(client).pool(pool);
    let blocked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(node.run_until(async {
            let _ = stopped.await;
        }))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = space.client.pool::<Number>("q");
        eventually("registered", || async { pool.size().await.is_ok() }).await;
        let leases = |slots: Vec<SlotView>| -> Vec<(Option<String>, u64)> {
            slots.into_iter().map(|slot| (slot.node, slot.term)).collect()
        };
        let before = leases(settled(&pool, 1).await);
        let receipt = pool.cast(Number(1)).await.unwrap();
        tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE)).await.unwrap().unwrap();
        let (worker, mut other) = teller();
        let build = Pool::new("q").size(4).mode(Mode::RoundRobin).worker(worker);
        let node = start(space.node().pool(build));
        // The blocked runtime no longer reports its node to the pool, so that after a while the
        // node is no member of the pool any more. The other node then wants all of the slots.
        let holder = before[0].0.clone().unwrap();
        let members = space.key("q", "members");
        space.redis::<u64>(redis::cmd("ZREM").arg(members).arg(&holder)).await;
        eventually("the other node is the only member", || async {
            let members = pool.view().await.unwrap().members;
            members.len() == 1 && members[0] != holder
        })
        .await;
        // The other node tries to acquire the slots many times between two beats.
        let roster = format!("{}:{{roster}}:nodes", space.name());
        let last_beat =
            async || space.redis::<f64>(redis::cmd("ZSCORE").arg(&roster).arg(&holder)).await;
        for _ in 0..3 {
            let last = last_beat().await;
            eventually("the blocked node beats", || async { last_beat().await > last }).await;
        }
        assert_eq!(leases(pool.slots().await.unwrap()), before, "the other node took a slot");
        go_on.send(()).unwrap();
        let index = receipt.partition.index;
        let counted = space.key("q", "stats").replace(".0}", &format!(".{index}}}"));
        eventually("the job is done", || async {
            let mut get = redis::cmd("HGET");
            space.redis::<Option<u64>>(get.arg(&counted).arg("completed")).await == Some(1)
        })
        .await;
        assert!(other.try_recv().is_err(), "the job ran once");
        let _ = stop.send(());
        node.stop().await;
    });
    blocked.join().unwrap().unwrap();
}

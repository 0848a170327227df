//! The leases of addressed slots: a slot is served again whatever became of a release.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cancellation, Config, Handle, QueueName, SlotView};
use poolder_core::broker::{
    AcquireReply, PollReply, PollRequest, Settled, Settlement, SlotLease, SlotPoll,
};
use poolder_core::policy::decide::{Return, Transition, Wait};
use poolder_core::{Claim, Counters, Entry, EntryId, Lane, Partition};
use poolder_devserver::Server;

use crate::harness::{Number, RawEntry, Space, claim_first, eventually, start, teller, within};

/// The releases of a slot that fail within the first six seconds.
const FIRST_RELEASES: u64 = 7;

fn pool(size: u16) -> Pool {
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
        handle.view().await.unwrap().members.len() == 2
    })
    .await;
    let members = handle.view().await.unwrap().members;
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

/// Claims the next entries of the slot.
async fn poll(space: &Space, lease: &SlotLease, complete: &[EntryId], look: bool) -> PollReply {
    let request = PollRequest {
        complete,
        lane: Lane::Normal,
        claim: 4,
        look,
        generation: 1,
        open: true,
        ..PollRequest::default()
    };
    space.client.broker().poll_slot(lease, &request).await.unwrap()
}

/// Takes slot 0 of a pool of one slot, and claims its first job.
async fn claim_of_two(space: &Space) -> (SlotLease, Claim) {
    let slot = Partition::first(QueueName::new("q").unwrap());
    space.client.broker().define_pool(&slot.queue, Mode::Phash, 1).await.unwrap();
    for number in 1..3 {
        space.client.pool::<Number>("q").cast(Number(number)).await.unwrap();
    }
    claim_first(space, &slot, "node", None).await
}

fn hour() -> Transition {
    let counters = Counters::starting_in(Lane::Normal);
    Transition::Later { delay: Duration::from_secs(3600), counters, why: Wait::Retry }
}

#[tokio::test]
async fn a_slot_no_longer_waits_for_a_retry_that_operators_have_removed_or_started() {
    for action in ["cancel", "delete", "drain", "reschedule", "run_now"] {
        let space = Space::new("hold-ends");
        let (lease, claim) = claim_of_two(&space).await;
        let job = Handle::new(lease.slot.queue.clone(), claim.job_id());
        // The other job waits behind the retry, in the front as well.
        let SlotPoll::Claimed(mut behind) = poll(&space, &lease, &[], false).await.result else {
            panic!("there are two jobs")
        };
        let Some(Entry::Job(behind)) = behind.pop() else { panic!("it is a job") };
        let (lane, counters) = (Lane::Front, Counters::starting_in(Lane::Normal));
        let released = Transition::Ready { lane, counters, why: Return::Release };
        let settled = [(claim, hour()), (behind, released)].map(|(claim, transition)| {
            Settlement::new(claim, lease.node.clone(), None, transition)
                .under_lease(&lease, RetryPlacement::BlockSlot)
        });
        space.client.broker().settle(&lease.slot, <_>::default(), &settled).await;
        assert!(matches!(poll(&space, &lease, &[], false).await.result, SlotPoll::Hold(_)));
        let queue = space.client.inspect("q");
        match action {
            "cancel" => {
                assert_eq!(space.client.job(&job).cancel().await.unwrap(), Cancellation::Removed);
            }
            "delete" => space.client.job(&job).remove().await.unwrap(),
            "drain" => assert_eq!(queue.drain().await.unwrap(), 2),
            "reschedule" => {
                let later = poolder::Timestamp::now() + Duration::from_secs(3600);
                space.client.job(&job).reschedule(later).await.unwrap();
            }
            _ => space.client.job(&job).run_now().await.unwrap(),
        }
        let next = poll(&space, &lease, &[], false).await.result;
        match (action, next) {
            ("drain", SlotPoll::Empty(_)) => {}
            (_, SlotPoll::Claimed(entries)) => {
                let Entry::Job(next) = &entries[0] else { panic!("{entries:?}") };
                assert_eq!(next.job_id() == job.job, action == "run_now", "{action}");
            }
            (_, next) => panic!("{action}: {next:?}"),
        }
        let times = u64::from(["reschedule", "run_now"].contains(&action));
        assert_eq!(space.count("q", "rescheduled").await, times, "{action}");
    }
}

#[tokio::test]
async fn a_poll_after_a_lost_reply_completes_no_job_by_the_id_of_another() {
    let space = Space::new("same-entry");
    let (lease, claim) = claim_of_two(&space).await;
    // The server is another one, on which another job has the same entry id.
    let lane = space.key("q", "ready:normal");
    let body: Vec<RawEntry> = space.redis(redis::cmd("XRANGE").arg(&lane).arg("-").arg("+")).await;
    let other = &body[1].1[0].1;
    space.redis::<u64>(redis::cmd("DEL").arg(&lane)).await;
    let mut add = redis::cmd("XADD");
    space.redis::<String>(add.arg(&lane).arg(&*claim.entry).arg("j").arg(other)).await;
    let done = std::slice::from_ref(&claim.entry);
    let first = poll(&space, &lease, done, false).await;
    assert!(matches!((first.completed, &first.result), (0, SlotPoll::Claimed(_))), "{first:?}");
    // The reply was lost, and the node sends the same again.
    let again = poll(&space, &lease, done, true).await;
    let SlotPoll::Found(entries) = &again.result else { panic!("{again:?}") };
    assert_eq!((again.completed, entries.len(), space.ready("q").await), (0, 1, 1));
    // What it sends in place of that: the job is compared.
    let settled = Settlement::new(claim, lease.node.clone(), None, Transition::Complete);
    let settled = [settled.under_lease(&lease, RetryPlacement::BlockSlot)];
    let settled = space.client.broker().settle(&lease.slot, <_>::default(), &settled).await;
    assert!(matches!(settled[0], Settled::Fenced), "{settled:?}");
    assert_eq!(space.ready("q").await, 1);
}

#[tokio::test]
async fn jobs_of_a_poll_whose_reply_was_lost_are_found_together() {
    let space = Space::new("found-together");
    let (lease, first) = claim_of_two(&space).await;
    let back = Transition::Ready {
        lane: Lane::Normal,
        counters: Counters::starting_in(Lane::Normal),
        why: Return::Release,
    };
    let pool = space.client.pool::<Number>("q");
    for number in 3..6 {
        pool.cast(Number(number)).await.unwrap();
    }
    let _ = poll(&space, &lease, std::slice::from_ref(&first.entry), false).await;
    // The reply is lost. One of the jobs was removed meanwhile.
    let lane = space.key("q", "ready:normal");
    let entries: Vec<RawEntry> =
        space.redis(redis::cmd("XRANGE").arg(&lane).arg("-").arg("+")).await;
    let ids: Vec<&str> = entries.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids.len(), 4);
    space.redis::<u64>(redis::cmd("XDEL").arg(&lane).arg(ids[0])).await;
    let SlotPoll::Found(found) = poll(&space, &lease, &[], true).await.result else {
        panic!("the node holds jobs that it does not know")
    };
    let found: Vec<Claim> = found
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Job(claim) => Some(claim),
            Entry::Undecodable(_) => None,
        })
        .collect();
    assert_eq!(found.iter().map(|claim| &*claim.entry).collect::<Vec<_>>(), ids[1..]);
    // The first one is tried again. The others stay behind it.
    let mut transitions = vec![hour(), back.clone(), back].into_iter();
    let settled: Vec<Settlement> = found
        .into_iter()
        .zip(&mut transitions)
        .map(|(claim, transition)| {
            Settlement::new(claim, lease.node.clone(), None, transition)
                .under_lease(&lease, RetryPlacement::BlockSlot)
        })
        .collect();
    space.client.broker().settle(&lease.slot, <_>::default(), &settled).await;
    let next = poll(&space, &lease, &[], true).await.result;
    assert!(matches!(next, SlotPoll::Hold(_)), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failover_undoes_is_found_by_the_holders() {
    let space = Space::new("undone");
    let (worker, mut told) = teller();
    let build = || Pool::new("q").size(8).mode(Mode::RoundRobin).worker(worker.clone());
    let first = start(space.node().pool(build()));
    let pool = space.client.pool::<Number>("q");
    let holders = async || {
        let slots = pool.slots().await.unwrap_or_default();
        slots.into_iter().filter_map(|slot| slot.node).collect::<Vec<_>>()
    };
    eventually("the first node serves all", || async { holders().await.len() == 8 }).await;
    let first_name = holders().await[0].clone();
    let second = start(space.node().pool(build()));
    let moved = async || {
        let slots = pool.slots().await.unwrap();
        slots.into_iter().find(|slot| slot.node.as_ref().is_some_and(|it| *it != first_name))
    };
    eventually("a slot moves", || async { moved().await.is_some() }).await;
    let moved = moved().await.unwrap();
    let key = |slot: u16, rest: &str| space.key("q", rest).replace(".0}", &format!(".{slot}}}"));

    // The completion of a job is undone, and the rescue of a job that an earlier holder had claimed.
    let copy = QueueName::new("copy").unwrap();
    space.client.broker().define_pool(&copy, Mode::RoundRobin, 1).await.unwrap();
    for (number, consumer) in [(1, moved.node.as_deref().unwrap()), (2, "earlier")] {
        space.client.pool::<Number>("copy").cast(Number(number)).await.unwrap();
        let mut last = redis::cmd("XREVRANGE");
        let last = last.arg(space.key("copy", "ready:normal")).arg("+").arg("-");
        let entry: Vec<RawEntry> = space.redis(last.arg("COUNT").arg(1)).await;
        let script = "redis.call('XADD', KEYS[1], '*', 'j', ARGV[1]) \
            redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'STREAMS', KEYS[1], '>')";
        let mut eval = redis::cmd("EVAL");
        let eval = eval.arg(script).arg(1).arg(key(moved.index, "ready:normal"));
        space.redis::<()>(eval.arg(&entry[0].1[0].1).arg(consumer)).await;
    }
    let mut found = [within(told.recv()).await.unwrap().0, within(told.recv()).await.unwrap().0];
    found.sort_unstable();
    assert_eq!(found, [1, 2]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_releases_a_slot_again_whose_release_was_undone() {
    let space = Space::new("undone-release");
    let first = start(space.node().pool(pool(8)));
    let handle = space.client.pool::<Number>("q");
    let slots = async || handle.slots().await.unwrap_or_default();
    eventually("the first node serves all", || async {
        let slots = slots().await;
        slots.len() == 8 && slots.iter().all(|slot| slot.node.is_some())
    })
    .await;
    let first_name = slots().await[0].node.clone().unwrap();
    let second = start(space.node().pool(pool(8)));
    let moved = async || {
        let is_moved = |slot: &SlotView| slot.node.as_ref().is_some_and(|it| *it != first_name);
        slots().await.into_iter().find(is_moved)
    };
    eventually("a slot moves", || async { moved().await.is_some() }).await;
    let moved = moved().await.unwrap();
    let lease = space.key("q", "lease").replace(".0}", &format!(".{}}}", moved.index));
    let mut undo = redis::cmd("HSET");
    let undo = undo.arg(&lease).arg("holder").arg(&first_name).arg("until").arg("9999999999999");
    space.redis::<u64>(undo).await;
    eventually("the slot is the second node's again", || async {
        let slots = slots().await;
        slots[usize::from(moved.index)].node == moved.node
    })
    .await;
    first.stop().await;
    second.stop().await;
}

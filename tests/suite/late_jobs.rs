//! Late jobs of addressed pools: they become ready in a slot in which their key no longer belongs,
//! or which is out of service.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cancellation, Handle, JobState, QueueName, Result};
use poolder_core::broker::{
    AcquireReply, CastReply, PollRequest, Report, Settled, Settlement, SlotLease, SlotPoll,
};
use poolder_core::policy::decide::{Return, Transition};
use poolder_core::policy::dispatch::{Pick, hash, pick};
use poolder_core::{Claim, Completion, Entry, Lane, Partition};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, claim_first, eventually, start, within};

/// Returns the slot of a key in a pool of this size.
fn slot(key: &str, size: u16) -> u16 {
    match pick(Mode::Phash, hash(key.as_bytes()), size) {
        Pick::One(slot) => slot,
        other => panic!("{other:?}"),
    }
}

/// Returns a key that fits.
fn key(fits: impl Fn(&str) -> bool) -> String {
    (0..).map(|number| format!("key {number}")).find(|key| fits(key)).unwrap()
}

fn partition(index: u16) -> Partition {
    Partition { queue: QueueName::new("q").unwrap(), index }
}

/// A worker that sends each job it starts. Job 1 ends when it is cancelled; job 2 fails the first
/// time.
#[derive(Clone)]
struct Late(mpsc::Sender<(u64, Context)>);

impl Worker for Late {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.0.send((job.0, cx.clone())).await?;
        match job.0 {
            1 => {
                cx.cancelled().await;
                Ok(Done)
            }
            2 if cx.fence() < 3 && cx.slot() == 3 => Err("the first time".into()),
            _ => Ok(Done),
        }
    }

    async fn handle_call(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.0.send((job.0, cx.clone())).await?;
        Ok(Outcome::result(&u64::from(cx.slot()))?)
    }
}

fn node(space: &Space, size: u16) -> (poolder::NodeBuilder, mpsc::Receiver<(u64, Context)>) {
    let (tell, told) = mpsc::channel(100);
    let policy = Policy::default().attempts(1);
    let pool = Pool::new("q").size(size).mode(Mode::Phash).policy(policy).worker(Late(tell));
    (space.node().pool(pool), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_of_a_key_runs_in_the_slot_of_its_key_and_is_found_there() {
    let space = Space::new("late-delay");
    let (node, mut told) = node(&space, 2);
    let node = start(node);
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let key = key(|key| slot(key, 2) != slot(key, 4));
    let later = Duration::from_secs(2);
    let waiting = pool.cast(Number(1)).key(&key).after(later).await.unwrap();
    let called = Number(7);
    let call = {
        let (pool, key) = (pool.clone(), key.clone());
        tokio::spawn(async move {
            pool.cast(called).after(Duration::from_secs(3)).call::<u64>().key(key).await
        })
    };
    eventually("both are stored", || async {
        pool.slot(slot(&key, 2)).view().await.unwrap().due == 2
    })
    .await;
    assert_eq!(waiting.partition.index, slot(&key, 2));
    pool.resize(4).await.unwrap();
    eventually("it is open", || async { pool.view().await.unwrap().open }).await;
    let (number, cx) = within(told.recv()).await.unwrap();
    assert_eq!((number, cx.slot()), (1, slot(&key, 4)));
    let bare = Handle::new(waiting.partition.queue.clone(), waiting.job);
    for handle in [Handle::from(&waiting), bare.clone()] {
        assert_eq!(space.client.job(&handle).state().await.unwrap(), Some(JobState::Running));
    }
    assert_eq!(space.client.job(&bare).cancel().await.unwrap(), Cancellation::Stopping);
    // The caller follows the job that it called.
    assert_eq!(within(call).await.unwrap().unwrap(), u64::from(slot(&key, 4)));
    assert_eq!(within(told.recv()).await.unwrap().0, 7);
    let moved = space.key("q", "stats").replace(".0}", &format!(".{}}}", slot(&key, 2)));
    let mut get = redis::cmd("HMGET");
    let counts: Vec<Option<u64>> = space.redis(get.arg(moved).arg("moved").arg("completed")).await;
    assert_eq!(counts, [Some(2), None]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_revived_in_a_slot_out_of_service_runs_in_the_slot_of_its_key() {
    let space = Space::new("late-revival");
    let (node, mut told) = node(&space, 4);
    let node = start(node);
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let key = key(|key| slot(key, 4) == 3);
    let keyed = pool.cast(Number(2)).key(&key).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), 3);
    let unkeyed = pool.slot(3).cast(Number(2)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), 3);
    pool.resize(2).await.unwrap();
    eventually("the others retire", || async { pool.view().await.unwrap().tail == 2 }).await;
    let bare = Handle::new(keyed.partition.queue.clone(), keyed.job);
    assert_eq!(space.client.job(&bare).state().await.unwrap(), Some(JobState::Dead));
    space.client.job(&bare).revive().await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), slot(&key, 2));
    // A job without a key runs where it is.
    space.client.job(&unkeyed).run_now().await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), 3);
    eventually("the slot is out of service again", || async {
        space.client.broker().view_slot(&partition(3)).await.unwrap().node.is_none()
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_move_that_a_later_holder_repeats_stores_the_job_once() {
    let space = Space::new("late-move");
    let broker = space.client.broker();
    broker.define_pool(&partition(0).queue, Mode::Phash, 2).await.unwrap();
    let job = space.client.pool::<Number>("q").slot(0).cast(Number(3)).await.unwrap().job;
    let (first, held) = claim_first(&space, &partition(0), "first", None).await;
    let plan = broker.record_move(&first, job, 1).await.unwrap().unwrap();
    let stored = broker.cast_moved(1, &partition(0), plan, &held).await.unwrap();
    // The first holder dies. Its successor would move the job elsewhere.
    let AcquireReply::Ours(second) =
        broker.acquire_slot(&partition(0), &"second".into(), Some("first")).await.unwrap()
    else {
        panic!("the holder is dead")
    };
    assert_eq!(broker.record_move(&first, job, 1).await.unwrap(), None, "it lost the lease");
    let again = broker.record_move(&second, job, 5).await.unwrap().unwrap();
    assert_eq!(again, plan);
    assert_eq!(broker.cast_moved(1, &partition(0), again, &held).await.unwrap(), stored);
    assert!(matches!(stored, CastReply::Stored(_)));
    let lane = space.key("q", "ready:normal").replace(".0}", ".1}");
    assert_eq!(space.redis::<u64>(redis::cmd("XLEN").arg(lane)).await, 1);

    let done = Settlement::new(held, "first".into(), None, Transition::Complete).moved_to(1);
    let done = [done.under_lease(&second, RetryPlacement::BlockSlot)];
    let settled = broker.settle(&partition(0), <_>::default(), &done).await;
    assert!(matches!(settled[0], Settled::Applied), "{settled:?}");
    let left = broker.overview(&partition(0)).await.unwrap();
    assert_eq!((left.ready() + left.running(), space.count("q", "moved").await), (0, 1));
    let completion = broker.completion(&partition(0), job).await.unwrap();
    assert_eq!(completion, Some(Completion::Moved(1)));
    // The same job may come and go again.
    let other = broker.record_move(&second, job, 1).await.unwrap().unwrap();
    assert_ne!(other, plan);
}

/// Returns a pool of two slots that was resized to one, whose only slot is in service; and a job
/// that was cast to the second slot before, under the lease of a holder that has claimed it.
async fn left_behind(space: &Space, key: &str) -> (SlotLease, Claim) {
    let broker = space.client.broker();
    let queue = partition(0).queue;
    broker.define_pool(&queue, Mode::Phash, 2).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    pool.cast(Number(3)).key(key).await.unwrap();
    let claimed = claim_first(space, &partition(1), "first", None).await;
    pool.resize(1).await.unwrap();
    for index in 0..2 {
        broker.report_slot(&partition(index), 2, Report::Drained).await.unwrap();
    }
    broker.report_slot(&partition(1), 2, Report::Retired).await.unwrap();
    let view = pool.view().await.unwrap();
    assert_eq!((view.open, view.tail), (true, 1));
    claimed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_has_begun_is_ended_wherever_the_key_belongs_by_then() {
    let space = Space::new("late-resume");
    let broker = space.client.broker();
    let key = key(|key| slot(key, 2) == 1);
    let (lease, held) = left_behind(&space, &key).await;
    let plan = broker.record_move(&lease, held.job_id(), 0).await.unwrap().unwrap();
    let stored = broker.cast_moved(2, &partition(0), plan, &held).await.unwrap();
    let CastReply::Stored(_) = stored else { panic!("{stored:?}") };
    // The holder is gone before it has removed the job, which runs at its destination.
    assert!(broker.release_slot(&lease, false).await.unwrap());
    let (first, moved) = claim_first(&space, &partition(0), "first", None).await;
    let done = Settlement::new(moved, "first".into(), None, Transition::Complete);
    let done = [done.under_lease(&first, RetryPlacement::BlockSlot)];
    let settled = broker.settle(&partition(0), <_>::default(), &done).await;
    assert!(matches!(settled[0], Settled::Applied), "{settled:?}");
    assert!(broker.release_slot(&first, false).await.unwrap());
    // By now the key belongs to the second slot again.
    let pool = space.client.pool::<Number>("q");
    pool.resize(2).await.unwrap();
    broker.report_slot(&partition(0), 3, Report::Drained).await.unwrap();
    let (node, mut told) = node(&space, 2);
    let node = start(node);
    eventually("the move has ended", || async {
        broker.completion(&partition(1), held.job_id()).await.unwrap() == Some(Completion::Moved(0))
    })
    .await;
    pool.cast(Number(4)).key(&key).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 4, "job 3 has run at its destination");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_from_before_the_pool_was_open_moves_no_job() {
    let space = Space::new("late-view");
    let broker = space.client.broker();
    let queue = partition(0).queue;
    let key = key(|key| slot(key, 2) == 1);
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    pool.resize(2).await.unwrap();
    let AcquireReply::Ours(lease) =
        broker.acquire_slot(&partition(1), &"first".into(), None).await.unwrap()
    else {
        panic!("no other node holds it")
    };
    for number in [3, 4] {
        pool.cast(Number(number)).key(&key).await.unwrap();
    }
    let drains = broker.acquire_slot(&partition(0), &"first".into(), None).await.unwrap();
    let AcquireReply::Ours(drains) = drains else { panic!("no other node holds it") };
    let (node, mut told) = node(&space, 2);
    let node = start(node);
    let members = space.key("q", "members");
    let heartbeat = async || {
        let mut list = redis::cmd("ZRANGE");
        let list = list.arg(&members).arg(0).arg(-1).arg("WITHSCORES");
        space.redis::<Vec<String>>(list).await
    };
    eventually("the node reads the pool", || async { !heartbeat().await.is_empty() }).await;
    let last = heartbeat().await;
    eventually("it reads it again", || async { heartbeat().await != last }).await;
    // Until its next heartbeat the node does not know that the pool is open. Meanwhile the holder of
    // the second slot claims its jobs, and puts them back.
    broker.report_slot(&partition(0), 2, Report::Drained).await.unwrap();
    let request = PollRequest { claim: 16, generation: 2, open: true, ..PollRequest::default() };
    let SlotPoll::Claimed(entries) = broker.poll_slot(&lease, &request).await.unwrap().result
    else {
        panic!("there are two jobs")
    };
    let released = entries.into_iter().map(|entry| match entry {
        Entry::Job(claim) => {
            let (lane, counters) = (Lane::Normal, claim.counters.clone());
            let back = Transition::Ready { lane, counters, why: Return::Release };
            let back = Settlement::new(claim, "first".into(), None, back);
            back.under_lease(&lease, RetryPlacement::BlockSlot)
        }
        other @ Entry::Undecodable(_) => panic!("{other:?}"),
    });
    let released: Vec<_> = released.collect();
    for settled in broker.settle(&partition(1), <_>::default(), &released).await {
        assert!(matches!(settled, Settled::Applied), "{settled:?}");
    }
    for lease in [lease, drains] {
        assert!(broker.release_slot(&lease, false).await.unwrap());
    }
    for number in [3, 4] {
        assert_eq!(within(told.recv()).await.unwrap().0, number);
    }
    let moved = space.key("q", "stats").replace(".0}", ".1}");
    let moved: Option<u64> = space.redis(redis::cmd("HGET").arg(moved).arg("moved")).await;
    assert_eq!(moved, None, "the jobs are where they belong");
    node.stop().await;
}
